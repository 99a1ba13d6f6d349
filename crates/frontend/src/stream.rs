//! From the feed to the browsers: each calculation as it comes, and a report four times a second.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use chassis::probes::Dependency;
use contract::{Stats, calculation};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{control::Control, feed::Feed, load::SharedTally, sampler::Sampler, socket::Browsers};

/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Reports in the second over which the achieved rate is taken.
const REPORTS_A_SECOND: usize = 4;

/// Counts every calculation, and shows those that can be shown.
pub(crate) async fn relay(mut feed: Feed, browsers: Browsers, tally: SharedTally) -> Infallible {
    let start = Instant::now();
    let mut sampler = Sampler::default();
    while let Some(message) = feed.messages.recv().await {
        let shown = sampler.shows(start.elapsed());
        {
            let mut tally = tally.lock();
            tally.see(calculation::prefix(&message), shown);
            tally.drop_results(feed.take_dropped());
        }
        if shown {
            browsers.show(&message).await;
        }
    }
    // Not before the task that fills the feed has ended, which it never does.
    std::future::pending().await
}

/// Tells everybody how things stand, four times a second.
pub(crate) async fn report(
    browsers: Browsers,
    control: Control,
    tally: SharedTally,
    redis: Dependency,
) -> Infallible {
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Achieved::default();
    loop {
        ticks.tick().await;
        let (ledger, results) = {
            let tally = tally.lock();
            (tally.ledger(), tally.results())
        };
        let feed = match redis.lacks() {
            None => contract::Feed::Live,
            Some(reason) => contract::Feed::Away { reason },
        };
        let stats = Stats {
            freq: control.rate().per_second(),
            achieved: sent.per_second(Instant::now(), ledger.sent),
            viewers: control.viewers(),
            ledger,
            results,
            feed,
        };
        browsers.tell(&stats).await;
    }
}

/// The rate at which a counter has grown over the last second.
#[derive(Default)]
struct Achieved(VecDeque<(Instant, u64)>);

impl Achieved {
    fn per_second(&mut self, now: Instant, count: u64) -> f64 {
        self.0.push_back((now, count));
        if REPORTS_A_SECOND + 1 < self.0.len() {
            self.0.pop_front();
        }
        match self.0.front() {
            Some((then, before)) if *then < now => {
                (count - before) as f64 / (now - *then).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_achieved_rate_is_that_of_the_last_second() {
        let start = Instant::now();
        let mut achieved = Achieved::default();
        let mut last = 0.0;
        for quarter in 0..20 {
            let count = if quarter < 10 { 0 } else { u64::from(quarter - 10) * 5 };
            last = achieved.per_second(start + REPORT_EVERY * quarter, count);
            assert!(quarter != 10 || last == 0.0);
        }
        assert!((last - 20.0).abs() < 1e-9, "{last}");
    }
}
