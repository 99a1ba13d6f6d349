//! The watcher's metrics.

mod burst;
mod callers;
mod ticks;

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::{Cluster, TrafficState};
use policy::{Decision, RequestHistory, Weights};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    config::SourceKind,
    source::ObservedTraffic,
    status::{CLUSTERS_WINDOW, traffic_state},
};
use burst::BurstMetrics;
use callers::CallerMetrics;
use ticks::TickMetrics;

/// A gauge with a fraction.
pub(crate) type Number = Gauge<f64, AtomicU64>;

/// Counts by result.
pub(crate) type Results = Family<ResultLabels, Counter>;

/// The number of field managers with a series of their own. All others share the series `other`.
const MAX_MANAGERS: usize = 16;

/// The watcher's metrics; their help texts are in [`Metrics::new`].
#[derive(Default)]
pub(crate) struct Metrics {
    demand: Number,
    capacity: Number,
    cluster_rate: Family<ClusterLabels, Number>,
    failure_ratio: Family<ClusterLabels, Number>,
    demand_deviation: Number,
    sample_age: Number,
    sample_lag: Number,
    scrape_interval: Number,
    movable_share: Number,
    weight: Family<ClusterLabels, Number>,
    desired_weight: Family<ClusterLabels, Gauge>,
    mode: Family<ModeLabels, Gauge>,
    queries: Results,
    cluster_queries: Results,
    pub(crate) query_checks: Results,
    pub(crate) write_checks: Results,
    pub(crate) observations: Results,
    pub(crate) writes: Results,
    pub(crate) events: Results,
    decisions: Family<ReasonLabels, Counter>,
    hold_seconds: Family<ReasonLabels, Counter<f64, AtomicU64>>,
    reversals: Counter,
    pub(crate) leader: Gauge,
    callers: CallerMetrics,
    pub(crate) burst: BurstMetrics,
    /// Whether the last write sent more to burst; `None` before the first.
    was_rise: Mutex<Option<bool>>,
    pub(crate) ticks: TickMetrics,
    drift: Family<ManagerLabels, Counter>,
    managers: Mutex<Vec<String>>,
}

/// The name of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClusterLabels {
    cluster: &'static str,
}

/// A result: `ok`, or the kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabels {
    result: &'static str,
}

/// A [`TrafficState`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabels {
    mode: &'static str,
}

/// The name of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The name of a field manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ManagerLabels {
    manager: String,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut gauge = |name, help, metric: &Number| registry.register(name, help, metric.clone());
        let demand = "The request rate, in requests per second; NaN if it is unknown";
        gauge("demand_rps", demand, &metrics.demand);
        let deviation =
            "One standard deviation of the request rate, by the number of requests behind it";
        gauge("demand_deviation_rps", deviation, &metrics.demand_deviation);
        gauge("sample_age_seconds", "The time since the last new sample", &metrics.sample_age);
        let lag = "How old the newest sample was when it arrived";
        gauge("sample_lag_seconds", lag, &metrics.sample_lag);
        gauge("scrape_interval_seconds", "The distance of the samples", &metrics.scrape_interval);
        let movable = "The share of the requests that the weights divide, 0.5 to 1";
        gauge("movable_share", movable, &metrics.movable_share);
        gauge(
            "capacity_rps",
            "The rate above which traffic leaves primary; NaN if it is unknown",
            &metrics.capacity,
        );
        let mut by_cluster = |name, help, metric: &Family<ClusterLabels, Number>| {
            registry.register(name, help, metric.clone());
        };
        by_cluster("cluster_rps", "The request rate, by cluster", &metrics.cluster_rate);
        let failure_ratio = "The share of a cluster's requests that fail, 0 to 1";
        by_cluster("failure_ratio", failure_ratio, &metrics.failure_ratio);
        by_cluster("weight", "The weight in force, by cluster", &metrics.weight);
        let desired_weight = metrics.desired_weight.clone();
        registry.register("desired_weight", "The desired weight, by cluster", desired_weight);
        let mode = "Where the traffic goes: 1 for the present mode";
        registry.register("mode", mode, metrics.mode.clone());
        let leader = "Whether this watcher decides: 1, or 0 while another one does";
        registry.register("leader", leader, metrics.leader.clone());
        metrics.register_counters(registry);
        metrics.callers.register(registry);
        metrics.burst.register(registry);
        metrics
    }

    fn register_counters(&self, registry: &mut Registry) {
        let mut results = |name, help, metric: &Results| {
            registry.register(name, help, metric.clone());
        };
        results("queries", "Answers of Prometheus, by result", &self.queries);
        let clusters = "Answers of Prometheus to CLUSTERS_QUERY, by result";
        results("clusters_queries", clusters, &self.cluster_queries);
        results("query_checks", "Checks of SERIES or QUERY, by result", &self.query_checks);
        let write_checks = "Tries of a write as a dry run of the API server, by result";
        results("write_checks", write_checks, &self.write_checks);
        let observations = "Reads of the route, by result";
        results("observations", observations, &self.observations);
        results("writes", "Writes of weights, by result", &self.writes);
        results("events", "Kubernetes Events, by result", &self.events);
        let decisions = "Decisions, by reason";
        registry.register("decisions", decisions, self.decisions.clone());
        let hold_seconds = "The time in which the watcher held the weights, by reason";
        registry.register("hold_seconds", hold_seconds, self.hold_seconds.clone());
        let reversals = "Writes that moved traffic in the other direction than the write before";
        registry.register("reversals", reversals, self.reversals.clone());
        let drift = "Changes of the weights by other writers, by field manager";
        registry.register("drift", drift, self.drift.clone());
        self.ticks.register(registry);
    }

    /// Records an observation of the traffic, and what is known of the requests then.
    pub(crate) fn record_traffic(
        &self,
        now: Duration,
        traffic: &ObservedTraffic,
        requests: &RequestHistory,
    ) {
        self.callers.record(traffic);
        if traffic.source == SourceKind::Prometheus {
            count(&self.queries, traffic.result());
        }
        let unknown_clusters = traffic.unknown_clusters.as_ref();
        if let Some(unknown) = unknown_clusters {
            count(&self.cluster_queries, unknown.kind());
        }
        let estimate = requests.estimate(now).ok();
        set(&self.demand, estimate.map(|estimate| estimate.rate));
        set(&self.demand_deviation, estimate.map(|estimate| estimate.deviation));
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        set(&self.sample_age, seconds(requests.since_new_sample(now)));
        set(&self.sample_lag, seconds(requests.lag()));
        set(&self.scrape_interval, seconds(requests.scrape_interval()));
        set(&self.movable_share, Some(requests.movable_share()));
        let clusters = requests.recent(CLUSTERS_WINDOW);
        for cluster in Cluster::ALL {
            let ratio = clusters.and_then(|clusters| clusters.failure_ratio(cluster));
            set(&self.failure_ratio.get_or_create(&cluster.into()), ratio);
        }
        let rates = clusters.map(|clusters| clusters.totals());
        for (index, cluster) in ["primary", "burst", "unknown"].into_iter().enumerate() {
            let rate = self.cluster_rate.get_or_create(&ClusterLabels { cluster });
            set(&rate, rates.map(|rates| rates[index]));
        }
    }

    /// Records the rate above which traffic leaves primary; `None` if it is unknown.
    pub(crate) fn record_capacity(&self, capacity: Option<f64>) {
        set(&self.capacity, capacity);
    }

    /// Records the weights in force; `None` if they are unknown.
    pub(crate) fn record_weights(&self, weights: Option<Weights>) {
        let present = traffic_state(weights);
        for state in TrafficState::ALL {
            let mode = self.mode.get_or_create(&ModeLabels { mode: state.name() });
            mode.set((state == present).into());
        }
        for cluster in Cluster::ALL {
            let weight = weights.map(|weights| weights.weight_of(cluster).into());
            set(&self.weight.get_or_create(&cluster.into()), weight);
        }
    }

    /// Records a decision.
    pub(crate) fn record_decision(&self, decision: &Decision, since_last_tick: Duration) {
        let Decision { weights, reason, .. } = decision;
        let labels = ReasonLabels { reason: reason.name() };
        self.decisions.get_or_create(&labels).inc();
        if reason.is_hold() {
            let hold_seconds = self.hold_seconds.get_or_create(&labels);
            hold_seconds.inc_by(since_last_tick.as_secs_f64());
        }
        for cluster in Cluster::ALL {
            let weight = weights.weight_of(cluster);
            self.desired_weight.get_or_create(&cluster.into()).set(weight.into());
        }
    }

    /// Records in which direction a write moved traffic.
    pub(crate) fn record_direction(&self, from: Weights, to: Weights) {
        let is_rise = from.burst_share() < to.burst_share();
        let before = lock(&self.was_rise).replace(is_rise);
        if before.is_some_and(|was_rise| was_rise != is_rise) {
            self.reversals.inc();
        }
    }

    /// Records a change of the weights by another writer.
    pub(crate) fn record_foreign_change(&self, manager: &str) {
        let mut managers = lock(&self.managers);
        let is_known = managers.iter().any(|known| known == manager);
        if !is_known && managers.len() < MAX_MANAGERS {
            managers.push(manager.to_owned());
        }
        let is_named = managers.iter().any(|known| known == manager);
        let manager = if is_named { manager } else { "other" }.to_owned();
        self.drift.get_or_create(&ManagerLabels { manager }).inc();
    }
}

impl From<Cluster> for ClusterLabels {
    fn from(cluster: Cluster) -> Self {
        Self { cluster: cluster.name() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a result.
pub(crate) fn count(family: &Results, result: &'static str) {
    family.get_or_create(&ResultLabels { result }).inc();
}

/// Sets a gauge; an unknown value is NaN, which a graph shows as a gap.
fn set(number: &Number, value: Option<f64>) {
    number.inner().store(value.unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn the_number_of_managers_is_bounded() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        for manager in 0..100 {
            metrics.record_foreign_change(&manager.to_string());
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(text.matches("drift_total{").count(), MAX_MANAGERS + 1);
        assert!(text.contains("drift_total{manager=\"other\"} 84"), "{text}");
    }
}
