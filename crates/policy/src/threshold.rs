//! The threshold policy, which is the rule of the 2018 workshop: all traffic goes to burst above
//! one rate, and all traffic comes home below another rate.

use contract::Cluster;

use crate::{
    Estimate, Reason, ThresholdSettings, Weights,
    evidence::{prove_above, prove_below},
    proposal::Proposal,
    timeline::Timeline,
};

/// Proposes weights for the requests of a timeline, whose present rate is estimated.
pub(crate) fn propose(
    settings: &ThresholdSettings,
    timeline: &Timeline,
    estimate: Estimate,
    in_force: Weights,
) -> Proposal {
    let ThresholdSettings { burst_above: above, home_below: below, home_hold: hold } = *settings;
    if let Some(proof) = prove_above(timeline, above) {
        let estimate = timeline.estimate_of(proof);
        return all_to(Cluster::Burst, in_force, Reason::High { estimate, above });
    }
    if let Some(proof) = prove_below(timeline, below, hold) {
        let estimate = timeline.estimate_of(proof);
        return all_to(Cluster::Primary, in_force, Reason::Low { estimate, below });
    }
    let is_home = in_force.is_all_to(Cluster::Primary);
    let reason = match estimate.rate {
        rate if above < rate && !in_force.is_all_to(Cluster::Burst) => {
            Reason::HighUnproven { estimate, above }
        }
        rate if rate < below && !is_home => Reason::LowStabilizing { estimate, below, hold },
        rate if below <= rate && rate <= above => Reason::Between { estimate, below, above },
        _ => Reason::NoChange { estimate },
    };
    Proposal::keep(in_force, reason)
}

/// All traffic to one cluster; without a change if it is already there.
fn all_to(cluster: Cluster, in_force: Weights, reason: Reason) -> Proposal {
    let is_there = in_force.is_all_to(cluster);
    let reason = match reason {
        Reason::High { estimate, .. } | Reason::Low { estimate, .. } if is_there => {
            Reason::NoChange { estimate }
        }
        reason => reason,
    };
    Proposal { weights: Weights::all_to(cluster), reason }
}
