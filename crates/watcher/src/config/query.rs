//! What the watcher asks Prometheus.

use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{
    List, defaults, duration_between, duration_text, list,
    schema::{durations, lists, texts},
};

use super::parse::{
    LABEL_VALUE, LABEL_VALUE_RULE, label_value, parsed_query, parsed_selector, query, selector,
};
use crate::promql::range_selectors;

/// The requests from the frontend to the workers of both clusters, as the frontend's own sidecar
/// counts them. That sidecar is always in primary, so it continues to count when the traffic has
/// left primary.
pub const DEFAULT_SERIES: &str = "istio_requests_total{reporter=\"source\",\
    source_workload=\"frontend-deployment\",source_workload_namespace=\"default\",\
    destination_service=\"worker-service.default.svc.cluster.local\"}";

/// The longest query of a `BurstPolicy`, in characters.
const MAX_QUERY: u32 = 4096;

/// The largest number of names of a cluster in a `BurstPolicy`.
const MAX_NAMES: u32 = 16;

/// What the watcher asks Prometheus.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct QuerySettings {
    /// The PromQL selector of the counters of all requests to both clusters, as their callers count
    /// them. The watcher reads the samples themselves
    #[arg(long, env = "SERIES", default_value = DEFAULT_SERIES, value_parser = selector)]
    #[serde(deserialize_with = "parsed_selector")]
    #[schemars(transform = texts("", MAX_QUERY, ""))]
    pub series: String,

    /// The PromQL selector of `up` of the callers, such as up{app="frontend"}. With it, the watcher
    /// believes that there are no requests when new callers have replaced all that had counted some
    #[arg(long, env = "UP_SERIES", default_value = "", hide_default_value = true, value_parser = selector)]
    #[serde(deserialize_with = "parsed_selector")]
    #[schemars(transform = texts("", MAX_QUERY, ""))]
    pub up_series: String,

    /// The label that names the cluster that a request went to; of several, separated by commas, the first
    /// that a series has
    #[arg(long, env = "CLUSTER_LABEL", default_value = "destination_cluster", value_parser = list(label_value))]
    #[serde(rename = "clusterLabels")]
    #[schemars(transform = lists(MAX_NAMES, texts(LABEL_VALUE_RULE, 253, LABEL_VALUE)))]
    pub cluster_label: List<String>,

    /// The value of `CLUSTER_LABEL` that is primary, or several, separated by commas
    #[arg(long, env = "PRIMARY_CLUSTER", default_value = "primary", value_parser = list(label_value))]
    #[serde(rename = "primaryClusters")]
    #[schemars(transform = lists(MAX_NAMES, texts(LABEL_VALUE_RULE, 253, LABEL_VALUE)))]
    pub primary_cluster: List<String>,

    /// The value of `CLUSTER_LABEL` that is burst, or several, separated by commas
    #[arg(long, env = "BURST_CLUSTER", default_value = "burst", value_parser = list(label_value))]
    #[serde(rename = "burstClusters")]
    #[schemars(transform = lists(MAX_NAMES, texts(LABEL_VALUE_RULE, 253, LABEL_VALUE)))]
    pub burst_cluster: List<String>,

    /// A PromQL query for the request rate instead of SERIES, for a recording rule or for very many
    /// callers. It must return one series. It shows less: decisions take longer
    #[arg(long, env = "QUERY", default_value = "", hide_default_value = true, value_parser = query)]
    #[serde(deserialize_with = "parsed_query")]
    #[schemars(transform = texts("", MAX_QUERY, ""))]
    pub query: String,

    /// With QUERY: the same rate by `destination_cluster` and `response_code`. It shows whether a cluster
    /// fails
    #[arg(long, env = "CLUSTERS_QUERY", default_value = "", hide_default_value = true, value_parser = query)]
    #[serde(deserialize_with = "parsed_query")]
    #[schemars(transform = texts("", MAX_QUERY, ""))]
    pub clusters_query: String,

    /// With QUERY: over how long it averages, 100ms to 1h. Default: its longest range, or 30s
    #[arg(long, env = "WINDOW", value_parser = duration_between("100ms", "1h"))]
    #[serde(with = "duration_text::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", transform = durations("100ms", "1h"))]
    pub window: Option<Duration>,

    /// The rate is unknown without a new sample for this long, 100ms to 1h. Default: two and a half scrapes
    /// and 2s
    #[arg(long, env = "STALE_AFTER", value_parser = duration_between("100ms", "1h"))]
    #[serde(with = "duration_text::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", transform = durations("100ms", "1h"))]
    pub stale_after: Option<Duration>,
}

impl Default for QuerySettings {
    fn default() -> Self {
        defaults::of()
    }
}

/// The window of a query without a range.
const USUAL_WINDOW: Duration = Duration::from_secs(30);

impl QuerySettings {
    /// Over how long `QUERY` averages.
    #[must_use]
    pub fn window(&self) -> Duration {
        let longest = || range_selectors(&self.query).into_iter().map(|found| found.range).max();
        self.window.or_else(longest).unwrap_or(USUAL_WINDOW)
    }

    /// Whether the watcher asks `QUERY` instead of `SERIES`.
    #[must_use]
    pub fn has_query(&self) -> bool {
        !self.query.trim().is_empty()
    }

    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(name) =
            self.burst_cluster.iter().find(|name| self.primary_cluster.contains(name))
        {
            return Err(format!(
                "BURST_CLUSTER: {name:?} is not accepted; accepted: another value than PRIMARY_CLUSTER"
            ));
        }
        if !self.clusters_query.is_empty() && !self.has_query() {
            return Err("CLUSTERS_QUERY: it is accepted only with QUERY".to_owned());
        }
        Ok(())
    }
}
