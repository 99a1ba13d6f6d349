//! The shares of the traffic that were in force, and when: a request is judged by the weights of its
//! own time.

use std::{collections::VecDeque, time::Duration};

use contract::Cluster;

use crate::{ClusterTraffic, Requests, Weights, timeline::Interval};

/// The number of changes that are kept.
const MAX_CHANGES: usize = 256;

/// New weights reach every proxy within this time, and a request ends within it.
const PROPAGATION: Duration = Duration::from_secs(3);

/// A change may have been made this long before it was observed.
const OBSERVED_AFTER: Duration = Duration::from_secs(2);

/// Into so many parts an interval is divided to find the shares in force.
const PARTS: u32 = 10;

/// The deviation of a count, in standard deviations, that is taken for chance when requests without a
/// cluster are attributed to one.
const CHANCE_DEVIATIONS: f64 = 3.0;

/// The history of burst's share.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// When a share was first observed, oldest first.
    changes: VecDeque<(Duration, f64)>,
}

impl Shares {
    /// Observes the weights in force.
    pub(crate) fn observe(&mut self, now: Duration, weights: Weights) {
        let share = weights.burst_share();
        if self.changes.back().is_some_and(|(_, last)| *last == share) {
            return;
        }
        if MAX_CHANGES <= self.changes.len() {
            self.changes.pop_front();
        }
        self.changes.push_back((now, share));
    }

    /// Since when the present share has been in force, for every proxy.
    pub(crate) fn settled_since(&self) -> Option<Duration> {
        self.changes.back().map(|(since, _)| *since + PROPAGATION)
    }

    /// The smallest and the largest share that may have been in force for a request at a time.
    fn bounds(&self, at: Duration) -> (f64, f64) {
        let (from, to) = (at.saturating_sub(PROPAGATION), at + OBSERVED_AFTER);
        self.bounds_between(from, to)
    }

    /// The smallest and the largest share that may have been in force from one time to another.
    fn bounds_between(&self, from: Duration, to: Duration) -> (f64, f64) {
        let first = self.changes.partition_point(|(since, _)| *since <= from);
        let Some(first) = first.checked_sub(1) else { return (0.0, 1.0) };
        let shares = self.changes.range(first..).take_while(|(since, _)| *since <= to);
        shares.fold((1.0, 0.0), |(least, most), (_, share)| (least.min(*share), most.max(*share)))
    }

    /// The share of a cluster's requests that it had at least in an interval, and the variance of its
    /// count for each request.
    fn least_share(&self, cluster: Cluster, interval: &Interval) -> (f64, f64) {
        let least_of = |(least, most): (f64, f64)| match cluster {
            Cluster::Burst => least,
            Cluster::Primary => 1.0 - most,
        };
        let (from, to) = (interval.from.saturating_sub(PROPAGATION), interval.to + OBSERVED_AFTER);
        let whole = self.bounds_between(from, to);
        if whole.0 == whole.1 {
            // No change was near: so it is for most intervals.
            let least = least_of(whole);
            return (least, least * (1.0 - least));
        }
        let step = interval.to.saturating_sub(interval.from) / PARTS;
        let (mut share, mut variance) = (0.0, 0.0);
        for part in 0..PARTS {
            let least = least_of(self.bounds(interval.from + step * part + step / 2));
            share += least / f64::from(PARTS);
            variance += least * (1.0 - least) / f64::from(PARTS);
        }
        (share, variance)
    }
}

/// The requests of a cluster in a window that grows interval by interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attribution {
    requests: ClusterTraffic,
    /// The requests that the cluster must have received, by its share.
    expected: f64,
    variance: f64,
}

impl Attribution {
    pub(crate) fn add(&mut self, cluster: Cluster, interval: &Interval, shares: &Shares) {
        let total = interval.requests.total();
        let (share, variance) = shares.least_share(cluster, interval);
        self.requests.add_scaled(&interval.requests, 1.0);
        self.expected += share * total;
        self.variance += variance * total;
    }

    /// The cluster's own requests, and as many of those without a cluster as its share lacks beyond
    /// chance.
    pub(crate) fn requests(&self, cluster: Cluster) -> Requests {
        let Requests { total, failed } = self.requests.to(cluster);
        let unattributed = self.requests.unattributed;
        if unattributed.total <= 0.0 {
            return Requests { total, failed };
        }
        let chance = CHANCE_DEVIATIONS * self.variance.sqrt();
        let lacking = (self.expected - total - chance).clamp(0.0, unattributed.total);
        let failed = failed + unattributed.failed * (lacking / unattributed.total);
        Requests { total: total + lacking, failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: u64, to: u64, requests: ClusterTraffic) -> Interval {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        Interval { from, to, requests, is_complete: true }
    }

    fn traffic(primary: f64, burst: f64, unattributed: f64) -> ClusterTraffic {
        let failed = Requests { total: unattributed, failed: unattributed };
        let well = |total| Requests { total, failed: 0.0 };
        ClusterTraffic { primary: well(primary), burst: well(burst), unattributed: failed }
    }

    #[track_caller]
    fn check(shares: &Shares, traffic: ClusterTraffic, expected: [f64; 2]) {
        for (cluster, expected) in Cluster::ALL.into_iter().zip(expected) {
            let mut attribution = Attribution::default();
            attribution.add(cluster, &interval(100, 110, traffic), shares);
            let failed = attribution.requests(cluster).failed;
            assert!((failed - expected).abs() < 0.5, "{cluster}: {failed}");
        }
    }

    #[test]
    fn requests_without_a_cluster_are_attributed_by_the_shares_of_their_time() {
        let mut shares = Shares::default();
        check(&shares, traffic(100.0, 0.0, 100.0), [0.0, 0.0]);
        shares.observe(Duration::ZERO, Weights::with_burst(0));
        check(&shares, traffic(100.0, 0.0, 100.0), [100.0, 0.0]);
        let mut shares = Shares::default();
        shares.observe(Duration::ZERO, Weights::with_burst(50));
        check(&shares, traffic(1000.0, 0.0, 1000.0), [0.0, 932.9]);
        check(&shares, traffic(95.0, 95.0, 10.0), [0.0, 0.0]);
        // The weights were changed in the middle: only the end is certain.
        let mut shares = Shares::default();
        shares.observe(Duration::ZERO, Weights::with_burst(0));
        shares.observe(Duration::from_secs(104), Weights::with_burst(100));
        check(&shares, traffic(80.0, 0.0, 120.0), [0.0, 60.0]);
    }
}
