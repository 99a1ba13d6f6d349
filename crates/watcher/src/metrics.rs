//! What the watcher counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

/// The watcher's metrics; their help texts are in [`Metrics::new`].
pub(crate) struct Metrics {
    pub(crate) rate: Gauge<f64, AtomicU64>,
    pub(crate) weight: Family<ClusterLabels, Gauge>,
    pub(crate) readings: Family<ResultLabels, Counter>,
    pub(crate) observations: Family<ResultLabels, Counter>,
    pub(crate) writes: Family<ResultLabels, Counter>,
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

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            rate: Gauge::default(),
            weight: Family::default(),
            readings: Family::default(),
            observations: Family::default(),
            writes: Family::default(),
        };
        let Self { rate, weight, readings, observations, writes } = &metrics;
        registry.register(
            "rate",
            "The last known request rate, in requests per second",
            rate.clone(),
        );
        registry.register("weight", "The weight in force, by cluster", weight.clone());
        registry.register("readings", "Answers of Prometheus, by result", readings.clone());
        registry.register(
            "observations",
            "Answers of the API server to a read of the VirtualService, by result",
            observations.clone(),
        );
        registry.register("writes", "Writes of weights, by result", writes.clone());
        metrics
    }
}

/// Counts one more of a result.
pub(crate) fn count(family: &Family<ResultLabels, Counter>, result: &'static str) {
    family.get_or_create(&ResultLabels { result }).inc();
}
