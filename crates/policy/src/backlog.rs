//! The queue at primary, as far as the counters show it.
//!
//! What primary receives above its capacity waits there. Whoever comes later waits behind it, even when primary
//! no longer receives too much. An interval makes the queue longer by what was too much, and shorter by what
//! primary could have carried beside (a fluid queue, as in Newell, "Applications of Queueing Theory", chapter 2).

use std::time::Duration;

use crate::timeline::{Interval, Timeline};

/// The longest queue that counts, in seconds of capacity: who waits for longer has given up.
const LONGEST: f64 = 10.0;

/// A queue up to here is chance, in seconds of capacity: it goes by itself.
const BY_CHANCE: f64 = 0.6;

/// A longer queue should be gone after so many seconds. That is as long as it takes to see what a write has
/// done; with less, the weights would overshoot.
const GONE_AFTER: f64 = 2.0;

/// So much of one interval counts before the next one confirms it, in seconds of capacity: one sample alone
/// may be wrong.
const UNCONFIRMED: f64 = 1.0;

/// The queue at primary.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The requests that wait.
    requests: f64,
    /// What the last interval showed beyond [`UNCONFIRMED`]; `None` if it was within the capacity.
    unconfirmed: Option<f64>,
    /// The end of the last interval that is counted.
    until: Duration,
}

impl Backlog {
    /// Counts the new intervals. Primary can carry `capacity`, in requests per second, and receives
    /// `share` of the requests to no known cluster.
    pub(crate) fn observe(&mut self, timeline: &Timeline, capacity: f64, share: f64) {
        // Another source, or one whose clock was set back, counts from an earlier time on.
        if timeline.end().is_some_and(|end| end < self.until) {
            *self = Self::default();
        }
        for interval in timeline.since(self.until) {
            self.count(interval, capacity, share);
        }
    }

    fn count(&mut self, interval: &Interval, capacity: f64, share: f64) {
        let requests = &interval.requests;
        let at_primary = requests.primary.total + requests.unattributed.total * share;
        let excess = at_primary - capacity * interval.seconds();
        if excess <= 0.0 {
            self.unconfirmed = None;
            self.requests += excess;
        } else if let Some(before) = self.unconfirmed.replace(0.0) {
            self.requests += before + excess;
        } else {
            let counted = excess.min(UNCONFIRMED * capacity);
            self.unconfirmed = Some(excess - counted);
            self.requests += counted;
        }
        self.requests = self.requests.clamp(0.0, LONGEST * capacity);
        self.until = interval.to;
    }

    /// The requests that wait; `None` if there are no more than chance explains.
    pub(crate) fn waiting(&self, capacity: f64) -> Option<f64> {
        (BY_CHANCE * capacity < self.requests).then_some(self.requests)
    }

    /// How much less primary should receive, in requests per second, so that the queue goes.
    pub(crate) fn relief(&self, capacity: f64) -> f64 {
        (self.requests - BY_CHANCE * capacity).max(0.0) / GONE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClusterTraffic;

    const CAPACITY: f64 = 15.0;

    /// The queue after intervals of this length with these rates at primary.
    fn after(seconds: u64, rates: &[f64]) -> f64 {
        let (mut timeline, mut backlog) = (Timeline::default(), Backlog::default());
        for (index, rate) in rates.iter().enumerate() {
            let at = |index: usize| Duration::from_secs(seconds * index as u64);
            let mut requests = ClusterTraffic::default();
            requests.primary.total = rate * seconds as f64;
            let (from, to) = (at(index), at(index + 1));
            timeline.push(Interval { from, to, requests, is_complete: true });
            backlog.observe(&timeline, CAPACITY, 1.0);
            // The same again counts nothing twice.
            backlog.observe(&timeline, CAPACITY, 1.0);
        }
        backlog.requests
    }

    #[test]
    fn what_is_too_much_waits_until_there_is_room() {
        assert_eq!(after(1, &[15.0, 15.0, 10.0]), 0.0);
        assert_eq!(after(1, &[20.0, 25.0]), 15.0);
        assert_eq!(after(1, &[40.0, 40.0, 40.0]), 75.0);
        assert_eq!(after(1, &[40.0, 40.0, 5.0, 5.0]), 30.0);
        assert_eq!(after(5, &[20.0, 20.0, 10.0, 10.0, 10.0]), 0.0);
        assert_eq!(after(1, &[100.0; 100]), LONGEST * CAPACITY);
    }

    #[test]
    fn one_sample_alone_counts_little() {
        assert_eq!(after(1, &[5.0, 790.0]), CAPACITY);
        assert_eq!(after(1, &[5.0, 790.0, 5.0]), 5.0);
        assert_eq!(after(5, &[5.0, 790.0, 5.0]), 0.0);
    }

    #[test]
    fn a_source_of_an_earlier_clock_begins_without_a_queue() {
        let mut timeline = Timeline::default();
        let (from, to) = (Duration::from_secs(10), Duration::from_secs(11));
        let requests = ClusterTraffic::default();
        timeline.push(Interval { from, to, requests, is_complete: true });
        let until = Duration::from_secs(1_000_000);
        let mut backlog = Backlog { requests: 100.0, unconfirmed: Some(0.0), until };
        backlog.observe(&timeline, CAPACITY, 1.0);
        assert_eq!((backlog.waiting(CAPACITY), backlog.until), (None, to));
    }

    #[test]
    fn a_queue_by_chance_asks_for_no_relief() {
        let of = |requests| Backlog { requests, ..Backlog::default() };
        assert_eq!((of(9.0).waiting(CAPACITY), of(9.0).relief(CAPACITY)), (None, 0.0));
        assert_eq!((of(19.0).waiting(CAPACITY), of(19.0).relief(CAPACITY)), (Some(19.0), 5.0));
    }
}
