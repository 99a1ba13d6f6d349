//! The names of reasons, and what distinguishes two of one name.

use super::Reason;

impl Reason {
    /// The name of the reason in metrics, the status and Events.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoChange { .. } => "NoChange",
            Self::High { .. } => "RateHigh",
            Self::HighUnproven { .. } => "RateHighUnproven",
            Self::Low { .. } => "RateLow",
            Self::LowStabilizing { .. } => "RateLowStabilizing",
            Self::Between { .. } => "RateBetweenThresholds",
            Self::Overflow { .. } => "Overflow",
            Self::Backlog { .. } => "Backlog",
            Self::BacklogDraining { .. } => "BacklogDraining",
            Self::OverflowWaiting { .. } => "OverflowWaiting",
            Self::Saturated { .. } => "Saturated",
            Self::SpillMax { .. } => "SpillMax",
            Self::Spare { .. } => "SpareCapacity",
            Self::SpareStabilizing { .. } => "SpareCapacityStabilizing",
            Self::Probe { .. } => "Probe",
            Self::NoRequestsYet { .. } => "NoRequestsYet",
            Self::Unknown { .. } => "RateUnknown",
            Self::CapacityUnknown { .. } => "CapacityUnknown",
            Self::BurstNotReady { .. } => "BurstNotReady",
            Self::Ramp { .. } => "Ramp",
            Self::RampWaiting { .. } => "RampWaiting",
            Self::OverBudget { .. } => "OverBudget",
            Self::Fallback { .. } => "Fallback",
            Self::ClusterUnhealthy { .. } => "ClusterUnhealthy",
            Self::ClusterEjected { .. } => "ClusterEjected",
            Self::ClusterOnTrial { .. } => "ClusterOnTrial",
            Self::BothUnhealthy { .. } => "BothUnhealthy",
            Self::Restored { .. } => "Restored",
            Self::NotObeyed { .. } => "NotObeyed",
            Self::Paused { .. } => "Paused",
            Self::Forced { .. } => "Forced",
            Self::HomeHeld => "HomeHeld",
            Self::WriteLimit { .. } => "WriteLimit",
            Self::RetryLater { .. } => "RetryLater",
            Self::ConflictBackoff { .. } => "ConflictBackoff",
        }
    }

    /// What distinguishes two reasons of one name, apart from numbers that change by the second.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::NoRequestsYet { kind }
            | Self::BurstNotReady { kind }
            | Self::Unknown { kind, .. }
            | Self::Fallback { kind, .. } => kind,
            Self::Paused { by } => by,
            Self::Forced { to } => to.name(),
            Self::ClusterUnhealthy { cluster, .. }
            | Self::ClusterEjected { cluster, .. }
            | Self::ClusterOnTrial { cluster, .. } => cluster.name(),
            Self::ConflictBackoff { manager, .. } => manager,
            _ => "",
        }
    }
}
