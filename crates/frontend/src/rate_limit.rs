//! Limits how often something may happen: changes of the rate by one visitor, and wrong tokens.
//!
//! It refuses everything beyond its limit. [`chassis::Sampler`] is different: it chooses an even
//! sample of events that happen often. It knows no clock: time is an argument.

use std::{collections::VecDeque, time::Duration};

/// The number of events that are allowed within any second.
const MAX_PER_SECOND: usize = 5;

/// Allows [`MAX_PER_SECOND`] events within any second. It holds the times of the last second's
/// events.
#[derive(Debug, Default)]
pub(crate) struct RateLimit(VecDeque<Duration>);

impl RateLimit {
    /// Whether an event is allowed now. If so, records it.
    pub(crate) fn allow(&mut self, now: Duration) -> bool {
        let is_allowed = !self.is_reached(now);
        if is_allowed {
            self.record(now);
        }
        is_allowed
    }

    /// Whether the last second has as many events as are allowed.
    pub(crate) fn is_reached(&mut self, now: Duration) -> bool {
        while self.0.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
            self.0.pop_front();
        }
        MAX_PER_SECOND <= self.0.len()
    }

    /// Records an event. The caller must know that the limit is not reached, or memory grows.
    pub(crate) fn record(&mut self, now: Duration) {
        self.0.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_events_are_allowed_within_any_second() {
        let mut limit = RateLimit::default();
        let allowed = |limit: &mut RateLimit, ms| limit.allow(Duration::from_millis(ms));
        for ms in [0, 100, 200, 300, 400] {
            assert!(allowed(&mut limit, ms));
        }
        assert!(!allowed(&mut limit, 999));
        assert!(allowed(&mut limit, 1000));
        assert!(!allowed(&mut limit, 1050));
        assert!(allowed(&mut limit, 1100));
    }
}
