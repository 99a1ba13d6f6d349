//! The pacer: waits for each slot, on Linux exactly to a few hundredths of a millisecond.
//!
//! It does not spin. It sleeps until the next slot, and at least half a millisecond: at high rates, several slots share
//! one wake-up. It queues nothing: while nobody takes a batch, slots stay in the schedule, and become too late there.

mod timer;

use std::{future::pending, io, time::Duration};

use tokio::{task::yield_now, time::Instant};

use super::{rate::Rate, schedule::Schedule};
use timer::Timer;

/// The shortest time between two wake-ups.
const QUANTUM: Duration = Duration::from_micros(500);

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

/// Waits for slots. Times count from a start.
pub(crate) struct Pacer {
    start: Instant,
    pacing: Pacing,
    timer: Timer,
    /// When it last woke up.
    woken: Duration,
}

impl Pacer {
    /// A pacer with a rate of zero. Times count from `start`.
    ///
    /// # Errors
    /// When the system has no timer left.
    pub(crate) fn new(start: Instant) -> io::Result<Self> {
        let (pacing, woken) = (Pacing::new(), Duration::ZERO);
        Ok(Self { start, pacing, timer: Timer::new()?, woken })
    }

    /// Changes the rate at once; returns the slots that have come before.
    #[must_use]
    pub(crate) fn set_rate(&mut self, rate: Rate) -> Batch {
        self.pacing.change_rate(self.start.elapsed(), rate)
    }

    /// Waits for the next slots. If it is cancelled, no slot is lost.
    pub(crate) async fn batch(&mut self) -> Batch {
        loop {
            let Some(next) = self.pacing.next(self.woken) else { pending().await };
            match next.checked_sub(self.start.elapsed()).filter(|left| !left.is_zero()) {
                Some(left) => self.timer.sleep(left).await,
                // It is late, but answers may have arrived.
                None => yield_now().await,
            }
            self.woken = self.start.elapsed();
            let batch = self.pacing.take(self.woken);
            if !batch.is_empty() {
                return batch;
            }
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

    /// Sets the rate; returns the slots that have come before, which are not late if the new rate is zero.
    pub(super) fn change_rate(&mut self, now: Duration, rate: Rate) -> Batch {
        let batch = self.take(now);
        self.set_rate(now, rate);
        batch
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
    use std::thread;

    use serde_json::json;
    use tokio::time::timeout;

    use super::*;

    fn rate(per_second: u32) -> Rate {
        Rate::parse(&json!({ "freq": per_second }), 10_000).unwrap()
    }

    #[tokio::test]
    async fn a_rate_is_in_force_at_once_and_zero_sends_nothing() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start).unwrap();
        for _ in 0..3 {
            let set_at = start.elapsed();
            let _ = pacer.set_rate(rate(1000));
            let first = pacer.batch().await;
            let first = first.due.first().copied().unwrap_or(set_at);
            assert!(first - set_at < Duration::from_millis(250), "after {:?}", first - set_at);
            let _ = pacer.set_rate(Rate::ZERO);
            let drain = async {
                loop {
                    assert_eq!(pacer.batch().await.due, []);
                }
            };
            assert!(timeout(Duration::from_millis(50), drain).await.is_err());
        }
    }

    #[test]
    fn what_was_due_before_a_stop_is_sent_and_not_missed() {
        let mut pacing = Pacing::new();
        pacing.set_rate(Duration::ZERO, rate(1000));
        let batch = pacing.change_rate(Duration::from_millis(3), Rate::ZERO);
        assert_eq!((batch.due.len(), batch.missed), (3, 0));
        assert!(pacing.take(Duration::from_millis(200)).is_empty());
    }

    #[tokio::test]
    async fn slots_that_nobody_takes_in_time_are_missed_not_queued() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start).unwrap();
        let _ = pacer.set_rate(rate(1000));
        let set_at = start.elapsed();
        thread::sleep(Duration::from_millis(500));
        let milliseconds = (start.elapsed() - set_at).as_millis() as u64;
        let mut batches = vec![pacer.batch().await, pacer.set_rate(Rate::ZERO)];
        while let Ok(batch) = timeout(Duration::from_millis(50), pacer.batch()).await {
            batches.push(batch);
        }
        let sent: usize = batches.iter().map(|batch| batch.due.len()).sum();
        let missed: u64 = batches.iter().map(|batch| batch.missed).sum();
        let all = sent as u64 + missed;
        let expected = milliseconds - 5..=milliseconds + 150;
        assert!(expected.contains(&all), "{all} slots in {milliseconds} ms");
        assert!(sent < 50, "{sent} are sent at once");
    }

    #[tokio::test]
    async fn waiting_that_is_cancelled_loses_no_slot() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start).unwrap();
        let _ = pacer.set_rate(rate(500));
        let mut slots = 0;
        while start.elapsed() < Duration::from_millis(400) {
            if let Ok(batch) = timeout(Duration::from_millis(1), pacer.batch()).await {
                slots += batch.due.len() as u64 + batch.missed;
            }
        }
        let due = start.elapsed().as_millis() as u64 / 2;
        assert!(slots <= due && due - slots < 60, "{slots} of {due}");
    }
}
