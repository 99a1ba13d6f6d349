//! What a guard displaces, and how it comes back.

use super::Decider;
use crate::{Reason, Weights, proposal::Proposal};

/// The weights of a guard, and those that the policy has in their place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Displaced {
    by_guard: Weights,
    by_policy: Weights,
}

impl Decider {
    /// The weights that would be in force if no guard had displaced them.
    pub(super) fn without_guards(&self, in_force: Weights) -> Weights {
        match self.displaced {
            Some(Displaced { by_guard, by_policy }) if by_guard.has_same_split(in_force) => {
                by_policy
            }
            _ => in_force,
        }
    }

    /// Remembers what a guard displaces, so that it comes back.
    pub(super) fn record_displaced(&mut self, by_policy: Weights, proposal: &Proposal) {
        let by_guard = proposal.weights;
        let is_displaced = !by_guard.has_same_split(by_policy);
        self.displaced = is_displaced.then_some(Displaced { by_guard, by_policy });
    }
}

/// When a guard no longer displaces the policy's weights, they return without a reason of their own.
pub(super) fn explain_return(proposal: Proposal, base: Weights, in_force: Weights) -> Proposal {
    let is_return = !base.has_same_split(in_force) && proposal.weights.has_same_split(base);
    if !is_return {
        return proposal;
    }
    let burst = (base.burst_share() * 100.0).round() as u32;
    Proposal { reason: Reason::Restored { burst }, ..proposal }
}
