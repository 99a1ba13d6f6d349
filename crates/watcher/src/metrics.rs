//! What the watcher counts.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// A number that may be fractional.
pub(crate) type Number = Gauge<f64, AtomicU64>;

/// How often something has ended how.
pub(crate) type Results = Family<ResultLabels, Counter>;

/// How many field managers have a series of their own; the others share `other`.
const MAX_MANAGERS: usize = 16;

/// The watcher's metrics; their help texts are in [`Metrics::new`].
#[derive(Default)]
pub(crate) struct Metrics {
    pub(crate) demand: Number,
    pub(crate) cluster_rate: Family<ClusterLabels, Number>,
    pub(crate) primary_failing: Number,
    pub(crate) burst_failing: Number,
    pub(crate) sample_age: Number,
    pub(crate) weight: Family<ClusterLabels, Number>,
    pub(crate) desired_weight: Family<ClusterLabels, Gauge>,
    pub(crate) mode: Family<ModeLabels, Gauge>,
    pub(crate) queries: Results,
    pub(crate) cluster_queries: Results,
    pub(crate) query_checks: Results,
    pub(crate) observations: Results,
    pub(crate) writes: Results,
    pub(crate) events: Results,
    pub(crate) decisions: Family<ReasonLabels, Counter>,
    pub(crate) hold_seconds: Family<ReasonLabels, Counter<f64, AtomicU64>>,
    pub(crate) reversals: Counter,
    pub(crate) tick_seconds: TickSeconds,
    drift: Family<ManagerLabels, Counter>,
    managers: Mutex<Vec<String>>,
}

/// A histogram with its buckets.
pub(crate) struct TickSeconds(pub(crate) Histogram);

impl Default for TickSeconds {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.000_5, 2.0, 13)))
    }
}

/// A cluster, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ClusterLabels {
    pub(crate) cluster: &'static str,
}

/// How something ended: `ok`, or the kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabels {
    pub(crate) result: &'static str,
}

/// Where the traffic goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ModeLabels {
    pub(crate) mode: &'static str,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    pub(crate) reason: &'static str,
}

/// Who.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ManagerLabels {
    manager: String,
}

impl Metrics {
    /// `capacity` is the rate at which traffic leaves primary.
    pub(crate) fn new(registry: &mut Registry, capacity: f64) -> Self {
        let metrics = Self::default();
        let Self {
            demand, cluster_rate, primary_failing, burst_failing, sample_age, weight, ..
        } = &metrics;
        let mut gauge = |name, help, metric: &Number| registry.register(name, help, metric.clone());
        gauge(
            "demand_rps",
            "The request rate, in requests per second; NaN if it is not known",
            demand,
        );
        gauge("sample_age_seconds", "How old the newest sample is", sample_age);
        gauge(
            "primary_failing_ratio",
            "The share of primary's requests that fail",
            primary_failing,
        );
        gauge("burst_failing_ratio", "The share of burst's requests that fail", burst_failing);
        let carried = Number::default();
        carried.set(capacity);
        gauge("capacity_rps", "The rate above which traffic leaves primary", &carried);
        registry.register("cluster_rps", "The request rate, by cluster", cluster_rate.clone());
        registry.register("weight", "The weight in force, by cluster", weight.clone());
        let desired = metrics.desired_weight.clone();
        registry.register("desired_weight", "The weight that should be, by cluster", desired);
        registry.register("mode", "Where the traffic goes: 1 there", metrics.mode.clone());
        metrics.register_counters(registry);
        metrics
    }

    fn register_counters(&self, registry: &mut Registry) {
        let mut results = |name, help, metric: &Results| {
            registry.register(name, help, metric.clone());
        };
        results("query", "Answers of Prometheus to QUERY, by result", &self.queries);
        let clusters = "Answers of Prometheus to CLUSTERS_QUERY, by result";
        results("clusters_query", clusters, &self.cluster_queries);
        results("query_check", "Checks of QUERY itself, by result", &self.query_checks);
        let observations = "Reads of the VirtualService, by result";
        results("observations", observations, &self.observations);
        results("writes", "Writes of weights, by result", &self.writes);
        results("events", "Kubernetes Events, by result", &self.events);
        let reasons = "Ticks, by the reason of their decision";
        registry.register("decisions", reasons, self.decisions.clone());
        let held = "Time in which weights were held, by reason";
        registry.register("hold_seconds", held, self.hold_seconds.clone());
        let reversals = "Writes that moved traffic the other way than the write before";
        registry.register("reversals", reversals, self.reversals.clone());
        let drift = "Changes of the weights by somebody else, by field manager";
        registry.register("drift", drift, self.drift.clone());
        let tick = "How long a tick took: to look, to decide, and to write";
        registry.register("decision_seconds", tick, self.tick_seconds.0.clone());
    }

    /// Counts a change of the weights by somebody else.
    pub(crate) fn drifted(&self, manager: &str) {
        let mut managers = self.managers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = managers.iter().any(|known| known == manager);
        if !is_known && managers.len() < MAX_MANAGERS {
            managers.push(manager.to_owned());
        }
        let is_named = managers.iter().any(|known| known == manager);
        let manager = if is_named { manager } else { "other" }.to_owned();
        self.drift.get_or_create(&ManagerLabels { manager }).inc();
    }
}

/// Counts one more of a result.
pub(crate) fn count(family: &Results, result: &'static str) {
    family.get_or_create(&ResultLabels { result }).inc();
}

/// Sets a number that is not known to NaN, which a graph shows as a gap.
pub(crate) fn set(number: &Number, value: Option<f64>) {
    number.inner().store(value.unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn managers_are_bounded() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry, 15.0);
        for manager in 0..100 {
            metrics.drifted(&manager.to_string());
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(text.matches("drift_total{").count(), MAX_MANAGERS + 1);
        assert!(text.contains("drift_total{manager=\"other\"} 84"), "{text}");
    }
}
