//! How traffic is divided between the clusters.

use std::fmt;

use contract::Cluster;

/// The weights of the two destinations. Only their ratio matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The weight of the subset `primary`.
    pub primary: u32,
    /// The weight of the subset `burst`.
    pub burst: u32,
}

impl Weights {
    /// All traffic to one cluster.
    #[must_use]
    pub const fn all_to(cluster: Cluster) -> Self {
        Self::with_percent_to(cluster, 100)
    }

    /// `percent` to burst, and the rest to primary; more than 100 is 100.
    #[must_use]
    pub const fn with_burst(percent: u32) -> Self {
        let burst = if percent < 100 { percent } else { 100 };
        Self { primary: 100 - burst, burst }
    }

    /// `percent` to one cluster, and the rest to the other; more than 100 is 100.
    #[must_use]
    pub const fn with_percent_to(cluster: Cluster, percent: u32) -> Self {
        match cluster {
            Cluster::Primary => Self::with_burst(100_u32.saturating_sub(percent)),
            Cluster::Burst => Self::with_burst(percent),
        }
    }

    /// The weight of one cluster.
    #[must_use]
    pub const fn weight_of(self, cluster: Cluster) -> u32 {
        match cluster {
            Cluster::Primary => self.primary,
            Cluster::Burst => self.burst,
        }
    }

    /// The share of the traffic that goes to burst, 0 to 1; 0 if both weights are 0.
    #[must_use]
    pub fn burst_share(self) -> f64 {
        let sum = f64::from(self.primary) + f64::from(self.burst);
        if sum == 0.0 { 0.0 } else { f64::from(self.burst) / sum }
    }

    /// The share of the traffic that goes to a cluster, 0 to 1; 0 if both weights are 0.
    #[must_use]
    pub fn share_of(self, cluster: Cluster) -> f64 {
        match cluster {
            _ if self.is_zero() => 0.0,
            Cluster::Primary => 1.0 - self.burst_share(),
            Cluster::Burst => self.burst_share(),
        }
    }

    /// Whether both divide traffic in the same ratio.
    #[must_use]
    pub fn has_same_split(self, other: Self) -> bool {
        let (a, b) = (self, other);
        u64::from(a.primary) * u64::from(b.burst) == u64::from(b.primary) * u64::from(a.burst)
            && a.is_zero() == b.is_zero()
    }

    fn is_zero(self) -> bool {
        self.primary == 0 && self.burst == 0
    }

    /// Whether all traffic goes to this cluster.
    #[must_use]
    pub fn is_all_to(self, cluster: Cluster) -> bool {
        self.has_same_split(Self::all_to(cluster))
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "primary {}, burst {}", self.primary, self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ratio_matters() {
        let weights = |primary, burst| Weights { primary, burst };
        assert!(weights(1, 3).has_same_split(weights(25, 75)));
        assert!(!weights(1, 3).has_same_split(weights(3, 1)));
        assert!(weights(0, 7).is_all_to(Cluster::Burst));
        assert!(!weights(0, 0).is_all_to(Cluster::Primary), "no traffic is not all traffic");
        assert!(!weights(0, 0).is_all_to(Cluster::Burst));
        assert!(weights(u32::MAX - 1, 1).burst_share() > 0.0);
    }

    #[test]
    fn percentages_add_up() {
        for percent in [0, 1, 33, 100, 101, u32::MAX] {
            let weights = Weights::with_burst(percent);
            assert_eq!(weights.primary + weights.burst, 100);
        }
        assert_eq!(Weights::with_burst(33).burst_share(), 0.33);
    }
}
