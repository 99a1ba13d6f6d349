//! The two clusters: they answer requests, late or not at all.

use std::{collections::VecDeque, time::Duration};

use contract::Cluster;
use policy::{RequestClass, Weights};

/// The route's timeout: a request ends within this time.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a cluster answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Health {
    /// Every request is answered.
    Well,
    /// This share of the requests fails at once.
    Fails(f64),
    /// No request is answered before the route's timeout.
    Hangs,
    /// The cluster has no pods. Istio counts such requests for no cluster.
    HasNoPods,
}

/// Both clusters.
pub(crate) struct Clusters {
    /// Requests per second that primary can carry.
    capacity: f64,
    /// Requests that wait in primary.
    backlog: f64,
    /// Whether a request that waits for the route's timeout fails.
    pub(crate) has_timeouts: bool,
    /// How long a request to burst waits there.
    pub(crate) burst_wait: Duration,
    random: fastrand::Rng,
    /// Requests that have not ended yet: when they end, what they count as, and how many.
    pending: VecDeque<(Duration, RequestClass, u64)>,
    pub(crate) failed: u64,
    pub(crate) to_burst: u64,
    pub(crate) total: u64,
}

impl Clusters {
    pub(crate) fn new(capacity: f64, seed: u64) -> Self {
        Self {
            capacity,
            backlog: 0.0,
            has_timeouts: false,
            burst_wait: Duration::ZERO,
            random: fastrand::Rng::with_seed(seed),
            pending: VecDeque::new(),
            failed: 0,
            to_burst: 0,
            total: 0,
        }
    }

    /// How long a new request to primary waits.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.backlog / self.capacity)
    }

    /// How many requests are being answered.
    pub(crate) fn in_flight(&self) -> u64 {
        self.pending.iter().map(|(_, _, count)| count).sum()
    }

    /// Lets time pass, in which primary works.
    pub(crate) fn work(&mut self, step: Duration) {
        self.backlog = (self.backlog - self.capacity * step.as_secs_f64()).max(0.0);
    }

    /// Sends requests by the weights. `health` says how a cluster answers.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        requests: u64,
        weights: Weights,
        health: impl Fn(Cluster) -> Health,
    ) {
        for _ in 0..requests {
            let is_burst = self.random.f64() < weights.burst_share();
            let cluster = if is_burst { Cluster::Burst } else { Cluster::Primary };
            self.total += 1;
            self.to_burst += u64::from(is_burst);
            let health = health(cluster);
            let is_served = matches!(health, Health::Well | Health::Fails(_));
            let mut wait = self.burst_wait.min(ROUTE_TIMEOUT);
            if cluster == Cluster::Primary && is_served {
                self.enqueue();
                wait = self.wait().min(ROUTE_TIMEOUT);
            }
            let (cluster, is_failure, duration) = match health {
                Health::Well => (Some(cluster), self.has_timeouts && ROUTE_TIMEOUT <= wait, wait),
                Health::Fails(ratio) => (Some(cluster), self.random.f64() < ratio, wait),
                Health::Hangs => (Some(cluster), true, ROUTE_TIMEOUT),
                Health::HasNoPods => (None, true, Duration::ZERO),
            };
            self.failed += u64::from(is_failure);
            let class = RequestClass { cluster, is_failure };
            self.pending.push_back((now + duration, class, 1));
        }
    }

    /// Takes requests that came from another cluster into the queue of primary.
    pub(crate) fn receive(&mut self, requests: u64) {
        for _ in 0..requests {
            self.enqueue();
        }
    }

    fn enqueue(&mut self) {
        // A request that its caller has given up is not worked on.
        if !self.has_timeouts || self.wait() < ROUTE_TIMEOUT {
            self.backlog += 1.0;
        }
    }

    /// Takes the requests that have ended.
    pub(crate) fn ended(&mut self, now: Duration) -> Vec<(RequestClass, u64)> {
        let mut ended = Vec::new();
        self.pending.retain(|(at, class, count)| {
            let is_over = *at <= now;
            if is_over {
                ended.push((*class, *count));
            }
            !is_over
        });
        ended
    }
}
