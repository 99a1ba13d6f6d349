//! The settings of the demo.

use chassis::{
    logs::LogSettings,
    settings::{Settings, port},
};
use clap::Parser;
use contract::RedisUrl;

/// A query of the watcher, over a third of its window: the local Prometheus scrapes every second, so that it
/// holds as much.
fn sooner(query: &str) -> String {
    query.replace("[30s]", "[10s]")
}

/// Runs the whole demo on this machine: both clusters, the mesh, and all that watches over them
#[derive(Clone, Debug, Parser)]
#[command(
    name = "local",
    version,
    mut_arg("query", |arg| arg.default_value(sooner(watcher::DEFAULT_QUERY))),
    mut_arg("clusters_query", |arg| arg.default_value(sooner(watcher::DEFAULT_CLUSTERS_QUERY))),
    // A demo comes home while one looks on, and as often as it is played.
    mut_arg("spill_window", |arg| arg.default_value("20s")),
    mut_arg("spill_flap_budget", |arg| arg.default_value("60")),
    mut_arg("rust_log", |arg| arg.default_value("info,chassis=warn,kube_client=off"))
)]
pub struct Config {
    /// Port of the page; 0 is a free one
    #[arg(long, env = "PORT", default_value_t = 8080, value_parser = port)]
    pub port: u16,

    /// A Redis that is already there, instead of the embedded one
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,

    /// The other ports.
    #[command(flatten)]
    pub ports: Ports,

    /// Start only what the services speak to, and leave the frontend, the workers and the watcher to be
    /// started by hand: the workers at `WORKER_PRIMARY_PORT` and `WORKER_BURST_PORT`
    #[arg(long, env = "FAR_SIDE_ONLY", default_value_t = false, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub far_side_only: bool,

    /// What the workers compute.
    #[command(flatten)]
    pub calculation: worker::CalculationSettings,

    /// What visitors may do.
    #[command(flatten)]
    pub visitors: frontend::VisitorSettings,

    /// When traffic bursts, and when it comes home.
    #[command(flatten)]
    pub policy: watcher::PolicySettings,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// Ports of all but the page; 0 is a free one.
#[derive(Clone, Debug, clap::Args)]
pub struct Ports {
    /// Port of the embedded Redis; 0 is a free one
    #[arg(long, env = "REDIS_PORT", default_value_t = 0, value_parser = port)]
    pub redis_port: u16,

    /// Port of the Prometheus API; 0 is a free one
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 0, value_parser = port)]
    pub prometheus_port: u16,

    /// Port of the Kubernetes API; 0 is a free one
    #[arg(long, env = "KUBERNETES_PORT", default_value_t = 0, value_parser = port)]
    pub kubernetes_port: u16,

    /// Port of the weighted proxy in the place of the mesh; 0 is a free one
    #[arg(long, env = "MESH_PORT", default_value_t = 0, value_parser = port)]
    pub mesh_port: u16,

    /// Port of primary's worker; 0 is a free one
    #[arg(long, env = "WORKER_PRIMARY_PORT", default_value_t = 0, value_parser = port)]
    pub worker_primary_port: u16,

    /// Port of burst's worker; 0 is a free one
    #[arg(long, env = "WORKER_BURST_PORT", default_value_t = 0, value_parser = port)]
    pub worker_burst_port: u16,

    /// Port of the watcher's probes and metrics; 0 is a free one
    #[arg(long, env = "WATCHER_PORT", default_value_t = 0, value_parser = port)]
    pub watcher_port: u16,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }

    fn check(&self) -> Result<(), String> {
        self.policy.check()?;
        let Ports { worker_primary_port, worker_burst_port, .. } = self.ports;
        let named = [
            ("WORKER_PRIMARY_PORT", worker_primary_port),
            ("WORKER_BURST_PORT", worker_burst_port),
        ];
        match named.into_iter().find(|(_, port)| self.far_side_only && *port == 0) {
            Some((name, _)) => Err(format!(
                "{name}: 0 is not accepted; accepted with FAR_SIDE_ONLY: the port of a worker"
            )),
            None => Ok(()),
        }
    }
}
