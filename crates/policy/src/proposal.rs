//! What a policy or a guard proposes.

use crate::{Reason, Weights};

/// Weights that a policy or a guard proposes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) weights: Weights,
    pub(crate) reason: Reason,
}

impl Proposal {
    /// Proposes to keep the weights in force.
    pub(crate) const fn keep(in_force: Weights, reason: Reason) -> Self {
        Self { weights: in_force, reason }
    }

    /// Whether it sends less to burst than the weights in force do.
    pub(crate) fn is_homeward(&self, in_force: Weights) -> bool {
        self.weights.burst_share() < in_force.burst_share()
    }
}
