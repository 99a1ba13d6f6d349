//! The kinds of reasons: what waits, what is calm, and what a person should look at.

use contract::Cluster;

use super::Reason;

impl Reason {
    /// Whether it holds weights that the policy would change.
    #[must_use]
    pub const fn is_hold(&self) -> bool {
        let is_other = matches!(
            self,
            Self::Unknown { .. }
                | Self::CapacityUnknown { .. }
                | Self::BurstNotReady { .. }
                | Self::BothUnhealthy { .. }
                | Self::Paused { .. }
                | Self::HomeHeld
                | Self::WriteLimit { .. }
                | Self::RetryLater { .. }
                | Self::ConflictBackoff { .. }
        );
        self.is_routine_hold() || is_other
    }

    /// Whether it only waits for evidence or for time, as the policies often do near a limit.
    #[must_use]
    pub const fn is_routine_hold(&self) -> bool {
        matches!(
            self,
            Self::HighUnproven { .. }
                | Self::LowStabilizing { .. }
                | Self::OverflowWaiting { .. }
                | Self::BacklogDraining { .. }
                | Self::RampWaiting { .. }
                | Self::SpareStabilizing { .. }
        )
    }

    /// Whether the weights are right and nothing is held.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        matches!(
            self,
            Self::NoChange { .. }
                | Self::Between { .. }
                | Self::Probe { .. }
                | Self::NoRequestsYet { .. }
        )
    }

    /// Whether an operator should look at it: the log warns.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::Saturated { .. }
                | Self::Unknown { .. }
                | Self::CapacityUnknown { .. }
                | Self::BurstNotReady { .. }
                | Self::OverBudget { .. }
                | Self::Fallback { .. }
                | Self::ClusterUnhealthy { .. }
                | Self::ClusterEjected { .. }
                | Self::BothUnhealthy { .. }
                | Self::NotObeyed { .. }
                | Self::WriteLimit { .. }
                | Self::RetryLater { .. }
                | Self::ConflictBackoff { .. }
        )
    }

    /// Whether primary fails, so that burst must take its requests.
    pub(crate) const fn is_primary_failing(&self) -> bool {
        matches!(
            self,
            Self::ClusterUnhealthy { cluster: Cluster::Primary, .. }
                | Self::ClusterEjected { cluster: Cluster::Primary, .. }
                | Self::ClusterOnTrial { cluster: Cluster::Primary, .. }
        )
    }

    /// Whether it keeps requests from failing, or an operator demands it: limits on writing do not
    /// hold it.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        matches!(
            self,
            Self::ClusterUnhealthy { .. } | Self::ClusterEjected { .. } | Self::Forced { .. }
        )
    }
}
