//! Streams to the browsers: each result as it arrives, and a report four times a second.

use std::{convert::Infallible, time::Duration};

use chassis::{Sampler, probes::Dependency};
use contract::Ledger;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    feed::Dropped,
    history::History,
    load::SharedTally,
    snapshot::{REPORTS_PER_SECOND, Snapshots},
    socket::Browsers,
};

/// The time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(1000 / REPORTS_PER_SECOND as u64);

/// The number of results that browsers receive in a second: more than anybody can read.
pub(crate) const MAX_SHOWN_PER_SECOND: u32 = 100;

/// The least time between two messages to a browser. Results that arrive within it share one write, because the write
/// costs much more than the result. A result that comes later than that after the last one is published at once.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);

/// Records every result, and publishes a sample of them.
pub(crate) async fn relay(
    mut messages: mpsc::Receiver<String>,
    browsers: Browsers,
    tally: SharedTally,
) -> Infallible {
    let sampler = Sampler::per_second(MAX_SHOWN_PER_SECOND);
    // At most as many as are shown in a second.
    let mut shown = Vec::new();
    let mut next = Instant::now();
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Some(message) = message else { break };
                let now = tally.now();
                let is_shown = sampler.lets_through(now);
                tally.lock().record_result(now, &message, is_shown);
                if is_shown {
                    shown.push(message);
                }
            }
            () = sleep_until(next), if !shown.is_empty() => {}
        }
        let now = Instant::now();
        if !shown.is_empty() && next <= now {
            browsers.publish_calculations(&shown).await;
            shown.clear();
            next = now + PUBLISH_EVERY;
        }
    }
    // The task that fills the feed has ended, which it does only with the process.
    std::future::pending().await
}

/// Publishes a report four times a second, and records one a second in the history.
pub(crate) struct Reports {
    pub(crate) browsers: Browsers,
    pub(crate) snapshots: Snapshots,
    pub(crate) history: History,
    pub(crate) tally: SharedTally,
    /// Counts the messages that the feed drops.
    pub(crate) dropped: Dropped,
    pub(crate) workers: Dependency,
}

impl Reports {
    pub(crate) async fn run(self) -> Infallible {
        let Self { browsers, snapshots, history, tally, dropped, workers } = self;
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut health = Health::new(workers);
        let mut reports = 0_usize;
        loop {
            ticks.tick().await;
            let ledger = {
                let mut tally = tally.lock();
                tally.record_dropped(dropped.take());
                tally.ledger()
            };
            health.record(&ledger);
            snapshots.record_report();
            reports += 1;
            if reports.is_multiple_of(REPORTS_PER_SECOND) {
                history.record(snapshots.take());
            }
            browsers.publish_stats(&snapshots).await;
        }
    }
}

/// Logs when requests begin to fail, and when none has failed for two seconds.
struct Health {
    workers: Dependency,
    last: Ledger,
    /// The number of reports in a row without a failure.
    reports_without_failure: usize,
}

impl Health {
    fn new(workers: Dependency) -> Self {
        Self { workers, last: Ledger::default(), reports_without_failure: 0 }
    }

    fn record(&mut self, ledger: &Ledger) {
        let failed = ledger.failed.total() - self.last.failed.total();
        let answered = ledger.answered - self.last.answered;
        if 0 < failed {
            self.reports_without_failure = 0;
            self.workers.down("requests fail; /metrics shows the kinds of failures");
        } else {
            self.reports_without_failure += 1;
            if 0 < answered && 2 * REPORTS_PER_SECOND <= self.reports_without_failure {
                self.workers.up();
            }
        }
        self.last = *ledger;
    }
}
