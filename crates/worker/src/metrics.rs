//! The worker's metrics.

use axum::http::StatusCode;
use chassis::probes::per_thread;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// The worker's metrics; their help texts are in [`Metrics::new`].
pub(crate) struct Metrics {
    requests: Family<RequestLabels, per_thread::Counter>,
    /// That of 200, which is found without a lookup.
    requests_ok: per_thread::Counter,
    pub(crate) requests_in_flight: per_thread::Gauge,
    pub(crate) requests_abandoned: Counter,
    pub(crate) publish: Histogram,
    pub(crate) publish_failures: Family<FailureLabels, Counter>,
    pub(crate) without_subscriber: Counter,
    pub(crate) redis_connections: Counter,
    pub(crate) redis_connected: Gauge,
}

/// The bounds of the publish latency, in seconds. A local Redis answers in a tenth of a
/// millisecond, and the worker waits for none longer than a second.
const BOUNDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// The status with which a request for work was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    code: u16,
}

/// Why a calculation was not published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FailureLabels {
    pub(crate) reason: &'static str,
}

impl Metrics {
    /// Counts an answered request for work.
    pub(crate) fn record_answer(&self, status: StatusCode) {
        if status == StatusCode::OK {
            self.requests_ok.inc();
        } else {
            self.requests.get_or_create(&RequestLabels { code: status.as_u16() }).inc();
        }
    }

    pub(crate) fn new(registry: &mut Registry) -> Self {
        let requests = Family::<RequestLabels, per_thread::Counter>::default();
        let ok = RequestLabels { code: StatusCode::OK.as_u16() };
        let metrics = Self {
            requests_ok: requests.get_or_create_owned(&ok),
            requests,
            requests_in_flight: per_thread::Gauge::default(),
            requests_abandoned: Counter::default(),
            publish: Histogram::new(BOUNDS),
            publish_failures: Family::default(),
            without_subscriber: Counter::default(),
            redis_connections: Counter::default(),
            redis_connected: Gauge::default(),
        };
        let m = &metrics;
        registry.register("requests", "Answered requests for work, by status", m.requests.clone());
        registry.register(
            "requests_in_flight",
            "Requests for work in flight",
            m.requests_in_flight.clone(),
        );
        registry.register(
            "requests_abandoned",
            "Requests for work that ended without an answer",
            m.requests_abandoned.clone(),
        );
        registry.register_with_unit(
            "publish",
            "Time from publishing a calculation to the answer of Redis",
            Unit::Seconds,
            m.publish.clone(),
        );
        registry.register(
            "publish_failures",
            "Calculations that Redis did not take, by reason",
            m.publish_failures.clone(),
        );
        registry.register(
            "published_without_subscriber",
            "Calculations that Redis took while nobody listened",
            m.without_subscriber.clone(),
        );
        registry.register(
            "redis_connections",
            "Connections that the worker made to Redis",
            m.redis_connections.clone(),
        );
        registry.register(
            "redis_connected",
            "1 while Redis is connected, else 0",
            m.redis_connected.clone(),
        );
        metrics
    }
}
