//! The load: sends the requests that are due, whatever the workers do.
//!
//! A *slot* is the moment at which the [`schedule`] plans a request. The *pacer* ([`pacer`]) waits
//! for each slot, and the [`processor`] sends its request. The *tally* ([`tally`]) counts every
//! request: its *ledger* has each in exactly one state. The tally also measures times
//! ([`latency`]): *corrected* latency lasts from the slot to the answer, so it includes the time
//! before the request was sent. A *trip* ([`trips`]) lasts from the sending to the arrival of the
//! result on Redis.

mod answer;
mod connection;
mod drive;
pub(crate) mod latency;
mod pacer;
pub(crate) mod processor;
pub(crate) mod rate;
mod resolver;
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

/// How many requests may wait for their answer. Slots beyond that are shed, because nothing is
/// queued.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;

/// How long a request may take. It is longer than the mesh allows (`istio/`), so the mesh ends a
/// slow request, and counts it.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// The highest rate that a setting allows, in requests per second.
pub(crate) const MAX_RATE: u32 = 10_000;

/// The tally, and the clock of all its times. Clones share both.
#[derive(Clone)]
pub(crate) struct SharedTally {
    tally: Arc<Mutex<Tally>>,
    start: Instant,
}

impl SharedTally {
    pub(crate) fn new() -> Self {
        Self { tally: Arc::new(Mutex::new(Tally::new())), start: Instant::now() }
    }

    /// Locks the tally. The caller must not wait for anything while it holds the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Sends requests at the rate in force until the shutdown, then waits for those in flight, at most so many.
///
/// It uses a thread of its own. A request that one thread sends, receives and counts costs half as
/// much as one that moves between threads, and it does not wait for the other work of the process.
///
/// # Errors
/// When the system cannot start a thread.
pub(crate) async fn run(
    processor: Processor,
    rates: watch::Receiver<Rate>,
    tally: SharedTally,
    max_in_flight: usize,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel();
    thread::Builder::new().name("load".to_owned()).spawn(move || {
        let result = runtime.block_on(run_here(processor, rates, tally, max_in_flight, shutdown));
        // An ordinary shutdown would wait for a name lookup in progress.
        runtime.shutdown_background();
        // Fails only when nobody waits for the result.
        let _ = end.send(result);
    })?;
    ended.await.context("the load has panicked")?
}

async fn run_here(
    processor: Processor,
    rates: watch::Receiver<Rate>,
    tally: SharedTally,
    max_in_flight: usize,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let pacer = Pacer::new(tally.start)?;
    let load = Load::new(processor.clone(), tally, max_in_flight);
    tokio::select! {
        () = load.follow(pacer, rates) => {}
        () = processor.close_old() => {}
        () = shutdown.stopping() => {}
    }
    load.in_flight.close();
    // Requests that the timeout cuts off stay counted as sent; the process ends with them.
    let _ = timeout(DRAIN_TIMEOUT, load.in_flight.wait()).await;
    let ledger = load.tally.lock().ledger();
    if 0 < ledger.planned {
        tracing::info!(ledger = %serde_json::to_string(&ledger)?, "the load has ended");
    }
    Ok(())
}

/// The workers that process the requests.
trait Workers: Clone + Send + 'static {
    /// Sends one random string; returns the calculation, if the answer contains it.
    fn process(&self) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
}

struct Load<W> {
    workers: W,
    tally: SharedTally,
    permits: Arc<Semaphore>,
    in_flight: TaskTracker,
}

impl<W: Workers> Load<W> {
    fn new(workers: W, tally: SharedTally, max_in_flight: usize) -> Self {
        let permits = Arc::new(Semaphore::new(max_in_flight));
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
                    let rate = *rates.borrow_and_update();
                    self.send(&pacer.set_rate(rate));
                }
                batch = pacer.batch() => self.send(&batch),
            }
        }
    }

    fn send(&self, batch: &Batch) {
        let mut tally = self.tally.lock();
        tally.record_missed(batch.missed);
        for due in &batch.due {
            let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
                tally.record_shed();
                continue;
            };
            let sent = Sent { due: *due, at: self.tally.now() };
            tally.record_sent(sent);
            let (workers, tally) = (self.workers.clone(), self.tally.clone());
            self.in_flight.spawn(async move {
                let result = timeout(REQUEST_TIMEOUT, workers.process()).await;
                let result = result.unwrap_or(Err(Failure::Timeout));
                let result = result.as_ref().map(Option::as_deref).map_err(|failure| *failure);
                tally.lock().record_end(tally.now(), sent, result);
                drop(permit);
            });
        }
    }
}
