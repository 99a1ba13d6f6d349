//! Why the weights are, or should be, what they are: as data, so that the log, the Event, the metric, the
//! status and `explain` say the same.

mod words;

use std::time::Duration;

use contract::Cluster;

pub(crate) use words::Said;

/// Why a decision is as it is. Rates are in requests per second, shares from 0 to 1, weights in percent to
/// burst, times rounded to a tenth of a second when shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// The weights are what the rate asks for.
    Settled {
        /// The rate.
        rate: f64,
    },
    /// Threshold: the rate is above the upper threshold.
    High {
        /// The rate.
        rate: f64,
        /// `BURST_ABOVE`.
        above: f64,
    },
    /// Threshold: the rate has been below the lower threshold for long enough.
    Low {
        /// The rate.
        rate: f64,
        /// `HOME_BELOW`.
        below: f64,
        /// `HOME_HOLD`.
        hold: Duration,
    },
    /// Threshold: the rate is low, but not yet for long enough.
    LowNotForLong {
        /// The rate.
        rate: f64,
        /// `HOME_BELOW`.
        below: f64,
        /// What is left of `HOME_HOLD`.
        left: Duration,
    },
    /// Threshold: the rate is between the thresholds.
    Between {
        /// The rate.
        rate: f64,
        /// `HOME_BELOW`.
        below: f64,
        /// `BURST_ABOVE`.
        above: f64,
    },
    /// Spill: primary is asked for more than it carries.
    Overflow {
        /// The rate that was reckoned with.
        rate: f64,
        /// `CAPACITY`.
        capacity: f64,
        /// What goes to burst, in percent.
        burst: u32,
    },
    /// Spill: primary could carry more than it is given.
    Spare {
        /// The rate that was reckoned with.
        rate: f64,
        /// What goes to burst, in percent.
        burst: u32,
        /// No more was needed for this long.
        window: Duration,
    },
    /// Spill: primary could carry more than it is given, but not yet for long enough.
    SpareNotForLong {
        /// The rate.
        rate: f64,
        /// What goes to burst, in percent.
        burst: u32,
        /// What is left of the window.
        left: Duration,
    },
    /// Spill: burst is kept warm.
    Probe {
        /// What goes to burst, in percent.
        burst: u32,
    },
    /// The rate is not known, and no answer is not zero.
    Unknown {
        /// The kind of gap, as metrics name it.
        kind: &'static str,
        /// For how long.
        since: Duration,
    },
    /// The rate has not been known for so long that `FALLBACK` says where to go.
    Fallback {
        /// The kind of gap.
        kind: &'static str,
        /// For how long.
        since: Duration,
        /// Where traffic goes.
        to: Cluster,
    },
    /// The rate has been known again for less than its window: it may be too low.
    Recovering {
        /// What is left of the window.
        left: Duration,
    },
    /// A cluster answers errors, or nothing.
    Fails {
        /// Which.
        cluster: Cluster,
        /// The share of its requests that fail.
        share: f64,
        /// For how long it is left alone.
        rest: Duration,
    },
    /// A cluster has failed, and is left alone.
    Rests {
        /// Which.
        cluster: Cluster,
        /// For how much longer.
        left: Duration,
    },
    /// A cluster has failed, and is tried again.
    Tried {
        /// Which.
        cluster: Cluster,
        /// With how much, in percent.
        percent: u32,
    },
    /// The object's annotation says that nothing is to be written.
    Paused,
    /// The object's annotation says where traffic goes.
    Forced {
        /// Where.
        to: Cluster,
    },
    /// The object's annotation says that traffic is not to come home.
    HomeHeld,
    /// The weights have been written as often as they may be.
    WriteLimit {
        /// `WRITES_PER_MINUTE`.
        per_minute: u32,
    },
    /// Somebody else keeps changing the weights: the next write waits.
    Fight {
        /// Who, by `managedFields`.
        manager: String,
        /// How long it waits.
        left: Duration,
    },
}

impl Reason {
    /// Its name, as metrics, the status and Events have it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Settled { .. } => "Settled",
            Self::High { .. } => "RateHigh",
            Self::Low { .. } => "RateLow",
            Self::LowNotForLong { .. } => "RateLowNotForLong",
            Self::Between { .. } => "RateBetweenThresholds",
            Self::Overflow { .. } => "Overflow",
            Self::Spare { .. } => "SpareCapacity",
            Self::SpareNotForLong { .. } => "SpareCapacityNotForLong",
            Self::Probe { .. } => "Probe",
            Self::Unknown { .. } => "RateUnknown",
            Self::Fallback { .. } => "Fallback",
            Self::Recovering { .. } => "Recovering",
            Self::Fails { cluster: Cluster::Primary, .. } => "PrimaryFails",
            Self::Fails { cluster: Cluster::Burst, .. } => "BurstFails",
            Self::Rests { cluster: Cluster::Primary, .. } => "PrimaryRests",
            Self::Rests { cluster: Cluster::Burst, .. } => "BurstRests",
            Self::Tried { cluster: Cluster::Primary, .. } => "PrimaryTried",
            Self::Tried { cluster: Cluster::Burst, .. } => "BurstTried",
            Self::Paused => "Paused",
            Self::Forced { .. } => "Forced",
            Self::HomeHeld => "HomeHeld",
            Self::WriteLimit { .. } => "WriteLimit",
            Self::Fight { .. } => "Fight",
        }
    }

    /// What sets two of one name apart, beside numbers that change by the second.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Self::Unknown { kind, .. } | Self::Fallback { kind, .. } => kind,
            Self::Forced { to } => to.name(),
            Self::Fight { manager, .. } => manager,
            _ => "",
        }
    }

    /// Whether it keeps weights that the rate does not ask for.
    #[must_use]
    pub const fn is_hold(&self) -> bool {
        matches!(
            self,
            Self::LowNotForLong { .. }
                | Self::SpareNotForLong { .. }
                | Self::Unknown { .. }
                | Self::Recovering { .. }
                | Self::Paused
                | Self::HomeHeld
                | Self::WriteLimit { .. }
                | Self::Fight { .. }
        )
    }

    /// Whether all is as the rate asks for.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        matches!(self, Self::Settled { .. } | Self::Between { .. } | Self::Probe { .. })
    }

    /// Whether somebody should see to it.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::Fallback { .. }
                | Self::Fails { .. }
                | Self::Rests { .. }
                | Self::WriteLimit { .. }
                | Self::Fight { .. }
        )
    }
}
