//! The schedule: when each request is due, and which late requests are still sent.
//!
//! A slot is the moment at which a continuous count of `rate × time` passes a whole number. The
//! count is computed in integers, so the schedule does not drift, and does not depend on how often
//! it is read. Nothing here waits or knows a clock: time is an argument, and counts from a start
//! that the caller chooses.
//!
//! Slots are late if the process did not run for a moment. The schedule catches up at no more than
//! twice the rate, as wrk2 does. It drops slots that are more than a tenth of a second late:
//! together they would be a burst that nobody requested.

use std::{collections::VecDeque, time::Duration};

use super::rate::Rate;

/// One slot, in the unit of the count: thousandths of a request per second × nanoseconds.
const SLOT: u128 = 1_000_000_000_000;

/// How late a slot may be sent.
pub(crate) const MAX_LATENESS: Duration = Duration::from_millis(100);

/// The highest multiple of the rate while the schedule catches up.
const CATCH_UP: u128 = 2;

/// The time over which the allowance may accumulate; it is never less than one slot. It covers the
/// time between two wake-ups, so a slightly late wake-up sends everything that is due.
const ALLOWANCE_TIME: Duration = Duration::from_millis(5);

/// The slots of a rate that may change at any time.
#[derive(Debug)]
pub(crate) struct Schedule {
    rate: Rate,
    /// When the rate last changed.
    anchor: u128,
    /// The part of a slot that had passed at the anchor: the count, without the slots that had
    /// come.
    carried: u128,
    /// The number of slots that have come since the anchor.
    come: u128,
    /// The due times of the slots that have come and may still be sent. There are at most as many
    /// as come in [`MAX_LATENESS`].
    waiting: VecDeque<Duration>,
    /// How much may be sent now, in the unit of the count.
    allowance: u128,
    /// When the allowance was last filled.
    filled: u128,
}

impl Schedule {
    /// Creates a schedule with a rate of zero, which has no slots.
    pub(crate) fn new() -> Self {
        let waiting = VecDeque::new();
        Self {
            rate: Rate::ZERO,
            anchor: 0,
            carried: 0,
            come: 0,
            waiting,
            allowance: SLOT,
            filled: 0,
        }
    }

    /// Changes the rate; returns the number of slots that are too late to be sent.
    ///
    /// The part of a slot that has passed is kept, so there is neither a gap nor a burst, however
    /// often the rate changes. A rate of zero also drops the late slots.
    pub(crate) fn set_rate(&mut self, now: Duration, rate: Rate) -> u64 {
        let mut missed = self.advance(now);
        self.carried = self.count(now.as_nanos()) - self.come * SLOT;
        self.anchor = now.as_nanos();
        self.come = 0;
        self.rate = rate;
        if rate == Rate::ZERO {
            missed += self.waiting.len() as u64;
            self.waiting.clear();
        }
        missed
    }

    /// Takes the slots to send now: adds their due times to `due`, and returns the number of slots
    /// that are too late to be sent.
    pub(crate) fn take_due(&mut self, now: Duration, due: &mut Vec<Duration>) -> u64 {
        let missed = self.advance(now);
        while SLOT <= self.allowance
            && let Some(at) = self.waiting.pop_front()
        {
            self.allowance -= SLOT;
            due.push(at);
        }
        missed
    }

    /// When the next slot may be sent; `None` if the rate is zero.
    pub(crate) fn next(&self) -> Option<Duration> {
        let rate = u128::from(self.rate.millis());
        let next_slot = self.slot(self.come + 1)?;
        if self.waiting.is_empty() {
            return Some(next_slot);
        }
        let missing = SLOT.saturating_sub(self.allowance);
        Some(duration(self.filled + missing.div_ceil(CATCH_UP * rate)))
    }

    /// Advances to `now`: adds the slots that have come, drops those that have become too late, and
    /// fills the allowance. Returns the number of dropped slots.
    fn advance(&mut self, now: Duration) -> u64 {
        let now_ns = now.as_nanos();
        let rate = u128::from(self.rate.millis());
        let passed = now_ns.saturating_sub(self.filled);
        let most = SLOT.max(CATCH_UP * rate * ALLOWANCE_TIME.as_nanos());
        // The allowance of a higher rate is kept: it is for slots that came at that rate.
        self.allowance = self.allowance.max(most.min(self.allowance + CATCH_UP * rate * passed));
        self.filled = self.filled.max(now_ns);

        let come = (self.count(now_ns) / SLOT).max(self.come);
        let limit = now_ns.saturating_sub(MAX_LATENESS.as_nanos());
        // Slots that came and became too late since the last call need not be listed.
        let gone = (self.count(limit) / SLOT).clamp(self.come, come);
        let mut missed = u64::try_from(gone - self.come).unwrap_or(u64::MAX);
        if 0 < missed {
            missed += self.waiting.len() as u64;
            self.waiting.clear();
        }
        for index in gone + 1..=come {
            self.waiting.extend(self.slot(index));
        }
        self.come = come;
        while self.waiting.front().is_some_and(|at| at.as_nanos() < limit) {
            self.waiting.pop_front();
            missed += 1;
        }
        missed
    }

    /// When a slot is due: the first nanosecond at which the count has passed it.
    fn slot(&self, index: u128) -> Option<Duration> {
        let rate = u128::from(self.rate.millis());
        let missing = (index * SLOT).saturating_sub(self.carried);
        (0 < rate).then(|| duration(self.anchor + missing.div_ceil(rate)))
    }

    fn count(&self, at: u128) -> u128 {
        self.carried + u128::from(self.rate.millis()) * at.saturating_sub(self.anchor)
    }
}

fn duration(nanos: u128) -> Duration {
    // 2^64 ns are 584 years.
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
