//! Drives the load: sends what the [`schedule`] says is due, whatever the workers do.
//!
//! The [`pacer`] waits for each slot, the [`processor`] sends its request, the [`tally`] counts it and how
//! long it took ([`latency`]), from the slot to the answer and to the arrival of its result ([`trips`]).

mod drive;
pub(crate) mod latency;
mod pacer;
pub(crate) mod processor;
pub(crate) mod rate;
mod schedule;
mod tally;
#[cfg(test)]
mod tests;
mod trips;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use chassis::{Shutdown, server::DRAIN_TIMEOUT};
use tokio::{
    runtime,
    sync::{Semaphore, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use pacer::{Batch, Pacer};
use processor::Processor;
use rate::Rate;
use tally::{Failure, Sent, Tally};

pub use drive::{Outcome, drive, per_second};

/// How many requests may wait for their answer. A slot beyond that is shed: nothing is queued.
const MAX_IN_FLIGHT: usize = 1024;

/// How long a request may take in all: longer than the mesh lets it take (`istio/`), so that it is the
/// mesh that ends it, and counts it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// The highest rate that can be asked for at all, in requests per second.
pub(crate) const MAX_RATE: u32 = 10_000;

/// The tally and the clock that all its times are taken from. Clones are the same.
#[derive(Clone)]
pub(crate) struct SharedTally {
    tally: Arc<Mutex<Tally>>,
    start: Instant,
}

impl SharedTally {
    pub(crate) fn new() -> Self {
        Self { tally: Arc::new(Mutex::new(Tally::new())), start: Instant::now() }
    }

    /// Locks it, for a moment: nothing waits while it is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now, since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Sends requests at the rate in force until the shutdown, then waits for those in flight.
///
/// On a thread of its own: a request that is sent, answered and counted on one thread costs half of what
/// it costs when it moves between several, and does not wait for anything else that the process does.
///
/// # Errors
/// When the system has no thread to spare.
pub(crate) async fn run(
    processor: Processor,
    rates: watch::Receiver<Rate>,
    tally: SharedTally,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel();
    thread::Builder::new().name("load".to_owned()).spawn(move || {
        let result = runtime.block_on(run_here(processor, rates, tally, shutdown));
        // Not to wait for a name that is being looked up.
        runtime.shutdown_background();
        // Nobody is told only when nobody waits any more.
        let _ = end.send(result);
    })?;
    ended.await.context("the load has panicked")?
}

async fn run_here(
    processor: Processor,
    rates: watch::Receiver<Rate>,
    tally: SharedTally,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let pacer = Pacer::start(tally.start)?;
    let load = Load::new(processor, tally);
    tokio::select! {
        () = load.follow(pacer, rates) => {}
        () = shutdown.stopping() => {}
    }
    load.in_flight.close();
    // Those that are cut off were counted as sent, and the process ends with them.
    let _ = timeout(DRAIN_TIMEOUT, load.in_flight.wait()).await;
    let ledger = load.tally.lock().ledger();
    if 0 < ledger.planned {
        tracing::info!(ledger = %serde_json::to_string(&ledger)?, "the load has ended");
    }
    Ok(())
}

/// Those who process what is sent.
trait Workers: Clone + Send + 'static {
    /// Has one random string hashed; returns the calculation, if the answer names it.
    fn process(&self) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
}

struct Load<W> {
    workers: W,
    tally: SharedTally,
    permits: Arc<Semaphore>,
    in_flight: TaskTracker,
}

impl<W: Workers> Load<W> {
    fn new(workers: W, tally: SharedTally) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        Self { workers, tally, permits, in_flight: TaskTracker::new() }
    }

    async fn follow(&self, mut pacer: Pacer, mut rates: watch::Receiver<Rate>) {
        rates.mark_changed();
        loop {
            tokio::select! {
                changed = rates.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    pacer.set_rate(*rates.borrow_and_update());
                }
                batch = pacer.batches.recv() => {
                    let Some(batch) = batch else { return };
                    self.send(&batch);
                }
            }
        }
    }

    fn send(&self, batch: &Batch) {
        let mut tally = self.tally.lock();
        tally.miss(batch.missed);
        for due in &batch.due {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                tally.shed();
                continue;
            };
            let sent = Sent { due: *due, at: self.tally.now() };
            tally.send(sent);
            let (workers, tally) = (self.workers.clone(), self.tally.clone());
            self.in_flight.spawn(async move {
                let result = timeout(REQUEST_TIMEOUT, workers.process()).await;
                let result = result.unwrap_or(Err(Failure::Timeout));
                let result = result.as_ref().map(Option::as_deref).map_err(|failure| *failure);
                tally.lock().end(tally.now(), sent, result);
                drop(permit);
            });
        }
    }
}
