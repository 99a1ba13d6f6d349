//! From the feed to the browsers: each calculation as it comes, and a report four times a second.

use std::{convert::Infallible, time::Duration};

use chassis::{Sampler, probes::Dependency};
use contract::Ledger;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    feed::Dropped,
    load::SharedTally,
    snapshot::{REPORTS_A_SECOND, Snapshots},
    socket::Browsers,
};

/// Time between two reports.
const REPORT_EVERY: Duration = Duration::from_millis(1000 / REPORTS_A_SECOND as u64);

/// How many calculations a page is shown in a second: more than anybody can read.
const SHOWN_A_SECOND: u32 = 100;

/// Counts every calculation, and shows those that can be shown.
pub(crate) async fn relay(
    mut messages: mpsc::Receiver<String>,
    browsers: Browsers,
    tally: SharedTally,
) -> Infallible {
    let sampler = Sampler::per_second(SHOWN_A_SECOND);
    while let Some(message) = messages.recv().await {
        let now = tally.now();
        let shown = sampler.lets_through(now);
        tally.lock().see(now, &message, shown);
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
    pub(crate) snapshots: Snapshots,
    pub(crate) tally: SharedTally,
    /// Messages from Redis that were not passed on.
    pub(crate) dropped: Dropped,
    /// Who answers the requests.
    pub(crate) workers: Dependency,
}

/// Tells everybody how things stand, four times a second.
pub(crate) async fn report(report: Report) -> Infallible {
    let Report { browsers, snapshots, tally, dropped, workers } = report;
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut health = Health::new(workers);
    loop {
        ticks.tick().await;
        let ledger = {
            let mut tally = tally.lock();
            tally.drop_results(dropped.take());
            tally.ledger()
        };
        health.note(&ledger);
        snapshots.tick();
        browsers.tell(&snapshots).await;
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
