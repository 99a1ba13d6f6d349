//! A sampler: it limits how many of many events are logged or shown.
//!
//! It lets through every event up to a rate, and an even sample of the events above it. It is no
//! limit on what a client may do, because an event that is not let through is only not shown.
//!
//! The rule is the generic cell rate algorithm (ITU-T I.371). Each event that is let through moves
//! a theoretical time on by one interval. An event is let through while that time is at most a
//! tolerance ahead of now. The sampler reads no clock: time is an argument.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Lets through every event up to a rate, and an even sample of the events above it.
#[derive(Debug)]
pub struct Sampler {
    /// Nanoseconds between two events at the rate; `None` if nothing is let through.
    interval: Option<u64>,
    /// How unevenly events may come and still all be let through, in nanoseconds: the events of one
    /// second may come at once.
    tolerance: u64,
    /// The time of the next event if all events that were let through had come evenly, in
    /// nanoseconds.
    theoretical: AtomicU64,
}

impl Sampler {
    /// Lets through so many events a second; none if `rate` is 0.
    #[must_use]
    pub fn per_second(rate: u32) -> Self {
        let interval = 1_000_000_000_u64.checked_div(rate.into());
        let tolerance = 1_000_000_000 - interval.unwrap_or_default();
        Self { interval, tolerance, theoretical: AtomicU64::new(0) }
    }

    /// Whether an event at `now` is let through.
    pub fn lets_through(&self, now: Duration) -> bool {
        let Some(interval) = self.interval else { return false };
        // 2^64 ns are 584 years.
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let next = |theoretical: u64| {
            let earliest = theoretical.saturating_sub(self.tolerance);
            (earliest <= now).then(|| theoretical.max(now) + interval)
        };
        self.theoretical.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns which of `count` events that come evenly over a second, from `second`, are let
    /// through.
    fn let_through(sampler: &Sampler, second: u64, count: u32) -> Vec<u32> {
        let start = Duration::from_secs(second);
        let at = |index| start + Duration::from_secs(1) * index / count;
        (0..count).filter(|index| sampler.lets_through(at(*index))).collect()
    }

    #[test]
    fn every_event_is_let_through_up_to_the_rate() {
        let sampler = Sampler::per_second(100);
        for second in 0..10 {
            assert_eq!(let_through(&sampler, second, 100).len(), 100);
        }
        assert!(
            (0..100).all(|_| sampler.lets_through(Duration::from_secs(20))),
            "100 in one instant"
        );
        assert!(!sampler.lets_through(Duration::from_secs(20)));
    }

    #[test]
    fn nothing_is_let_through_at_zero() {
        let sampler = Sampler::per_second(0);
        assert!((0..100).all(|second| !sampler.lets_through(Duration::from_secs(second))));
    }

    #[test]
    fn an_even_sample_is_let_through_above_the_rate() {
        let sampler = Sampler::per_second(100);
        let_through(&sampler, 0, 1000);
        for second in 1..10 {
            let sample = let_through(&sampler, second, 1000);
            assert_eq!(sample.len(), 100);
            assert!(sample.windows(2).all(|pair| pair[1] - pair[0] == 10), "{sample:?}");
        }
    }
}
