//! The reason of a decision, as data, so that the log, the Event, the metric, the status and
//! `explain` all say the same.

mod display;
mod kinds;
mod names;

use std::time::Duration;

use contract::Cluster;

use crate::{Estimate, Requests};

pub use display::HumanDuration;

/// The reason of a decision, with the evidence behind it. Ratios and shares are from 0 to 1, weights of
/// burst in percent.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The weights in force are right for the rate.
    NoChange {
        /// The rate.
        estimate: Estimate,
    },
    /// Threshold: the rate is proven to be above the upper threshold.
    High {
        /// The rate, in the window of the proof.
        estimate: Estimate,
        /// `BURST_ABOVE`.
        above: f64,
    },
    /// Threshold: the rate may be above the upper threshold, but that is not proven yet.
    HighUnproven {
        /// The rate.
        estimate: Estimate,
        /// `BURST_ABOVE`.
        above: f64,
    },
    /// Threshold: the rate is proven to be below the lower threshold, for long enough.
    Low {
        /// The rate, in the window of the proof.
        estimate: Estimate,
        /// `HOME_BELOW`.
        below: f64,
    },
    /// Threshold: the rate is low, but not yet proven, or not yet for long enough.
    LowStabilizing {
        /// The rate.
        estimate: Estimate,
        /// `HOME_BELOW`.
        below: f64,
        /// `HOME_HOLD`.
        hold: Duration,
    },
    /// Threshold: the rate is between the thresholds.
    Between {
        /// The rate.
        estimate: Estimate,
        /// `HOME_BELOW`.
        below: f64,
        /// `BURST_ABOVE`.
        above: f64,
    },
    /// Spill: primary receives more than it can carry.
    Overflow {
        /// The rate.
        estimate: Estimate,
        /// `CAPACITY`.
        capacity: f64,
        /// The new weight of burst, in percent.
        burst: u32,
    },
    /// Spill: requests wait at primary.
    Backlog {
        /// The rate.
        estimate: Estimate,
        /// The requests that wait.
        waiting: f64,
        /// The new weight of burst, in percent.
        burst: u32,
    },
    /// Spill: requests still wait at primary, so the weight of burst does not fall yet.
    BacklogDraining {
        /// The rate.
        estimate: Estimate,
        /// The requests that wait.
        waiting: f64,
        /// The weight of burst, in percent.
        burst: u32,
    },
    /// Spill: primary receives too much, but the weight of burst rose a moment ago.
    OverflowWaiting {
        /// The rate.
        estimate: Estimate,
        /// The weight of burst that is needed, in percent.
        burst: u32,
        /// How long the next rise waits.
        left: Duration,
    },
    /// Spill: primary receives more than it can carry, and burst has all that it may have.
    Saturated {
        /// The rate.
        estimate: Estimate,
        /// `CAPACITY`.
        capacity: f64,
        /// The weight of burst, which is `SPILL_MAX`, in percent.
        burst: u32,
    },
    /// Spill: burst has more than it may have.
    SpillMax {
        /// The new weight of burst, which is `SPILL_MAX`, in percent.
        burst: u32,
    },
    /// Spill: primary can carry more than it receives.
    Spare {
        /// The largest rate within the window.
        estimate: Estimate,
        /// The new weight of burst, in percent.
        burst: u32,
        /// The stabilization window.
        window: Duration,
    },
    /// Spill: primary can carry more than it receives, but not yet for long enough.
    SpareStabilizing {
        /// The rate.
        estimate: Estimate,
        /// The weight of burst, in percent.
        burst: u32,
        /// The rest of the stabilization window.
        left: Duration,
    },
    /// Spill: burst receives a little traffic, to stay warm.
    Probe {
        /// The weight of burst, in percent.
        burst: u32,
    },
    /// Nobody has sent a request yet, and all traffic is at home.
    NoRequestsYet {
        /// The kind of gap, as metrics name it.
        kind: &'static str,
    },
    /// The rate is unknown. An unknown rate is not zero.
    Unknown {
        /// The kind of gap, as metrics name it.
        kind: &'static str,
        /// For how long.
        since: Duration,
    },
    /// What primary can carry is unknown. An unknown capacity is neither zero nor infinite.
    CapacityUnknown {
        /// For how long.
        since: Duration,
    },
    /// Burst should receive more, but is not known to be ready.
    BurstNotReady {
        /// `not_ready`, or `unknown`.
        kind: &'static str,
    },
    /// The weight of burst rises by a step.
    Ramp {
        /// The new weight of burst, in percent.
        burst: u32,
        /// The weight of burst that is needed, in percent.
        target: u32,
    },
    /// The weight of burst rose by a step, and the next one is not due.
    RampWaiting {
        /// The weight of burst that is needed, in percent.
        target: u32,
        /// How long the next step waits.
        left: Duration,
    },
    /// Burst has received as many requests within an hour as it may.
    OverBudget {
        /// The requests of the last hour.
        requests: f64,
        /// `BURST_REQUESTS_PER_HOUR`.
        per_hour: f64,
    },
    /// The rate has been unknown for so long that `FALLBACK` applies.
    Fallback {
        /// The kind of gap.
        kind: &'static str,
        /// For how long.
        since: Duration,
        /// Where traffic goes.
        to: Cluster,
    },
    /// A cluster is proven to fail too many requests. Its circuit breaker opens.
    ClusterUnhealthy {
        /// The cluster.
        cluster: Cluster,
        /// The requests that prove it.
        requests: Requests,
        /// For how long the cluster is ejected.
        ejection: Duration,
    },
    /// A cluster is ejected. Its circuit breaker is open.
    ClusterEjected {
        /// The cluster.
        cluster: Cluster,
        /// For how much longer.
        left: Duration,
    },
    /// A cluster is on trial after its ejection. Its circuit breaker is half-open.
    ClusterOnTrial {
        /// The cluster.
        cluster: Cluster,
        /// The cluster's weight, in percent.
        percent: u32,
    },
    /// Both clusters fail alike, so moving traffic would not help.
    BothUnhealthy {
        /// The share of primary's requests that fail.
        primary: f64,
        /// The share of burst's requests that fail.
        burst: f64,
    },
    /// A guard no longer applies, so the traffic returns to where the policy had it.
    Restored {
        /// The weight of burst, in percent.
        burst: u32,
    },
    /// The traffic does not follow the weights in force.
    NotObeyed {
        /// Burst's share by the weights.
        expected: f64,
        /// The measured share of burst.
        measured: f64,
    },
    /// An annotation pauses the watcher.
    Paused {
        /// Its name.
        by: &'static str,
    },
    /// An annotation forces all traffic to one cluster.
    Forced {
        /// The cluster.
        to: Cluster,
    },
    /// An annotation keeps traffic from coming home.
    HomeHeld,
    /// The watcher has tried to write the weights as often as it may.
    WriteLimit {
        /// `WRITES_PER_MINUTE`.
        per_minute: u32,
    },
    /// A write failed, so the next attempt waits; for as long as the API server asked, if it did.
    RetryLater {
        /// How long the next write waits.
        left: Duration,
    },
    /// Another writer keeps changing the weights, so the next write waits.
    ConflictBackoff {
        /// The other writer's field manager.
        manager: String,
        /// How long the next write waits.
        left: Duration,
    },
}
