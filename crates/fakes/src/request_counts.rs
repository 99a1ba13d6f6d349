//! `istio_requests_total`, as the frontend's sidecar counts it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use contract::Cluster;

/// The name of the metric.
pub(crate) const METRIC: &str = "istio_requests_total";

/// The labels that are the same for every series.
const LABELS: [(&str, &str); 9] = [
    ("reporter", "source"),
    ("source_workload", "frontend-deployment"),
    ("source_workload_namespace", "default"),
    ("source_app", "frontend"),
    ("source_cluster", "primary"),
    ("destination_workload", "worker-deployment"),
    ("destination_workload_namespace", "default"),
    ("destination_service", "worker-service.default.svc.cluster.local"),
    ("destination_service_name", "worker-service"),
];

/// A time series: the cluster that received a request, and the status of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) cluster: Cluster,
    pub(crate) response_code: u16,
}

impl Series {
    /// All labels that Prometheus shows, with that of the target.
    pub(crate) fn labels(&self) -> BTreeMap<&'static str, String> {
        let shared = LABELS.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let own = [
            ("destination_cluster", self.cluster.to_string()),
            ("instance", "mesh".to_owned()),
            ("response_code", self.response_code.to_string()),
        ];
        shared.chain(own).collect()
    }

    /// The value of a label; `None` if the series does not have it.
    pub(crate) fn label(&self, name: &str) -> Option<String> {
        match name {
            "__name__" => Some(METRIC.to_owned()),
            "destination_cluster" => Some(self.cluster.to_string()),
            "response_code" => Some(self.response_code.to_string()),
            _ => LABELS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned()),
        }
    }
}

/// The requests counted so far. A series appears with its first request. Clones share the counts.
///
/// There are two clusters and fewer than a thousand statuses, which bounds the number of series.
#[derive(Clone, Default)]
pub struct RequestCounts(Arc<Mutex<BTreeMap<Series, u64>>>);

impl RequestCounts {
    pub(crate) fn count(&self, series: Series) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(series).or_default() += 1;
    }

    pub(crate) fn snapshot(&self) -> BTreeMap<Series, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Renders the counts in Prometheus' text format, as a sidecar does.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("# TYPE {METRIC} counter\n");
        for (series, count) in self.snapshot() {
            let own = [
                ("destination_cluster", series.cluster.to_string()),
                ("response_code", series.response_code.to_string()),
            ];
            let labels = LABELS.iter().map(|(name, value)| format!("{name}=\"{value}\""));
            let own = own.iter().map(|(name, value)| format!("{name}=\"{value}\""));
            let labels: Vec<_> = labels.chain(own).collect();
            // Writing to a String does not fail.
            let _ = writeln!(text, "{METRIC}{{{}}} {count}", labels.join(","));
        }
        text
    }
}
