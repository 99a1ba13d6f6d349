//! The schedule of sends: when each request is due, and which of those that are late are still sent.
//!
//! No clock, no waiting: time comes in as an argument, measured from a start of the caller's choosing.
//! Slots stand where a continuous count of `rate × time` passes a whole number, computed in integers,
//! so that the schedule neither drifts nor depends on how often it is looked at.
//!
//! Slots that are late, because the process did not run, are made good at no more than twice the rate,
//! as wrk2 does it. Those that are later than a tenth of a second are not: they would be a burst that
//! nobody asked for.

use std::{collections::VecDeque, time::Duration};

use super::rate::Rate;

/// One slot, in the unit of the count: thousandths of a request per second × nanoseconds.
const SLOT: u128 = 1_000_000_000_000;

/// How late a slot may be and still be sent.
pub(crate) const MAX_LATENESS: Duration = Duration::from_millis(100);

/// How many times the rate may be sent while late slots are made good.
const CATCH_UP: u128 = 2;

/// What may be saved up of that: as much as comes in 5 ms, and never less than one slot. It covers the
/// moments between two looks, so that a look that comes a little late sends all that is due.
const SAVED: Duration = Duration::from_millis(5);

/// Slots at a rate that may change at any time.
#[derive(Debug)]
pub(crate) struct Schedule {
    rate: Rate,
    /// When the rate last changed.
    anchor: u128,
    /// The count at the anchor, less the slots that had come by then: less than one slot.
    carried: u128,
    /// Slots that have come since the anchor.
    come: u128,
    /// When the slots were due that have come and may still be sent. At most as many as come in
    /// [`MAX_LATENESS`].
    waiting: VecDeque<Duration>,
    /// What may be sent now, in the unit of the count.
    allowance: u128,
    /// When the allowance was last filled.
    filled: u128,
}

impl Schedule {
    /// A schedule without slots.
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

    /// Changes the rate; returns how many slots are too late to be sent. The part of a slot that has
    /// passed stays passed, so there is neither a gap nor a burst, however often the rate changes. At a
    /// rate of zero nothing is sent any more, late or not.
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

    /// Takes the slots that are to be sent now: adds when each was due to `due`, and returns how many
    /// are too late to be sent.
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

    /// When there is something to be sent next; `None` if the rate is zero.
    pub(crate) fn next(&self) -> Option<Duration> {
        let rate = u128::from(self.rate.millis());
        let next_slot = self.slot(self.come + 1)?;
        if self.waiting.is_empty() {
            return Some(next_slot);
        }
        let missing = SLOT.saturating_sub(self.allowance);
        Some(duration(self.filled + missing.div_ceil(CATCH_UP * rate)))
    }

    /// Lets time pass: slots come, those that have waited for too long go, and the allowance fills.
    /// Returns how many have gone.
    fn advance(&mut self, now: Duration) -> u64 {
        let now_ns = now.as_nanos();
        let rate = u128::from(self.rate.millis());
        let passed = now_ns.saturating_sub(self.filled);
        let most = SLOT.max(CATCH_UP * rate * SAVED.as_nanos());
        // What was saved up at a higher rate stays: it is for slots that came then.
        self.allowance = self.allowance.max(most.min(self.allowance + CATCH_UP * rate * passed));
        self.filled = self.filled.max(now_ns);

        let come = (self.count(now_ns) / SLOT).max(self.come);
        let limit = now_ns.saturating_sub(MAX_LATENESS.as_nanos());
        // Those that came and went since the last look need not be listed.
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

    /// When a slot is due: the first nanosecond at which it has come in full.
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
