//! Drives the load: sends what the [`schedule`] says is due, whatever the workers do.
//!
//! The [`pacer`] waits for each slot, the [`processor`] sends its request, the [`tally`] counts it and how
//! long it took ([`latency`]), from the slot to the answer and to the arrival of its result ([`trips`]).

mod latency;
mod pacer;
pub(crate) mod processor;
pub(crate) mod rate;
mod schedule;
mod tally;
mod trips;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use chassis::{HttpUrl, Shutdown, server::DRAIN_TIMEOUT};
use contract::{Latencies, Ledger};
use tokio::{
    runtime,
    sync::{Semaphore, oneshot, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

use pacer::{Batch, Pacer};
use processor::Processor;
use rate::Rate;
use tally::{Sent, Tally};

/// How many requests may wait for their answer. A slot beyond that is shed: nothing is queued.
const MAX_IN_FLIGHT: usize = 1024;

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
    let load = Load {
        processor,
        tally,
        permits: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
        in_flight: TaskTracker::new(),
    };
    tokio::select! {
        () = load.follow(pacer, rates) => {}
        () = shutdown.stopping() => {}
    }
    load.in_flight.close();
    // Those that are cut off were counted as sent, and the process ends with them.
    let _ = timeout(DRAIN_TIMEOUT, load.in_flight.wait()).await;
    Ok(())
}

struct Load {
    processor: Processor,
    tally: SharedTally,
    permits: Arc<Semaphore>,
    in_flight: TaskTracker,
}

impl Load {
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
            let (processor, tally) = (self.processor.clone(), self.tally.clone());
            self.in_flight.spawn(async move {
                let result = processor.process().await;
                let result = result.as_ref().map(Option::as_deref).map_err(|failure| *failure);
                tally.lock().end(tally.now(), sent, result);
                drop(permit);
            });
        }
    }
}

/// What came of driving a load for a while.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Where every request has ended.
    pub ledger: Ledger,
    /// How long things took, over the whole time.
    pub latencies: Latencies,
}

/// Drives a load without a page: `per_second` requests a second to `url` for some time, then waits for
/// those in flight.
///
/// # Errors
/// When the rate is not one from 0.001 to 10000, or the address is none.
pub async fn drive(url: &HttpUrl, per_second: f64, time: Duration) -> anyhow::Result<Outcome> {
    let rate = Rate::from_per_second(per_second, MAX_RATE);
    let rate = rate.with_context(|| format!("{per_second}/s is not from 0.001 to {MAX_RATE}"))?;
    let (setting, rates) = watch::channel(Rate::ZERO);
    let (tally, shutdown) = (SharedTally::new(), Shutdown::new());
    let driven = run(Processor::new(url)?, rates, tally.clone(), shutdown.clone());
    let script = async {
        setting.send_replace(rate);
        sleep(time).await;
        setting.send_replace(Rate::ZERO);
        // Requests have a timeout, so this ends.
        while 0 < tally.lock().ledger().in_flight {
            sleep(Duration::from_millis(10)).await;
        }
        shutdown.stop();
    };
    let (driven, ()) = tokio::join!(driven, script);
    driven?;
    let tally = tally.lock();
    Ok(Outcome { ledger: tally.ledger(), latencies: tally.latencies_in_all() })
}
