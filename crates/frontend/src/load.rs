//! Drives the load: sends what the schedule says is due, whatever the workers do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::{Shutdown, server::DRAIN_TIMEOUT};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{control::Control, processor::Processor, schedule::Schedule, tally::Tally};

/// How many requests may wait for their answer. A slot beyond that is shed: nothing is queued.
const MAX_IN_FLIGHT: usize = 1024;

/// The tally, shared by the load, the feed and the reports. Clones are the same tally.
#[derive(Clone, Default)]
pub(crate) struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// Locks it, for a moment: nothing waits while it is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends requests at the rate in force until the shutdown, then waits for those in flight.
pub(crate) async fn run(
    processor: Processor,
    control: Control,
    tally: SharedTally,
    shutdown: Shutdown,
) {
    let load = Load {
        processor,
        tally,
        permits: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        in_flight: TaskTracker::new(),
    };
    tokio::select! {
        () = load.follow(&control) => {}
        () = shutdown.stopping() => {}
    }
    load.in_flight.close();
    // Those that are cut off were counted as sent, and the process ends with them.
    let _ = timeout(DRAIN_TIMEOUT, load.in_flight.wait()).await;
}

struct Load {
    processor: Processor,
    tally: SharedTally,
    permits: Arc<Semaphore>,
    in_flight: TaskTracker,
}

impl Load {
    async fn follow(&self, control: &Control) {
        let start = Instant::now();
        let mut schedule = Schedule::new();
        let mut rates = control.rates();
        rates.mark_changed();
        loop {
            let next_slot = async {
                match schedule.next() {
                    Some(at) => sleep_until(start + at).await,
                    None => std::future::pending().await,
                }
            };
            let due = tokio::select! {
                changed = rates.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    schedule.set_rate(start.elapsed(), *rates.borrow_and_update())
                }
                () = next_slot => schedule.take_due(start.elapsed()),
            };
            self.tally.lock().miss(due.missed);
            for _ in 0..due.send {
                self.send();
            }
        }
    }

    fn send(&self) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.tally.lock().shed();
            return;
        };
        self.tally.lock().send();
        let (processor, tally) = (self.processor.clone(), self.tally.clone());
        self.in_flight.spawn(async move {
            let result = processor.process().await;
            tally.lock().end(result);
            drop(permit);
        });
    }
}
