//! The pacer: waits for each slot, exactly to a few hundredths of a millisecond.
//!
//! It uses a thread of its own, because tokio's timers are exact only to a millisecond. It does not
//! spin. It sleeps until the next slot, and at least half a millisecond: at high rates, several
//! slots share one wake-up. It queues nothing: while the receiver is too slow, slots stay in the
//! schedule, and become too late there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};

use super::{rate::Rate, schedule::Schedule};

/// The shortest time between two wake-ups.
const QUANTUM: Duration = Duration::from_micros(500);

/// How many batches may wait for the receiver.
const MAX_WAITING: usize = 4;

/// The slots that have come since the last batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The due times of the slots to send now.
    pub(crate) due: Vec<Duration>,
    /// The number of slots that are too late to be sent.
    pub(crate) missed: u64,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.due.is_empty() && self.missed == 0
    }
}

/// The thread that waits for slots. It ends when this is dropped.
pub(crate) struct Pacer {
    pub(crate) batches: mpsc::Receiver<Batch>,
    setting: Arc<Setting>,
    thread: Thread,
}

struct Setting {
    /// The rate, in thousandths of a request per second.
    rate: AtomicU32,
    ended: AtomicBool,
}

impl Pacer {
    /// Starts the thread, with a rate of zero. Times count from `start`.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(crate) fn start(start: Instant) -> std::io::Result<Self> {
        let (sender, batches) = mpsc::channel(MAX_WAITING);
        let setting = Arc::new(Setting { rate: AtomicU32::new(0), ended: AtomicBool::new(false) });
        let shared = Arc::clone(&setting);
        let thread = thread::Builder::new().name("pacer".to_owned());
        let thread = thread.spawn(move || pace(start, &shared, &sender))?.thread().clone();
        Ok(Self { batches, setting, thread })
    }

    /// Changes the rate at once.
    pub(crate) fn set_rate(&self, rate: Rate) {
        self.setting.rate.store(rate.millis(), Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.setting.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn pace(start: Instant, setting: &Setting, batches: &mpsc::Sender<Batch>) {
    let mut pacing = Pacing::new();
    while !setting.ended.load(Ordering::Acquire) {
        let now = start.elapsed();
        pacing.set_rate(now, Rate::from_millis(setting.rate.load(Ordering::Acquire)));
        match batches.try_reserve() {
            Ok(permit) => {
                let batch = pacing.take(now);
                if !batch.is_empty() {
                    permit.send(batch);
                }
            }
            Err(TrySendError::Full(())) => {}
            Err(TrySendError::Closed(())) => return,
        }
        match pacing.next(now) {
            None => thread::park(),
            Some(next) => thread::park_timeout(next.saturating_sub(start.elapsed())),
        }
    }
}

/// The pacer's decisions at each wake-up. They know no clock: time is an argument.
pub(super) struct Pacing {
    schedule: Schedule,
    rate: Rate,
    /// The number of missed slots since the last batch.
    missed: u64,
}

impl Pacing {
    pub(super) fn new() -> Self {
        Self { schedule: Schedule::new(), rate: Rate::ZERO, missed: 0 }
    }

    /// Sets the rate, which may be the same as before.
    pub(super) fn set_rate(&mut self, now: Duration, rate: Rate) {
        if rate != self.rate {
            self.rate = rate;
            self.missed += self.schedule.set_rate(now, rate);
        }
    }

    /// Takes the slots that have come.
    pub(super) fn take(&mut self, now: Duration) -> Batch {
        let mut due = Vec::new();
        let missed = std::mem::take(&mut self.missed) + self.schedule.take_due(now, &mut due);
        Batch { due, missed }
    }

    /// When to wake up again; `None` if only after the rate is set.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let next = self.schedule.next().or_else(|| (0 < self.missed).then_some(now));
        next.map(|next| next.max(now + QUANTUM))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::timeout;

    use super::*;

    fn rate(per_second: u32) -> Rate {
        Rate::parse(&json!({ "freq": per_second }), 10_000).unwrap()
    }

    #[tokio::test]
    async fn a_rate_is_in_force_at_once_and_zero_sends_nothing() {
        let start = Instant::now();
        let mut pacer = Pacer::start(start).unwrap();
        for _ in 0..3 {
            pacer.set_rate(rate(1000));
            let set_at = start.elapsed();
            let first = pacer.batches.recv().await.unwrap();
            let first = first.due.first().copied().unwrap_or(set_at);
            assert!(first - set_at < Duration::from_millis(250), "after {:?}", first - set_at);
            pacer.set_rate(Rate::ZERO);
            let drain = async { while pacer.batches.recv().await.is_some() {} };
            assert!(timeout(Duration::from_millis(50), drain).await.is_err());
            assert!(pacer.batches.try_recv().is_err());
        }
    }

    #[tokio::test]
    async fn slots_that_nobody_receives_in_time_are_missed_not_queued() {
        let start = Instant::now();
        let mut pacer = Pacer::start(start).unwrap();
        pacer.set_rate(rate(1000));
        let set_at = start.elapsed();
        thread::sleep(Duration::from_millis(500));
        pacer.set_rate(Rate::ZERO);
        let milliseconds = (start.elapsed() - set_at).as_millis() as u64;
        let mut batches = Vec::new();
        while let Ok(Some(batch)) = timeout(Duration::from_millis(50), pacer.batches.recv()).await {
            batches.push(batch);
        }
        let sent: usize = batches.iter().map(|batch| batch.due.len()).sum();
        let missed: u64 = batches.iter().map(|batch| batch.missed).sum();
        let all = sent as u64 + missed;
        let expected = milliseconds - 5..=milliseconds + 150;
        assert!(expected.contains(&all), "{all} slots in {milliseconds} ms");
        assert!(sent < 50, "{sent} were sent to nobody");
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_pacer() {
        let pacer = Pacer::start(Instant::now()).unwrap();
        let setting = Arc::clone(&pacer.setting);
        drop(pacer);
        let start = Instant::now();
        while 1 < Arc::strong_count(&setting) {
            assert!(start.elapsed() < Duration::from_secs(5), "the thread goes on");
            thread::yield_now();
        }
    }
}
