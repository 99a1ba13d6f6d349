//! Counts a request for work as long as it is in flight.

use crate::metrics::Metrics;

/// A request in flight. If it is dropped before it is answered, it took too long, or the process
/// ends. A client that leaves is not noticed: it may have ended only its own half.
pub(super) struct InFlight<'a> {
    metrics: &'a Metrics,
    is_answered: bool,
}

impl<'a> InFlight<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        metrics.requests_in_flight.inc();
        Self { metrics, is_answered: false }
    }

    /// Ends it with an answer.
    pub(super) fn end_answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.requests_in_flight.dec();
        if !self.is_answered {
            self.metrics.requests_abandoned.inc();
        }
    }
}
