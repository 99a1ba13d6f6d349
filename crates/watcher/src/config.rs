//! The watcher's settings.

mod parse;
mod query;
mod rules;

use std::time::Duration;

use chassis::{
    HttpUrl,
    logs::LogSettings,
    settings::{Settings, port},
};
use clap::{Args, Parser};

use parse::{object_name, time};
pub use query::{DEFAULT_CLUSTERS_QUERY, DEFAULT_QUERY, QuerySettings, SPILL_QUERY};
pub use rules::{Fallback, GuardSettings, PolicyKind, SpillSettings, ThresholdSettings};

/// Moves traffic to the burst cluster when the request rate is high, and home when it is low
#[derive(Clone, Debug, Parser)]
#[command(
    name = "watcher",
    version,
    // kube logs each failed call as an error of its own; we say once what happened.
    mut_arg("rust_log", |arg| arg.default_value("info,kube_client=off"))
)]
pub struct Config {
    /// `run` watches; `explain` looks once, says what it sees and would do, and writes nothing
    #[arg(value_enum, default_value = "run")]
    pub command: Command,

    /// Port to listen on, for probes, metrics and status; 0 is a free one
    #[arg(long, env = "PORT", default_value_t = 8082, value_parser = port)]
    pub port: u16,

    /// Where Prometheus is: http:// or https://, with or without a path
    #[arg(
        long,
        env = "PROMETHEUS_URL",
        hide_env_values = true,
        default_value = "http://prometheus.istio-system:9090"
    )]
    pub prometheus_url: HttpUrl,

    /// The kubeconfig of primary, colon-separated if several; without it the current context, or in a
    /// pod its own credentials
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<String>,

    /// Namespace of the VirtualService
    #[arg(long, env = "NAMESPACE", default_value = "default", value_parser = object_name)]
    pub namespace: String,

    /// Name of the VirtualService whose weights are moved
    #[arg(
        long,
        env = "VIRTUAL_SERVICE",
        default_value = "worker-virtual-service",
        value_parser = object_name
    )]
    pub virtual_service: String,

    /// What it asks, and what it makes of the answer.
    #[command(flatten)]
    pub policy: PolicySettings,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// What the program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Command {
    /// Watch until it is told to end.
    Run,
    /// Look once, and explain.
    Explain,
}

/// What the watcher asks, how often, and what it makes of the answer.
#[derive(Clone, Debug, Args)]
pub struct PolicySettings {
    /// The rule: threshold (all or nothing), or spill (only what primary cannot carry)
    #[arg(long, env = "POLICY", default_value = "threshold", value_enum)]
    pub policy: PolicyKind,

    /// Time between two looks at the rate, 100ms to 1h
    #[arg(long, env = "INTERVAL", default_value = "1s", value_parser = time("100ms", "1h"))]
    pub interval: Duration,

    /// What it asks Prometheus.
    #[command(flatten)]
    pub query: QuerySettings,

    /// The codelab's rule.
    #[command(flatten)]
    pub threshold: ThresholdSettings,

    /// Spill.
    #[command(flatten)]
    pub spill: SpillSettings,

    /// What guards both.
    #[command(flatten)]
    pub guards: GuardSettings,

    /// Decide and log, but leave the weights alone
    #[arg(long, env = "DRY_RUN", default_value_t = false, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub dry_run: bool,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }

    fn check(&self) -> Result<(), String> {
        self.policy.check()
    }
}

/// The longest that an answer is waited for, however long the interval.
const MAX_TIMEOUT: Duration = Duration::from_secs(10);

impl PolicySettings {
    /// How long any answer may take: less than the interval, so that a tick that waits in vain ends before the next.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.interval.mul_f64(0.9).min(MAX_TIMEOUT)
    }

    /// The rate above which traffic leaves primary, in requests per second.
    #[must_use]
    pub fn leaves_primary_above(&self) -> f64 {
        match self.policy {
            PolicyKind::Threshold => self.threshold.burst_above,
            PolicyKind::Spill => self.spill.capacity,
        }
    }

    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        self.threshold.check()?;
        self.spill.check()?;
        self.guards.check(self.query.clusters_window())
    }
}
