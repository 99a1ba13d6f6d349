//! The rule of the 2018 workshop.

use std::{collections::VecDeque, time::Duration};

use contract::Cluster;
use policy::Weights;

use super::Seen;

/// The window of its query. A sample at its beginning is outside of it, as in Prometheus.
const WINDOW: Duration = Duration::from_secs(15);

/// Its thresholds, as parts of the capacity: 15/s and 10/s of 15/s.
const BURST_ABOVE: f64 = 1.0;
const HOME_BELOW: f64 = 2.0 / 3.0;

/// The rule, with the samples of its window.
pub(crate) struct Codelab {
    capacity: f64,
    samples: VecDeque<(Duration, f64)>,
}

impl Codelab {
    pub(crate) const fn new(capacity: f64) -> Self {
        Self { capacity, samples: VecDeque::new() }
    }

    pub(crate) fn choose(&mut self, seen: &Seen<'_>) -> Option<Weights> {
        if seen.is_sampled {
            self.samples.push_back((seen.now, seen.counters.total()));
        }
        while self.samples.front().is_some_and(|(at, _)| *at + WINDOW <= seen.now) {
            self.samples.pop_front();
        }
        let rate = self.rate().unwrap_or(0.0) / self.capacity;
        match rate {
            rate if BURST_ABOVE < rate => Some(Weights::all_to(Cluster::Burst)),
            rate if rate < HOME_BELOW => Some(Weights::all_to(Cluster::Primary)),
            _ => None,
        }
    }

    /// The requests per second between the first and the last sample; `None` with fewer than two.
    fn rate(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        (from < to).then(|| (last - first) / (*to - *from).as_secs_f64())
    }
}
