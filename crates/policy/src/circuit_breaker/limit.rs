//! What a circuit breaker leaves of a proposal.

use std::time::Duration;

use super::{CircuitBreaker, State};
use crate::{Reason, Requests, Weights, proposal::Proposal};

impl CircuitBreaker {
    /// Limits what a proposal gives to the cluster.
    pub(crate) fn limit(
        &mut self,
        now: Duration,
        proposal: Proposal,
        in_force: Weights,
    ) -> Proposal {
        let cluster = self.cluster;
        let is_needed = 0 < proposal.weights.weight_of(cluster);
        match self.state {
            State::Open { until, .. } if now < until && !is_needed => proposal,
            State::Open { from, until, requests } if now < until => {
                let left = until.saturating_sub(now);
                let reason = if from == now {
                    Reason::ClusterUnhealthy { cluster, requests, ejection: left }
                } else {
                    Reason::ClusterEjected { cluster, left }
                };
                Proposal { weights: Weights::all_to(cluster.other()), reason }
            }
            State::Closed => proposal,
            State::Open { .. } | State::HalfOpen { .. } if !is_needed => {
                // The trial waits until the cluster is needed.
                let requests = Requests::default();
                self.state = State::Open { from: now, until: now, requests };
                proposal
            }
            State::Open { .. } | State::HalfOpen { .. } if self.is_blind => {
                if proposal.weights.share_of(cluster) <= in_force.share_of(cluster) {
                    return proposal;
                }
                // FALLBACK sends nothing to a cluster that failed when it was seen last.
                let left = Duration::ZERO;
                Proposal::keep(in_force, Reason::ClusterEjected { cluster, left })
            }
            State::Open { .. } => {
                self.state = State::HalfOpen { since: None };
                self.judged_until = now;
                self.limit_to_trial(proposal, Duration::ZERO)
            }
            State::HalfOpen { since } => {
                let on_trial_for = now.saturating_sub(since.unwrap_or(now));
                self.limit_to_trial(proposal, on_trial_for)
            }
        }
    }

    /// The trial's share doubles with each ejection time, so that a few requests end it, too.
    fn limit_to_trial(&self, proposal: Proposal, on_trial_for: Duration) -> Proposal {
        let Self { cluster, settings, .. } = self;
        let cluster = *cluster;
        let doublings = on_trial_for.as_secs_f64() / settings.ejection_time.as_secs_f64();
        let factor = 2_u32.saturating_pow(doublings as u32);
        let percent = settings.trial_percent.saturating_mul(factor).min(100);
        let trial = Weights::with_percent_to(cluster, percent);
        if proposal.weights.share_of(cluster) <= trial.share_of(cluster) {
            return proposal;
        }
        Proposal { weights: trial, reason: Reason::ClusterOnTrial { cluster, percent } }
    }
}
