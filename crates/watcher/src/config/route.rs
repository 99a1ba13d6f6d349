//! The route whose weights the watcher moves.

use std::fmt;

use clap::{Args, ValueEnum};
use contract::Cluster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{
    OBJECT_NAME, OBJECT_NAME_RULE, defaults, object_name,
    schema::{add_rule, texts},
};

use super::parse::{LABEL_VALUE, LABEL_VALUE_RULE, label_value};

/// The route whose weights the watcher moves.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "self.primaryDestination != self.burstDestination",
    "burstDestination: accepted: another name than primaryDestination"
))]
pub struct RouteSettings {
    /// The namespace of the route
    #[arg(long, env = "NAMESPACE", default_value = "default", value_parser = object_name)]
    #[serde(skip)]
    pub namespace: String,

    /// The kind of the route: VirtualService of Istio, or HTTPRoute of Gateway API
    #[arg(long, env = "ROUTE_KIND", default_value = "VirtualService", value_enum)]
    #[serde(rename = "kind")]
    pub route_kind: RouteKind,

    /// The name of the route whose weights the watcher moves
    #[arg(long, env = "ROUTE", default_value = "worker-virtual-service", value_parser = object_name)]
    #[serde(rename = "name")]
    #[schemars(transform = texts(OBJECT_NAME_RULE, 253, OBJECT_NAME))]
    pub route: String,

    /// The name of the rule whose weights the watcher moves. Default: all rules that lead to both clusters,
    /// which must then have equal weights
    #[arg(long, env = "ROUTE_RULE", value_parser = label_value)]
    #[serde(rename = "rule", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = texts(LABEL_VALUE_RULE, 253, LABEL_VALUE))]
    pub route_rule: Option<String>,

    /// The destination in primary: the subset of a VirtualService, or the host if its destinations have no
    /// subsets; the Service of an HTTPRoute
    #[arg(long, env = "PRIMARY_DESTINATION", default_value = "primary", value_parser = label_value)]
    #[schemars(transform = texts(LABEL_VALUE_RULE, 253, LABEL_VALUE))]
    pub primary_destination: String,

    /// The destination in burst, in the same way
    #[arg(long, env = "BURST_DESTINATION", default_value = "burst", value_parser = label_value)]
    #[schemars(transform = texts(LABEL_VALUE_RULE, 253, LABEL_VALUE))]
    pub burst_destination: String,
}

/// The kind of a route.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize, JsonSchema,
)]
pub enum RouteKind {
    /// Istio's, of `networking.istio.io/v1`.
    #[value(name = "VirtualService")]
    VirtualService,
    /// Gateway API's, of `gateway.networking.k8s.io/v1`.
    #[value(name = "HTTPRoute")]
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
}

impl RouteKind {
    /// The name, as Kubernetes has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::HttpRoute => "HTTPRoute",
        }
    }
}

impl Default for RouteSettings {
    fn default() -> Self {
        defaults::of()
    }
}

impl RouteSettings {
    /// The route of `istio/`, which the defaults name, too.
    #[must_use]
    pub fn of_manifests() -> Self {
        Self {
            namespace: "default".to_owned(),
            route_kind: RouteKind::VirtualService,
            route: "worker-virtual-service".to_owned(),
            route_rule: None,
            primary_destination: Cluster::Primary.name().to_owned(),
            burst_destination: Cluster::Burst.name().to_owned(),
        }
    }

    /// The name of a cluster's destination.
    #[must_use]
    pub fn destination(&self, cluster: Cluster) -> &str {
        match cluster {
            Cluster::Primary => &self.primary_destination,
            Cluster::Burst => &self.burst_destination,
        }
    }

    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    pub fn validate(&self) -> Result<(), String> {
        let Self { primary_destination, burst_destination, .. } = self;
        if primary_destination != burst_destination {
            return Ok(());
        }
        Err(format!(
            "BURST_DESTINATION: {burst_destination:?} is not accepted; accepted: another name than PRIMARY_DESTINATION"
        ))
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
