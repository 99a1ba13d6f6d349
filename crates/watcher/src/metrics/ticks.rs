//! The metrics of the control loop's ticks.

use std::time::Duration;

use prometheus_client::{
    metrics::histogram::{Histogram, exponential_buckets},
    registry::Registry,
};

/// How late ticks began, and how long they took.
pub(crate) struct TickMetrics {
    late_seconds: Histogram,
    seconds: Histogram,
}

impl Default for TickMetrics {
    fn default() -> Self {
        let histogram = || Histogram::new(exponential_buckets(0.000_5, 2.0, 13));
        Self { late_seconds: histogram(), seconds: histogram() }
    }
}

impl TickMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let tick = "The duration of a tick: to observe, to decide and to write";
        registry.register("tick_seconds", tick, self.seconds.clone());
        let late = "How late a tick began, because the watcher had too much to do";
        registry.register("tick_late_seconds", late, self.late_seconds.clone());
    }

    /// Records how late a tick began, and how long it took.
    pub(crate) fn record(&self, late: Duration, duration: Duration) {
        self.late_seconds.observe(late.as_secs_f64());
        self.seconds.observe(duration.as_secs_f64());
    }
}
