//! The settings of the controller. Those of a policy are in its `BurstPolicy`.

use chassis::{logs::LogSettings, settings::Settings};
use clap::Parser;
use value_parsers::{object_name, port};

use crate::config::PrometheusSettings;

/// Follows the `BurstPolicies`, and moves the traffic of each one's route
#[derive(Clone, Debug, Parser)]
#[command(
    name = "watcher controller",
    version,
    // These libraries log each failed call as an error. The controller logs a failure once itself.
    mut_arg("rust_log", |arg| arg.default_value("info,kube_client=off,rustls_platform_verifier=off"))
)]
pub struct ControllerConfig {
    /// `controller` runs. `crd` prints the definition of the custom resource, and ends
    #[arg(value_enum, default_value = "controller")]
    pub command: ControllerCommand,

    /// The port of the probes, the metrics and the status; 0 is any free port
    #[arg(long, env = "PORT", default_value_t = 8082, value_parser = port)]
    pub port: u16,

    /// The namespace whose `BurstPolicies` the controller follows. Default: all namespaces
    #[arg(long, env = "WATCH_NAMESPACE", value_parser = object_name)]
    pub watch_namespace: Option<String>,

    /// Where Prometheus is.
    #[command(flatten)]
    pub prometheus: PrometheusSettings,

    /// The kubeconfig of primary; several paths are separated by colons. Default: the current context, or
    /// in a pod the credentials of its service account
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<String>,

    /// The Lease by which one of several controllers is elected to decide and write, in the namespace of
    /// its credentials
    #[arg(long, env = "LEASE", default_value = "istiowatcher", value_parser = object_name)]
    pub lease: String,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// What the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ControllerCommand {
    /// It follows the policies until it is stopped.
    Controller,
    /// It prints the `CustomResourceDefinition`.
    Crd,
}

impl ControllerConfig {
    /// Whether arguments are those of the controller, and not those of a watcher of one route.
    #[must_use]
    pub fn is_meant_by(arguments: &[String]) -> bool {
        matches!(arguments, [_, first, ..] if first == "controller" || first == "crd")
    }
}

impl Settings for ControllerConfig {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }

    fn is_service(&self) -> bool {
        self.command == ControllerCommand::Controller
    }

    fn validate(&self) -> Result<(), String> {
        self.prometheus.validate()
    }
}
