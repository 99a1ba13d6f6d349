//! The text of each reason. No other module has a text for a reason.

use std::{fmt, time::Duration};

use contract::Cluster;

use super::Reason;
use crate::Estimate;

/// Shows a duration to a tenth of a second below ten seconds, and else to a second.
#[derive(Clone, Copy, Debug)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 10.0 { write!(f, "{seconds:.1} s") } else { write!(f, "{seconds:.0} s") }
    }
}

/// Shows a rate with its uncertainty: two standard deviations, and the window.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, deviation, seconds } = self;
        write!(f, "{rate:.1}/s ± {:.1} over {seconds:.0} s", 2.0 * deviation)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChange { .. }
            | Self::High { .. }
            | Self::HighUnproven { .. }
            | Self::Low { .. }
            | Self::LowStabilizing { .. }
            | Self::Between { .. } => self.fmt_threshold(f),
            Self::Overflow { .. }
            | Self::Backlog { .. }
            | Self::BacklogDraining { .. }
            | Self::OverflowWaiting { .. }
            | Self::Saturated { .. }
            | Self::SpillMax { .. }
            | Self::Spare { .. }
            | Self::SpareStabilizing { .. }
            | Self::Probe { .. } => self.fmt_spill(f),
            Self::NoRequestsYet { .. }
            | Self::Unknown { .. }
            | Self::CapacityUnknown { .. }
            | Self::Fallback { .. } => self.fmt_unknown(f),
            Self::BurstNotReady { .. }
            | Self::Ramp { .. }
            | Self::RampWaiting { .. }
            | Self::OverBudget { .. } => self.fmt_burst(f),
            Self::ClusterUnhealthy { .. }
            | Self::ClusterEjected { .. }
            | Self::ClusterOnTrial { .. }
            | Self::BothUnhealthy { .. }
            | Self::Restored { .. }
            | Self::NotObeyed { .. } => self.fmt_health(f),
            Self::Paused { .. }
            | Self::Forced { .. }
            | Self::HomeHeld
            | Self::WriteLimit { .. }
            | Self::RetryLater { .. }
            | Self::ConflictBackoff { .. } => self.fmt_writing(f),
        }
    }
}

/// Each function writes the texts of one group of reasons, and nothing for all others.
impl Reason {
    fn fmt_threshold(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChange { estimate } => write!(f, "no change needed at {estimate}"),
            Self::High { estimate, above } => {
                write!(f, "all traffic to burst: {estimate} is above {above}/s")
            }
            Self::HighUnproven { estimate, above } => {
                write!(f, "holding: {estimate} may be above {above}/s, which is not proven yet")
            }
            Self::Low { estimate, below } => {
                write!(f, "all traffic home: {estimate} is below {below}/s")
            }
            Self::LowStabilizing { estimate, below, hold } => write!(
                f,
                "holding: {estimate} is below {below}/s, which must be proven for {}",
                HumanDuration(*hold)
            ),
            Self::Between { estimate, below, above } => {
                write!(f, "holding: {estimate} is between {below}/s and {above}/s")
            }
            _ => Ok(()),
        }
    }

    fn fmt_spill(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow { estimate, capacity, burst } => write!(
                f,
                "{burst} % of the traffic to burst: primary can carry {capacity}/s of {estimate}"
            ),
            Self::Backlog { estimate, waiting, burst } => write!(
                f,
                "{burst} % of the traffic to burst: {waiting:.0} requests wait at primary, at {estimate}"
            ),
            Self::BacklogDraining { estimate, waiting, burst } => write!(
                f,
                "holding: {estimate} needs less than {burst} % in burst, but {waiting:.0} requests wait at primary"
            ),
            Self::OverflowWaiting { estimate, burst, left } => write!(
                f,
                "holding: {estimate} needs {burst} % in burst, and the next rise waits for {}",
                HumanDuration(*left)
            ),
            Self::Saturated { estimate, capacity, burst } => write!(
                f,
                "saturated: {burst} % in burst is SPILL_MAX, and primary can carry only {capacity}/s of {estimate}"
            ),
            Self::SpillMax { burst } => {
                write!(f, "{burst} % of the traffic to burst: SPILL_MAX allows no more")
            }
            Self::Spare { estimate, burst, window } => write!(
                f,
                "{burst} % of the traffic to burst: for {} the rate was at most {estimate}",
                HumanDuration(*window)
            ),
            Self::SpareStabilizing { estimate, burst, left } => write!(
                f,
                "holding: {estimate} needs less than {burst} % in burst, and must for another {}",
                HumanDuration(*left)
            ),
            Self::Probe { burst } => {
                write!(f, "{burst} % of the traffic to burst, to keep it warm")
            }
            _ => Ok(()),
        }
    }

    fn fmt_unknown(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRequestsYet { kind } => {
                write!(f, "all traffic is at home, and there are no requests yet ({kind})")
            }
            Self::Unknown { kind, since } => write!(
                f,
                "holding: the rate has been unknown for {} ({kind})",
                HumanDuration(*since)
            ),
            Self::CapacityUnknown { since } => write!(
                f,
                "holding: the capacity of primary has been unknown for {}",
                HumanDuration(*since)
            ),
            Self::Fallback { kind, since, to } => write!(
                f,
                "all traffic to {to} by FALLBACK: the rate has been unknown for {} ({kind})",
                HumanDuration(*since)
            ),
            _ => Ok(()),
        }
    }

    fn fmt_burst(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BurstNotReady { kind } => write!(
                f,
                "holding: burst should receive more, and is not known to be ready ({kind})"
            ),
            Self::Ramp { burst, target } => {
                write!(f, "{burst} % of the traffic to burst, on the way to {target} %")
            }
            Self::RampWaiting { target, left } => write!(
                f,
                "holding: the next step on the way to {target} % in burst waits for {}",
                HumanDuration(*left)
            ),
            Self::OverBudget { requests, per_hour } => write!(
                f,
                "all traffic home: burst received {requests:.0} requests within an hour, and may receive {per_hour} (BURST_REQUESTS_PER_HOUR)"
            ),
            _ => Ok(()),
        }
    }

    fn fmt_health(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |ratio: f64| ratio * 100.0;
        match self {
            Self::ClusterUnhealthy { cluster, requests, ejection } => write!(
                f,
                "{}: {:.0} of {:.0} requests to {cluster} failed; {cluster} is ejected for {}",
                all_traffic_away_from(*cluster),
                requests.failed,
                requests.total,
                HumanDuration(*ejection)
            ),
            Self::ClusterEjected { cluster, left } => write!(
                f,
                "{}: {cluster} is ejected for another {}",
                all_traffic_away_from(*cluster),
                HumanDuration(*left)
            ),
            Self::ClusterOnTrial { cluster, percent } => write!(
                f,
                "{percent} % of the traffic to {cluster}, on trial: {cluster} was ejected before"
            ),
            Self::BothUnhealthy { primary, burst } => write!(
                f,
                "holding: both clusters fail alike: {:.0} % of primary's requests and {:.0} % of burst's",
                percent(*primary),
                percent(*burst)
            ),
            Self::Restored { burst } => write!(
                f,
                "{burst} % of the traffic to burst, as before: no guard displaces it any more"
            ),
            Self::NotObeyed { expected, measured } => write!(
                f,
                "not obeyed: the weights send {:.0} % to burst, but it receives {:.0} %",
                percent(*expected),
                percent(*measured)
            ),
            _ => Ok(()),
        }
    }

    fn fmt_writing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused { by } => write!(f, "holding: the annotation {by} says so"),
            Self::Forced { to } => {
                write!(f, "all traffic to {to}: the annotation istiowatcher/force says so")
            }
            Self::HomeHeld => f.write_str("holding: the annotation istiowatcher/hold-home says so"),
            Self::WriteLimit { per_minute } => {
                write!(f, "holding: the limit of {per_minute} writes a minute is used up")
            }
            Self::RetryLater { left } => write!(
                f,
                "holding: the last write failed, and the next attempt waits for another {}",
                HumanDuration(*left)
            ),
            Self::ConflictBackoff { manager, left } => write!(
                f,
                "holding: {manager} keeps changing the weights; the watcher waits for {}",
                HumanDuration(*left)
            ),
            _ => Ok(()),
        }
    }
}

fn all_traffic_away_from(cluster: Cluster) -> &'static str {
    match cluster {
        Cluster::Primary => "all traffic to burst",
        Cluster::Burst => "all traffic home",
    }
}
