//! What a look at Prometheus can show.

use contract::Cluster;

/// What one look at Prometheus has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The request rate, in requests per second: finite and not negative. Else the kind of gap.
    pub rate: Result<f64, &'static str>,
    /// Where the requests went; `None` if that is not known.
    pub clusters: Option<Clusters>,
}

/// Where the requests went, and what failed there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clusters {
    /// To primary.
    pub primary: Flow,
    /// To burst.
    pub burst: Flow,
    /// To nobody knows where: a request that found no worker is counted for no cluster.
    pub elsewhere: Flow,
}

impl Clusters {
    /// Requests per second to primary, to burst, and to nobody knows where.
    #[must_use]
    pub fn rates(&self) -> [f64; 3] {
        [self.primary.rate, self.burst.rate, self.elsewhere.rate]
    }

    /// To one cluster.
    #[must_use]
    pub const fn of(&self, cluster: Cluster) -> Flow {
        match cluster {
            Cluster::Primary => self.primary,
            Cluster::Burst => self.burst,
        }
    }

    /// The share of a cluster's requests that fail, 0 to 1; `None` if there are none.
    #[must_use]
    pub fn failing(&self, cluster: Cluster) -> Option<f64> {
        let Flow { rate, failing } = self.of(cluster);
        (0.0 < rate).then(|| failing / rate)
    }
}

/// Requests per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    /// All of them.
    pub rate: f64,
    /// Those of them that were answered with a 5xx, or not at all.
    pub failing: f64,
}
