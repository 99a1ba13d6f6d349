//! The route whose weights the watcher moves.

use std::fmt;

use clap::{Args, ValueEnum};
use contract::Cluster;

use super::parse::{label_value, object_name};

/// The route whose weights the watcher moves.
#[derive(Clone, Debug, Args)]
pub struct RouteSettings {
    /// The namespace of the route
    #[arg(long, env = "NAMESPACE", default_value = "default", value_parser = object_name)]
    pub namespace: String,

    /// The kind of the route: VirtualService of Istio, or HTTPRoute of Gateway API
    #[arg(long, env = "ROUTE_KIND", default_value = "VirtualService", value_enum)]
    pub route_kind: RouteKind,

    /// The name of the route whose weights the watcher moves
    #[arg(long, env = "ROUTE", default_value = "worker-virtual-service", value_parser = object_name)]
    pub route: String,

    /// The name of the rule whose weights the watcher moves. Default: all rules that lead to both clusters,
    /// which must then have equal weights
    #[arg(long, env = "ROUTE_RULE", value_parser = label_value)]
    pub route_rule: Option<String>,

    /// The destination in primary: the subset of a VirtualService, or the host if its destinations have no
    /// subsets; the Service of an HTTPRoute
    #[arg(long, env = "PRIMARY_DESTINATION", default_value = "primary", value_parser = label_value)]
    pub primary_destination: String,

    /// The destination in burst, in the same way
    #[arg(long, env = "BURST_DESTINATION", default_value = "burst", value_parser = label_value)]
    pub burst_destination: String,
}

/// The kind of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RouteKind {
    /// Istio's, of `networking.istio.io/v1`.
    #[value(name = "VirtualService")]
    VirtualService,
    /// Gateway API's, of `gateway.networking.k8s.io/v1`.
    #[value(name = "HTTPRoute")]
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
