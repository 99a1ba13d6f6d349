//! What the worker counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The worker's metrics; their help texts are in [`Metrics::new`].
pub(crate) struct Metrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) publish_failures: Family<FailureLabels, Counter>,
    pub(crate) without_subscriber: Counter,
    pub(crate) redis_connections: Counter,
    pub(crate) redis_connected: Gauge,
}

/// How a request for work was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) code: u16,
}

/// Why a calculation was not published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FailureLabels {
    pub(crate) reason: &'static str,
}

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            publish_failures: Family::default(),
            without_subscriber: Counter::default(),
            redis_connections: Counter::default(),
            redis_connected: Gauge::default(),
        };
        let Self {
            requests,
            publish_failures,
            without_subscriber,
            redis_connections,
            redis_connected,
        } = &metrics;
        registry.register("requests", "Requests for work answered, by status", requests.clone());
        registry.register(
            "publish_failures",
            "Calculations that Redis did not take, by reason",
            publish_failures.clone(),
        );
        registry.register(
            "published_without_subscriber",
            "Calculations that Redis took although nobody was listening",
            without_subscriber.clone(),
        );
        registry.register(
            "redis_connections",
            "Connections made to Redis",
            redis_connections.clone(),
        );
        registry.register("redis_connected", "1 while Redis is connected", redis_connected.clone());
        metrics
    }
}
