//! What the watcher asks Prometheus.

use std::time::Duration;

use clap::{Args, builder::ArgPredicate};

use super::parse::{query, time};
use crate::promql::range_selectors;

/// The metric, and what the frontend's own sidecar counts of it: that one is always in primary, so it goes
/// on counting once the traffic has left.
macro_rules! selector {
    () => {
        "istio_requests_total{reporter=\"source\",source_workload=\"frontend-deployment\",\
         source_workload_namespace=\"default\",\
         destination_service=\"worker-service.default.svc.cluster.local\"}"
    };
}

/// The request rate from the frontend to the workers of both clusters.
pub const DEFAULT_QUERY: &str = concat!("sum(rate(", selector!(), "[30s]))");

/// The same over a shorter time: to spill is to follow the load, and its window damps what that adds.
pub const SPILL_QUERY: &str = concat!("sum(rate(", selector!(), "[15s]))");

/// The same, by the cluster that it went to and by the answer.
pub const DEFAULT_CLUSTERS_QUERY: &str =
    concat!("sum by (destination_cluster, response_code) (rate(", selector!(), "[30s]))");

/// What the watcher asks Prometheus.
#[derive(Clone, Debug, Args)]
pub struct QuerySettings {
    /// Query for the request rate, in requests per second: an instant vector of one series. With
    /// `POLICY=spill` it looks back over 15s
    #[arg(long, env = "QUERY", default_value = DEFAULT_QUERY, value_parser = query,
        default_value_if("policy", ArgPredicate::Equals("spill".into()), SPILL_QUERY))]
    pub query: String,

    /// Query for the same rate by the labels `destination_cluster` (primary or burst) and `response_code`: whether burst
    /// fails. Empty: it is not asked
    #[arg(long, env = "CLUSTERS_QUERY", default_value = DEFAULT_CLUSTERS_QUERY)]
    pub clusters_query: String,

    /// Query that is 1 or more while what QUERY counts is scraped, such as up{app="frontend"}: an empty answer to QUERY is then a
    /// rate of 0. Without it, it is unknown
    #[arg(long, env = "UP_QUERY", default_value = "", hide_default_value = true)]
    pub up_query: String,

    /// Over how long `QUERY` averages, 100ms to 1h; without it the longest range in `QUERY`, or 30s
    #[arg(long, env = "WINDOW", value_parser = time("100ms", "1h"))]
    pub window: Option<Duration>,

    /// How old the newest sample may be, 100ms to 1h; without it half of `WINDOW`
    #[arg(long, env = "STALE_AFTER", value_parser = time("100ms", "1h"))]
    pub stale_after: Option<Duration>,
}

impl QuerySettings {
    /// Over how long `QUERY` averages.
    #[must_use]
    pub fn window(&self) -> Duration {
        let longest = || longest_range(&self.query);
        self.window.or_else(longest).unwrap_or(USUAL_WINDOW)
    }

    /// Over how long `CLUSTERS_QUERY` averages.
    #[must_use]
    pub fn clusters_window(&self) -> Duration {
        longest_range(&self.clusters_query).unwrap_or_else(|| self.window())
    }

    /// How old the newest sample may be.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after.unwrap_or_else(|| self.window() / 2)
    }
}

/// The window of a query that does not show it.
const USUAL_WINDOW: Duration = Duration::from_secs(30);

fn longest_range(query: &str) -> Option<Duration> {
    range_selectors(query).into_iter().map(|it| it.range).max()
}
