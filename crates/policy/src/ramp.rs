//! The ramp: the weight of burst rises in steps, so that burst can warm up or grow.

use std::time::Duration;

use crate::{BurstSettings, Reason, Weights, proposal::Proposal};

/// Limits how fast the weight of burst rises.
#[derive(Debug)]
pub(crate) struct Ramp {
    /// The largest rise, in percent of all traffic; 100 is no limit.
    step: u32,
    /// The time between two rises.
    every: Duration,
    /// When the weight of burst last rose, whoever moved it.
    rose_at: Option<Duration>,
    /// The share of burst at the last observation.
    burst_share: Option<f64>,
}

impl Ramp {
    pub(crate) const fn new(settings: &BurstSettings) -> Self {
        let BurstSettings { burst_step: step, burst_step_every: every, .. } = *settings;
        Self { step, every, rose_at: None, burst_share: None }
    }

    /// Observes the weights in force.
    pub(crate) fn observe(&mut self, now: Duration, in_force: Weights) {
        let share = in_force.burst_share();
        if self.burst_share.replace(share).is_some_and(|before| before < share) {
            self.rose_at = Some(now);
        }
    }

    /// Makes a rise from `from` no larger than a step, and holds it until the next step is due. What saves
    /// requests from a failing primary does not wait.
    pub(crate) fn limit(&self, now: Duration, proposal: Proposal, from: Weights) -> Proposal {
        let percent = |weights: Weights| 100.0 * weights.burst_share();
        let most = percent(from) + f64::from(self.step);
        let is_rise = percent(from) < percent(proposal.weights);
        let is_limited = self.step < 100 && is_rise && !proposal.reason.is_primary_failing();
        if !is_limited {
            return proposal;
        }
        let target = percent(proposal.weights).round() as u32;
        let next = self.rose_at.map_or(now, |at| at + self.every);
        if now < next {
            return Proposal::keep(from, Reason::RampWaiting { target, left: next - now });
        }
        if percent(proposal.weights) <= most {
            return proposal;
        }
        let burst = most.floor() as u32;
        Proposal { weights: Weights::with_burst(burst), reason: Reason::Ramp { burst, target } }
    }
}
