//! Lets through all of what happens now and then, and an even sample of what happens often.
//!
//! No clock: time comes in as an argument. The rule is the generic cell rate algorithm (ITU-T I.371):
//! each event that is let through moves a theoretical time on by one interval, and an event is let through
//! while that time is at most a tolerance ahead of now.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Lets through every event up to a rate, and an even sample of them above it.
#[derive(Debug)]
pub struct Sampler {
    /// Nanoseconds between two events at the rate; none if nothing is let through.
    interval: Option<u64>,
    /// How unevenly events may come and still all be let through: a second's worth at once.
    tolerance: u64,
    /// The time at which the next event would come if all those let through had come evenly.
    theoretical: AtomicU64,
}

impl Sampler {
    /// Lets through so many events a second; none if it is 0.
    #[must_use]
    pub fn per_second(rate: u32) -> Self {
        let interval = 1_000_000_000_u64.checked_div(rate.into());
        let tolerance = 1_000_000_000 - interval.unwrap_or_default();
        Self { interval, tolerance, theoretical: AtomicU64::new(0) }
    }

    /// Whether an event that happens at `now` is let through.
    pub fn lets_through(&self, now: Duration) -> bool {
        let Some(interval) = self.interval else { return false };
        // 2^64 ns are 584 years.
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let moved_on = |theoretical: u64| {
            let earliest = theoretical.saturating_sub(self.tolerance);
            (earliest <= now).then(|| theoretical.max(now) + interval)
        };
        self.theoretical.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved_on).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `count` results that come evenly over a second, starting at `second`, which are shown?
    fn shown(sampler: &Sampler, second: u64, count: u32) -> Vec<u32> {
        let start = Duration::from_secs(second);
        let at = |index| start + Duration::from_secs(1) * index / count;
        (0..count).filter(|index| sampler.lets_through(at(*index))).collect()
    }

    #[test]
    fn shows_every_result_up_to_100_a_second() {
        let sampler = Sampler::per_second(100);
        for second in 0..10 {
            assert_eq!(shown(&sampler, second, 100).len(), 100);
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
    fn shows_an_even_sample_above_that() {
        let sampler = Sampler::per_second(100);
        shown(&sampler, 0, 1000);
        for second in 1..10 {
            let shown = shown(&sampler, second, 1000);
            assert_eq!(shown.len(), 100);
            assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 10), "{shown:?}");
        }
    }
}
