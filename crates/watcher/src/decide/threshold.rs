//! The codelab's rule: all to burst above one rate, all home below another.

use std::time::Duration;

use contract::Cluster;

use super::Wish;
use crate::{config::ThresholdSettings, reason::Reason, weights::Weights};

/// Beside the thresholds stands a hold on the low side: when traffic moves, it starts a new time series, and
/// `rate()` dips until that has enough samples.
#[derive(Debug)]
pub(super) struct Threshold {
    settings: ThresholdSettings,
    /// Since when every reading has been low.
    low_since: Option<Duration>,
}

impl Threshold {
    pub(super) fn new(settings: ThresholdSettings) -> Self {
        Self { settings, low_since: None }
    }

    /// What was seen before an outage says nothing any more.
    pub(super) fn forget(&mut self) {
        self.low_since = None;
    }

    /// Takes a reading.
    pub(super) fn note(&mut self, now: Duration, rate: f64) {
        let is_low = rate < self.settings.home_below;
        self.low_since = is_low.then(|| self.low_since.unwrap_or(now));
    }

    /// Where traffic should go at the rate that was noted last.
    pub(super) fn wish(&self, now: Duration, rate: f64, in_force: Weights) -> Wish {
        let ThresholdSettings { burst_above: above, home_below: below, home_hold: hold } =
            self.settings;
        let settled = |cluster, reason| {
            let is_there = in_force.are_all_to(cluster);
            if is_there { Reason::Settled { rate } } else { reason }
        };
        if above < rate {
            let reason = settled(Cluster::Burst, Reason::High { rate, above });
            return Wish { weights: Weights::all_to(Cluster::Burst), reason };
        }
        let Some(since) = self.low_since else {
            return Wish { weights: in_force, reason: Reason::Between { rate, below, above } };
        };
        let low_for = now.saturating_sub(since);
        if hold <= low_for || in_force.are_all_to(Cluster::Primary) {
            let reason = settled(Cluster::Primary, Reason::Low { rate, below, hold });
            return Wish { weights: Weights::all_to(Cluster::Primary), reason };
        }
        let reason = Reason::LowNotForLong { rate, below, left: hold.saturating_sub(low_for) };
        Wish { weights: in_force, reason }
    }
}
