//! What became of a load under a rule.

use std::time::Duration;

use policy::Weights;

/// A write of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// The time since the start of the trace.
    pub at: Duration,
    /// The weights before.
    pub from: Weights,
    /// The weights after.
    pub to: Weights,
    /// The name of the reason; none for a rule without reasons.
    pub reason: &'static str,
    /// The reason as a sentence.
    pub text: String,
}

/// What became of a load under a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The seconds that were played.
    pub seconds: u64,
    /// The seconds of which nothing is known.
    pub unknown_seconds: u64,
    /// The seconds in which a new request to primary would have waited for more than a second.
    pub late_seconds: u64,
    /// The longest wait of a new request to primary, in seconds.
    pub longest_wait: f64,
    /// All requests.
    pub requests: f64,
    /// The requests that went to burst.
    pub to_burst: f64,
    /// Those of them that primary could not have carried in their second.
    pub needed: f64,
    /// The number of writes of the weights.
    pub writes: u64,
    /// The number of writes in the other direction than the write before.
    pub reversals: u64,
    /// The direction of the last write: whether it sent more to burst.
    pub(crate) was_rise: Option<bool>,
}

impl Outcome {
    /// The share of all requests that went to burst, 0 to 1.
    #[must_use]
    pub fn burst_share(&self) -> f64 {
        if 0.0 < self.requests { self.to_burst / self.requests } else { 0.0 }
    }

    pub(crate) fn record_write(&mut self, from: Weights, to: Weights) {
        let is_rise = from.burst_share() < to.burst_share();
        self.writes += 1;
        self.reversals += u64::from(self.was_rise.replace(is_rise) == Some(!is_rise));
    }
}
