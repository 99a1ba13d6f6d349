//! The guards: what corrects the policy's proposal, or stands in for it while the rate is unknown.

use std::time::Duration;

use contract::Cluster;

use super::Decider;
use crate::{Fallback, GuardSettings, Reason, Weights, proposal::Proposal};

/// Two clusters fail alike if their failure ratios differ by no more than this.
const SIMILAR_RATIOS: f64 = 0.1;

impl Decider {
    /// The circuit breakers correct the proposal. If both clusters fail, the worse one loses; if both
    /// fail alike, nothing moves.
    pub(super) fn avoid_unhealthy_clusters(
        &mut self,
        now: Duration,
        proposal: Proposal,
        in_force: Weights,
    ) -> Proposal {
        let has_failover = self.settings.guards.failover;
        let (primary_breaker, burst_breaker) = (&mut self.primary_breaker, &mut self.burst_breaker);
        let ratios = (primary_breaker.unhealthy_ratio(now), burst_breaker.unhealthy_ratio(now));
        if !has_failover {
            primary_breaker.withdraw(now);
        }
        if let (Some(primary), Some(burst)) = ratios {
            if (primary - burst).abs() <= SIMILAR_RATIOS {
                // Otherwise nobody would judge them again before the ejections end.
                primary_breaker.withdraw(now);
                burst_breaker.withdraw(now);
                return Proposal::keep(in_force, Reason::BothUnhealthy { primary, burst });
            }
            if burst < primary {
                burst_breaker.close(now);
                return match has_failover {
                    true => primary_breaker.limit(now, proposal, in_force),
                    false => proposal,
                };
            }
        } else if has_failover {
            let proposal = primary_breaker.limit(now, proposal, in_force);
            if primary_breaker.is_open(now) && ratios.1.is_none() {
                // With primary ejected, a trial of burst with all traffic loses nothing.
                burst_breaker.close(now);
            }
            return burst_breaker.limit(now, proposal, in_force);
        }
        burst_breaker.limit(now, proposal, in_force)
    }

    /// Keeps the weights while burst would receive more and is not known to be ready.
    pub(super) fn wait_for_burst(
        &self,
        now: Duration,
        proposal: Proposal,
        in_force: Weights,
    ) -> Proposal {
        let is_more = in_force.burst_share() < proposal.weights.burst_share();
        match self.burst_readiness.problem(now) {
            Some(kind) if is_more => Proposal::keep(in_force, Reason::BurstNotReady { kind }),
            _ => proposal,
        }
    }

    pub(super) fn propose_for_unknown_rate(
        &self,
        now: Duration,
        kind: &'static str,
        in_force: Weights,
    ) -> Proposal {
        let GuardSettings { fallback, fallback_after, .. } = self.settings.guards;
        let since = now.saturating_sub(self.requests.unknown_since());
        // Before the first request there is no rate, which is no outage while traffic is at home.
        let is_idle =
            self.requests.has_never_seen_requests(kind) && in_force.is_all_to(Cluster::Primary);
        if is_idle {
            return Proposal::keep(in_force, Reason::NoRequestsYet { kind });
        }
        let to = match fallback {
            _ if since < fallback_after => None,
            Fallback::Hold => None,
            Fallback::Home => Some(Cluster::Primary),
            Fallback::Burst => Some(Cluster::Burst),
        };
        match to {
            None => Proposal::keep(in_force, Reason::Unknown { kind, since }),
            Some(to) => {
                let reason = Reason::Fallback { kind, since, to };
                Proposal { weights: Weights::all_to(to), reason }
            }
        }
    }
}
