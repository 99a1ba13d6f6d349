//! The schedule of sends: when each request is due.
//!
//! No clock, no waiting: time comes in as an argument, in nanoseconds since a start of the caller's
//! choosing. Slots stand where a continuous count of `rate × time` passes a whole number, computed in
//! integers, so that the schedule neither drifts nor depends on how often it is looked at.

use std::time::Duration;

use crate::rate::Rate;

/// One slot, in the unit of the count: thousandths of a request per second × nanoseconds.
const SLOT: u128 = 1_000_000_000_000;

/// A slot that is later than this is not sent: it would be a burst that nobody asked for.
const MAX_LATENESS: Duration = Duration::from_millis(100);

/// Slots at a rate that may change at any time.
#[derive(Debug)]
pub(crate) struct Schedule {
    rate: Rate,
    /// When the rate last changed.
    anchor: u128,
    /// The count at the anchor, less the slots taken by then: less than one slot.
    carried: u128,
    /// Slots taken since the anchor.
    taken: u128,
}

/// The slots that have come since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// To be sent now.
    pub(crate) send: u64,
    /// Too late to be sent.
    pub(crate) missed: u64,
}

impl Schedule {
    /// A schedule without slots.
    pub(crate) fn new() -> Self {
        Self { rate: Rate::ZERO, anchor: 0, carried: 0, taken: 0 }
    }

    /// Takes all slots that are due, then changes the rate. The part of a slot that has passed stays
    /// passed, so there is neither a gap nor a burst, however often the rate changes.
    pub(crate) fn set_rate(&mut self, now: Duration, rate: Rate) -> Due {
        let due = self.take_due(now);
        self.carried = self.count(now.as_nanos()) - self.taken * SLOT;
        self.anchor = now.as_nanos();
        self.taken = 0;
        self.rate = rate;
        due
    }

    /// When the next slot is due; `None` if the rate is zero.
    pub(crate) fn next(&self) -> Option<Duration> {
        let rate = u128::from(self.rate.millis());
        let missing = ((self.taken + 1) * SLOT).saturating_sub(self.carried);
        // The first nanosecond at which the slot has come in full.
        let wait = missing.checked_add(rate.checked_sub(1)?)? / rate;
        Some(duration(self.anchor + wait))
    }

    /// Takes all slots that are due.
    pub(crate) fn take_due(&mut self, now: Duration) -> Due {
        let due = self.untaken(now.as_nanos());
        let limit = now.as_nanos().saturating_sub(MAX_LATENESS.as_nanos());
        let missed = self.untaken(limit).min(due);
        self.taken += u128::from(due);
        Due { send: due - missed, missed }
    }

    /// Slots that had come at a time and are not taken.
    fn untaken(&self, at: u128) -> u64 {
        let slots = (self.count(at) / SLOT).saturating_sub(self.taken);
        u64::try_from(slots).unwrap_or(u64::MAX)
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
mod tests {
    use serde_json::json;

    use super::*;

    fn rate(per_second: f64) -> Rate {
        Rate::asked(&json!({ "freq": per_second }), 10_000).unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Sends whenever a slot is due, and nothing else, until `end`; returns when each was sent.
    fn play(schedule: &mut Schedule, end: Duration) -> Vec<Duration> {
        let mut sent = Vec::new();
        while let Some(at) = schedule.next().filter(|at| *at <= end) {
            let due = schedule.take_due(at);
            assert_eq!(due, Due { send: 1, missed: 0 }, "one slot is due when its time has come");
            sent.push(at);
        }
        sent
    }

    #[test]
    fn holds_every_rate_without_drift() {
        for per_second in [0.5, 1.0, 2.5, 3.0, 7.0, 300.0, 400.0, 700.0, 1000.0, 10_000.0] {
            let mut schedule = Schedule::new();
            schedule.set_rate(Duration::ZERO, rate(per_second));
            let sent = play(&mut schedule, Duration::from_secs(60));
            assert_eq!(sent.len() as f64, per_second * 60.0, "at {per_second}/s");
            for (index, at) in sent.iter().enumerate() {
                let ideal_ns = (index + 1) as f64 / per_second * 1e9;
                assert!(
                    (at.as_nanos() as f64 - ideal_ns).abs() <= 1.0,
                    "slot {index} at {per_second}/s"
                );
            }
        }
    }

    #[test]
    fn no_rate_has_no_slots() {
        let mut schedule = Schedule::new();
        assert_eq!(schedule.next(), None);
        assert_eq!(schedule.take_due(Duration::from_secs(1000)), Due::default());
    }

    #[test]
    fn a_change_of_rate_keeps_what_has_passed_of_a_slot() {
        let mut schedule = Schedule::new();
        schedule.set_rate(Duration::ZERO, rate(1.0));
        schedule.set_rate(ms(600), rate(10.0));
        assert_eq!(schedule.next(), Some(ms(640)), "the missing 0.4 of a slot take 40 ms at 10/s");
        schedule.set_rate(ms(620), rate(0.0));
        assert_eq!(schedule.next(), None);
        schedule.set_rate(ms(5000), rate(1.0));
        assert_eq!(schedule.next(), Some(ms(5200)), "0.8 of a slot had passed");
    }

    #[test]
    fn many_changes_neither_lose_nor_add_a_slot() {
        let mut schedule = Schedule::new();
        let (mut sent, mut area) = (0, 0.0);
        for step in 0..1000_u64 {
            let per_second = (step % 7 * 100 + 1) as f64;
            sent += schedule.set_rate(ms(step), rate(per_second)).send;
            area += per_second * 0.001;
            sent += schedule.take_due(ms(step + 1)).send;
        }
        assert!((sent as f64 - area).abs() <= 1.0, "{sent} sent of {area}");
    }

    #[test]
    fn slots_that_are_too_late_are_missed_not_sent() {
        let mut schedule = Schedule::new();
        schedule.set_rate(Duration::ZERO, rate(1000.0));
        assert_eq!(schedule.take_due(ms(1)), Due { send: 1, missed: 0 });
        assert_eq!(schedule.take_due(ms(101)), Due { send: 100, missed: 0 });
        assert_eq!(schedule.take_due(ms(1101)), Due { send: 100, missed: 900 });
        assert_eq!(schedule.next(), Some(ms(1102)));
    }

    #[test]
    fn slots_due_at_a_change_of_rate_are_still_due() {
        let mut schedule = Schedule::new();
        schedule.set_rate(Duration::ZERO, rate(1000.0));
        assert_eq!(schedule.set_rate(ms(10), rate(1.0)), Due { send: 10, missed: 0 });
        assert_eq!(schedule.next(), Some(ms(1010)));
    }
}
