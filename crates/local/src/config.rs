//! The settings of the demo.

use chassis::{logs::LogSettings, settings::Settings};
use clap::Parser;
use contract::RedisUrl;
use value_parsers::{port, whole_number};

/// Runs the whole demo on this machine: both clusters, the mesh, and the watcher
#[derive(Clone, Debug, Parser)]
#[command(
    name = "local",
    version,
    // A visitor should see the watcher at its best.
    mut_arg("source", |arg| arg.default_value("callers")),
    // These values let a visitor see the traffic come home, however often the demo is repeated.
    mut_arg("spill_stabilization_window", |arg| arg.default_value("20s")),
    mut_arg("spill_flap_budget", |arg| arg.default_value("60")),
    mut_arg("rust_log", |arg| arg.default_value("info,chassis=warn,kube_client=off"))
)]
pub struct Config {
    /// The port of the page; 0 is any free port
    #[arg(long, env = "PORT", default_value_t = 8080, value_parser = port)]
    pub port: u16,

    /// Use this Redis instead of the fake one
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,

    /// The other ports.
    #[command(flatten)]
    pub ports: Ports,

    /// Start only the fakes. You start the frontend, the workers and the watcher yourself; the
    /// workers at `WORKER_PRIMARY_PORT` and `WORKER_BURST_PORT`
    #[arg(long, env = "FAKES_ONLY", default_value_t = false, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub fakes_only: bool,

    /// The number of further routes that the fake API server has, worker-0 and so on, each with a
    /// `BurstPolicy`, 0 to 1000
    #[arg(long, env = "FAKE_POLICIES", default_value_t = 0, value_parser = whole_number(0..=1000))]
    pub fake_policies: u32,

    /// What the workers calculate.
    #[command(flatten)]
    pub calculation: worker::CalculationSettings,

    /// What visitors may do.
    #[command(flatten)]
    pub visitors: frontend::VisitorSettings,

    /// When the watcher moves traffic to burst, and when it brings it home.
    #[command(flatten)]
    pub watch: watcher::WatchSettings,

    /// How the demo logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// The ports of all other parts; 0 is any free port.
#[derive(Clone, Debug, clap::Args)]
pub struct Ports {
    /// The port of the fake Redis; 0 is any free port
    #[arg(long, env = "REDIS_PORT", default_value_t = 0, value_parser = port)]
    pub redis_port: u16,

    /// The port of the fake Prometheus; 0 is any free port
    #[arg(long, env = "PROMETHEUS_PORT", default_value_t = 0, value_parser = port)]
    pub prometheus_port: u16,

    /// The port of the fake Kubernetes API; 0 is any free port
    #[arg(long, env = "KUBERNETES_PORT", default_value_t = 0, value_parser = port)]
    pub kubernetes_port: u16,

    /// The port of the fake mesh, which is a weighted proxy; 0 is any free port
    #[arg(long, env = "MESH_PORT", default_value_t = 0, value_parser = port)]
    pub mesh_port: u16,

    /// The port of primary's worker; 0 is any free port
    #[arg(long, env = "WORKER_PRIMARY_PORT", default_value_t = 0, value_parser = port)]
    pub worker_primary_port: u16,

    /// The port of burst's worker; 0 is any free port
    #[arg(long, env = "WORKER_BURST_PORT", default_value_t = 0, value_parser = port)]
    pub worker_burst_port: u16,

    /// The port of the watcher; 0 is any free port
    #[arg(long, env = "WATCHER_PORT", default_value_t = 0, value_parser = port)]
    pub watcher_port: u16,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }

    fn validate(&self) -> Result<(), String> {
        self.watch.validate()?;
        let Ports { worker_primary_port, worker_burst_port, .. } = self.ports;
        let named = [
            ("WORKER_PRIMARY_PORT", worker_primary_port),
            ("WORKER_BURST_PORT", worker_burst_port),
        ];
        match named.into_iter().find(|(_, port)| self.fakes_only && *port == 0) {
            Some((name, _)) => Err(format!(
                "{name}: 0 is not accepted; accepted with FAKES_ONLY: the port of a worker"
            )),
            None => Ok(()),
        }
    }
}
