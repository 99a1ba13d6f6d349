//! From the feed to the browsers: each calculation as it comes, and a report four times a second.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use chassis::probes::Dependency;
use contract::{Ledger, Stats, calculation};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    control::Control, feed::Dropped, load::SharedTally, sampler::Sampler, socket::Browsers,
};

/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Reports in the second over which the achieved rate is taken.
const REPORTS_A_SECOND: usize = 4;

/// Counts every calculation, and shows those that can be shown.
pub(crate) async fn relay(
    mut messages: mpsc::Receiver<String>,
    browsers: Browsers,
    tally: SharedTally,
) -> Infallible {
    let start = Instant::now();
    let mut sampler = Sampler::default();
    while let Some(message) = messages.recv().await {
        let shown = sampler.shows(start.elapsed());
        tally.lock().see(calculation::prefix(&message), shown);
        if shown {
            browsers.show(&message).await;
        }
    }
    // Not before the task that fills the feed has ended, which it never does.
    std::future::pending().await
}

/// What a report is made of, and who it is told to.
pub(crate) struct Report {
    pub(crate) browsers: Browsers,
    pub(crate) control: Control,
    pub(crate) tally: SharedTally,
    /// Where calculations come from.
    pub(crate) redis: Dependency,
    /// Messages from there that were not passed on.
    pub(crate) dropped: Dropped,
    /// Who answers the requests.
    pub(crate) workers: Dependency,
}

/// Tells everybody how things stand, four times a second.
pub(crate) async fn report(report: Report) -> Infallible {
    let Report { browsers, control, tally, redis, dropped, workers } = report;
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Achieved::default();
    let mut health = Health::new(workers);
    loop {
        ticks.tick().await;
        let (ledger, results) = {
            let mut tally = tally.lock();
            tally.drop_results(dropped.take());
            (tally.ledger(), tally.results())
        };
        health.note(&ledger);
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

/// Says in the log when requests begin to fail, and when they have not failed for two seconds.
struct Health {
    workers: Dependency,
    last: Ledger,
    quiet: usize,
}

impl Health {
    fn new(workers: Dependency) -> Self {
        Self { workers, last: Ledger::default(), quiet: 0 }
    }

    fn note(&mut self, ledger: &Ledger) {
        let failed = ledger.failed.total() - self.last.failed.total();
        let answered = ledger.answered - self.last.answered;
        self.quiet = if failed == 0 { self.quiet + 1 } else { 0 };
        if 0 < failed {
            self.workers.down("requests fail, see /metrics for the kinds");
        } else if 0 < answered && 2 * REPORTS_A_SECOND <= self.quiet {
            self.workers.up();
        }
        self.last = *ledger;
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
