//! The metrics of the budget of burst, and of the webhook.

use prometheus_client::registry::Registry;

use super::{Number, Results, set};

/// The budget of burst, and the webhook.
#[derive(Default)]
pub(crate) struct BurstMetrics {
    requests: Number,
    /// Calls of the webhook, by result.
    pub(crate) webhook_calls: Results,
}

impl BurstMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let requests =
            "The requests that burst received within the last hour; NaN without a budget";
        registry.register("burst_requests_per_hour", requests, self.requests.clone());
        let calls = "Calls of BURST_WEBHOOK_URL, by result";
        registry.register("webhook_calls", calls, self.webhook_calls.clone());
    }

    /// Records the requests to burst of the last hour; `None` without a budget.
    pub(crate) fn record_requests(&self, requests: Option<f64>) {
        set(&self.requests, requests);
    }
}
