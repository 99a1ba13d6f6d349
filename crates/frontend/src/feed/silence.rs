//! Notices a subscription that brings nothing: workers answer, and no result arrives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::load::SharedTally;

/// So many answers without a result are no chance.
const ANSWERS: u64 = 5;

/// How long results may be missing. A worker answers when Redis has the result, so it arrives within
/// a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const REASON: &str = "workers answer, but their results do not arrive; subscribed again";

/// Counts what arrives. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Arc<AtomicU64>);

impl Arrivals {
    pub(super) fn record(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Compares the answers of the workers with what arrives. Clones share what they know.
#[derive(Clone)]
pub(super) struct Silence {
    tally: SharedTally,
    arrivals: Arrivals,
    /// Whether the last subscription ended because it brought nothing.
    has_been_silent: Arc<AtomicBool>,
}

impl Silence {
    pub(super) fn new(tally: SharedTally, arrivals: Arrivals) -> Self {
        Self { tally, arrivals, has_been_silent: Arc::default() }
    }

    /// Waits until results are missing; returns that as a sentence.
    pub(super) async fn begins(&self) -> String {
        let mut start = self.look();
        loop {
            sleep(LOOK_EVERY).await;
            let now = self.look();
            if now.arrived != start.arrived || now.answered == start.answered {
                start = now;
            } else if start.answered + ANSWERS <= now.answered && PATIENCE <= start.at.elapsed() {
                self.has_been_silent.store(true, Ordering::Relaxed);
                return REASON.to_owned();
            }
        }
    }

    /// After a silent subscription, the new one has to bring something before it counts as one.
    ///
    /// # Errors
    /// When it brings nothing either.
    pub(super) async fn check_again(&self) -> Result<(), String> {
        if !self.has_been_silent.load(Ordering::Relaxed) {
            return Ok(());
        }
        let start = self.look();
        while start.at.elapsed() < PATIENCE {
            sleep(LOOK_EVERY).await;
            if self.look().arrived != start.arrived {
                break;
            }
        }
        let now = self.look();
        if now.arrived == start.arrived && start.answered < now.answered {
            return Err(REASON.to_owned());
        }
        self.has_been_silent.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn look(&self) -> Look {
        let answered = self.tally.lock().ledger().answered;
        Look { at: Instant::now(), arrived: self.arrivals.count(), answered }
    }
}

/// The counts at a moment.
struct Look {
    at: Instant,
    arrived: u64,
    answered: u64,
}
