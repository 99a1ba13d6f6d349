//! Holds the measured split of the traffic against the weights in force.

use std::time::Duration;

use crate::{
    ClusterTraffic, Weights,
    evidence::{LIKELY, PROOF, binomial_divergence},
    shares::Shares,
    timeline::Timeline,
};

/// How far back the measured split reaches.
const MAX_WINDOW: Duration = Duration::from_secs(60);

/// Burst must have received so many requests, by the weights, for the movable share to be taken for all.
const ENOUGH_REQUESTS: f64 = 100.0;

/// The measured split of the requests since the weights in force reach every proxy.
///
/// Requests that name no cluster do not count: their cluster fails, and that is another matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeasuredSplit {
    /// The share of burst by the weights.
    expected: f64,
    /// The requests that burst received.
    burst: f64,
    /// The requests that either cluster received.
    total: f64,
}

impl MeasuredSplit {
    /// Measures the split; `None` without requests.
    pub(crate) fn new(timeline: &Timeline, shares: &Shares, in_force: Weights) -> Option<Self> {
        let since = shares.settled_since()?.max(timeline.end()?.saturating_sub(MAX_WINDOW));
        let mut requests = ClusterTraffic::default();
        for interval in timeline.all_newest_first().take_while(|interval| since <= interval.from) {
            requests.add_scaled(&interval.requests, 1.0);
        }
        let burst = requests.burst.total;
        let total = requests.primary.total + burst;
        (0.0 < total).then(|| Self { expected: in_force.burst_share(), burst, total })
    }

    /// The share of the requests that burst received, if that is proven not to follow the weights: less
    /// than half of burst's share, or less than half of primary's.
    pub(crate) fn share_if_not_obeyed(&self) -> Option<f64> {
        let measured = self.measured();
        let is_far = measured < self.expected / 2.0 || 1.0 - measured < (1.0 - self.expected) / 2.0;
        (is_far && PROOF <= self.divergence()).then_some(measured)
    }

    /// The share of the requests that the weights divide, from 0.5 to 1. The others go to primary,
    /// whatever the weights are: a rule for some of the requests may name primary alone.
    ///
    /// `None` if the measured split proves neither a smaller share than before, nor makes all likely.
    pub(crate) fn movable_share(&self) -> Option<f64> {
        let measured = self.measured();
        if self.expected <= 0.0 || measured < self.expected / 2.0 {
            return None;
        }
        if measured < self.expected && PROOF <= self.divergence() {
            return Some(measured / self.expected);
        }
        let is_enough = ENOUGH_REQUESTS <= self.expected * self.total;
        (is_enough && self.divergence() < LIKELY).then_some(1.0)
    }

    fn measured(&self) -> f64 {
        self.burst / self.total
    }

    fn divergence(&self) -> f64 {
        binomial_divergence(self.burst, self.total, self.expected)
    }
}
