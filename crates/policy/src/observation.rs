//! What the watcher observed of the traffic, as the policy takes it.
//!
//! All times of this crate are durations on one axis that only grows. The watcher uses the time
//! since 1970, which its start fixes and a monotonic clock continues.

use std::time::Duration;

use contract::Cluster;

/// One observation of the traffic.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The samples of all counters that the source has: at least those since the last observation.
    Counters(Vec<CounterSeries>),
    /// The source was asked, and has no counter at all.
    NoCounters {
        /// Until when the source shows that there were no requests, because the callers are new and have
        /// counted nothing; `None` if it does not show that.
        zero_until: Option<Duration>,
    },
    /// A rate that the source averaged itself.
    Averages {
        /// The time of the newest sample behind it.
        at: Duration,
        /// Over how long it averages.
        window: Duration,
        /// All requests, in requests per second.
        rate: f64,
        /// The same requests by cluster; `None` if unknown.
        clusters: Option<ClusterTraffic>,
    },
    /// There is no answer, or none that can be believed, for this reason.
    Unknown(&'static str),
}

/// A counter of one caller: requests of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterSeries {
    /// Identifies the series; equal for equal labels.
    pub series: u64,
    /// Identifies the caller that was scraped. All series of one caller have the same sample times.
    pub caller: u64,
    /// What the series counts.
    pub class: RequestClass,
    /// Time and count, oldest first.
    pub samples: Vec<(Duration, f64)>,
}

/// What the source knows of the callers beside their counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerStates {
    /// The callers that have ended: they count no more, and nothing replaces them.
    pub ended: Vec<u64>,
    /// Whether the source names each end. Otherwise a caller that is silent has ended if another one has
    /// begun since.
    pub knows_ends: bool,
    /// Whether there may be callers whose counters have never been read. Then a rate may be too small.
    pub has_unseen: bool,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestClass {
    /// The cluster that received the requests; `None` if Istio names none that is known.
    pub cluster: Option<Cluster>,
    /// Whether they failed, so that a cluster is to blame.
    pub is_failure: bool,
}

/// The requests by the cluster that received them, as counts or as requests per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClusterTraffic {
    /// Requests to primary.
    pub primary: Requests,
    /// Requests to burst.
    pub burst: Requests,
    /// Requests that name no known cluster. Istio names none if a request found no worker.
    pub unattributed: Requests,
}

/// Requests, as a count or per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    /// All requests.
    pub total: f64,
    /// The requests that failed.
    pub failed: f64,
}

impl ClusterTraffic {
    /// All requests.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.primary.total + self.burst.total + self.unattributed.total
    }

    /// The totals for primary, for burst, and for no known cluster.
    #[must_use]
    pub fn totals(&self) -> [f64; 3] {
        [self.primary.total, self.burst.total, self.unattributed.total]
    }

    /// Whether a request failed, or was of no known cluster.
    pub(crate) fn has_failures(&self) -> bool {
        let failed = [self.primary.failed, self.burst.failed, self.unattributed.total];
        failed.iter().any(|count| 0.0 < *count)
    }

    /// The requests to one cluster.
    #[must_use]
    pub const fn to(&self, cluster: Cluster) -> Requests {
        match cluster {
            Cluster::Primary => self.primary,
            Cluster::Burst => self.burst,
        }
    }

    /// The share of a cluster's requests that fail, 0 to 1; `None` if it receives none.
    #[must_use]
    pub fn failure_ratio(&self, cluster: Cluster) -> Option<f64> {
        let Requests { total, failed } = self.to(cluster);
        (0.0 < total).then(|| failed / total)
    }

    /// Adds requests of a class.
    pub fn add(&mut self, class: RequestClass, count: f64) {
        let requests = match class.cluster {
            Some(Cluster::Primary) => &mut self.primary,
            Some(Cluster::Burst) => &mut self.burst,
            None => &mut self.unattributed,
        };
        requests.total += count;
        requests.failed += if class.is_failure { count } else { 0.0 };
    }

    /// Adds a part of other requests.
    pub(crate) fn add_scaled(&mut self, other: &Self, factor: f64) {
        for (mine, theirs) in [
            (&mut self.primary, other.primary),
            (&mut self.burst, other.burst),
            (&mut self.unattributed, other.unattributed),
        ] {
            mine.total += theirs.total * factor;
            mine.failed += theirs.failed * factor;
        }
    }

    /// The same, multiplied.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = Self::default();
        scaled.add_scaled(self, factor);
        scaled
    }
}
