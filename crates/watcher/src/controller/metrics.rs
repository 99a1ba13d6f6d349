//! The metrics of the controller, and those of all its policies.

use std::{fmt, sync::Arc};

use chassis::probes::{self, Exposition};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::running::Running;

/// The metrics of the controller and of its policies.
pub(super) struct AllMetrics {
    own: Arc<Registry>,
    policies: Family<StateLabels, Gauge>,
    running: Running,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

impl AllMetrics {
    pub(super) fn new(running: Running) -> Self {
        let mut own = probes::registry("watcher", env!("CARGO_PKG_VERSION"));
        let policies = Family::default();
        own.register("policies", "The BurstPolicies, by state", policies.clone());
        let panics = running.panics.clone();
        own.register("policy_panics", "The policies' tasks that panicked, and began again", panics);
        Self { own: Arc::new(own), policies, running }
    }
}

impl Exposition for AllMetrics {
    fn openmetrics(&self) -> Result<String, fmt::Error> {
        let (at_work, refused) = self.running.count();
        for (state, count) in [("at_work", at_work), ("refused", refused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.policies.get_or_create(&StateLabels { state }).set(count);
        }
        let mut all = vec![Arc::clone(&self.own)];
        all.extend(self.running.registries());
        probes::merged(all.iter().map(|registry| &**registry))
    }
}
