//! The words for each reason: there are no others.

use std::{fmt, time::Duration};

use contract::Cluster;

use super::Reason;

/// A time as it is said: to a tenth of a second below ten seconds, else to a second.
pub(crate) struct Said(pub(crate) Duration);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 10.0 { write!(f, "{seconds:.1} s") } else { write!(f, "{seconds:.0} s") }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled { rate } => write!(f, "traffic is where {rate:.1}/s asks for it"),
            Self::High { rate, above } => {
                write!(f, "all to burst: {rate:.1}/s is above {above}/s")
            }
            Self::Low { rate, below, hold } => {
                write!(f, "all home: {rate:.1}/s, below {below}/s for {}", Said(*hold))
            }
            Self::LowNotForLong { rate, below, left } => write!(
                f,
                "holding: {rate:.1}/s is below {below}/s, but must be for another {}",
                Said(*left)
            ),
            Self::Between { rate, below, above } => {
                write!(f, "holding: {rate:.1}/s is between {below}/s and {above}/s")
            }
            Self::Overflow { rate, capacity, burst } => write!(
                f,
                "{burst} % to burst: of an expected {rate:.1}/s, primary is to carry no more than {capacity}/s"
            ),
            Self::Spare { rate, burst, window } => write!(
                f,
                "{burst} % to burst: for {}, no more than {rate:.1}/s was to be carried",
                Said(*window)
            ),
            Self::SpareNotForLong { rate, burst, left } => write!(
                f,
                "holding: {rate:.1}/s needs less than {burst} % in burst, but must for another {}",
                Said(*left)
            ),
            Self::Probe { burst } => write!(f, "{burst} % to burst, to keep it warm and proven"),
            guard => guard.say_guard(f),
        }
    }
}

impl Reason {
    /// In words, of a guard.
    fn say_guard(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { kind, since } => {
                write!(f, "holding: the rate has not been known for {} ({kind})", Said(*since))
            }
            Self::Fallback { kind, since, to } => write!(
                f,
                "all to {to}, which is FALLBACK: the rate has not been known for {} ({kind})",
                Said(*since)
            ),
            Self::Recovering { left } => write!(
                f,
                "holding: the rate has been known for too short a time to come home, for another {}",
                Said(*left)
            ),
            Self::Fails { cluster, share, rest } => write!(
                f,
                "{}: {:.0} % of {cluster}'s requests fail; it is left alone for {}",
                all_but(*cluster),
                share * 100.0,
                Said(*rest)
            ),
            Self::Rests { cluster, left } => write!(
                f,
                "{}: {cluster} has failed, and is left alone for another {}",
                all_but(*cluster),
                Said(*left)
            ),
            Self::Tried { cluster, percent } => {
                write!(f, "{percent} % to {cluster}, to try it: it has failed before")
            }
            Self::Paused => f.write_str("holding: the annotation istiowatcher/pause says so"),
            Self::Forced { to } => {
                write!(f, "all to {to}: the annotation istiowatcher/force says so")
            }
            Self::HomeHeld => f.write_str("holding: the annotation istiowatcher/hold-home says so"),
            Self::WriteLimit { per_minute } => {
                write!(f, "holding: {per_minute} writes within a minute is the limit")
            }
            Self::Fight { manager, left } => write!(
                f,
                "holding: {manager} keeps changing the weights; they are left alone for {}",
                Said(*left)
            ),
            policy => f.write_str(policy.name()),
        }
    }
}

/// Where all goes that does not go to a cluster.
fn all_but(cluster: Cluster) -> &'static str {
    match cluster {
        Cluster::Primary => "all to burst",
        Cluster::Burst => "all home",
    }
}
