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
    // They log each failed call as an error of its own; we say once what happened.
    mut_arg("rust_log", |arg| arg.default_value("info,kube_client=off,rustls_platform_verifier=off"))
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

    fn is_service(&self) -> bool {
        self.command == Command::Run
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
        self.guards.check(self.query.clusters_window() + self.query.stale_after())
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;

    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let line = from_arguments::<Config>(arguments).unwrap_err();
        assert!(line.contains(expected), "{line} does not say {expected:?}");
    }

    #[test]
    fn wrong_settings_name_their_variable_and_what_is_accepted() {
        check(&["--prometheus-url=prometheus:9090"], "PROMETHEUS_URL: its value");
        check(&["--query= "], "QUERY: \" \"");
        check(&["--interval=1ms"], "INTERVAL: \"1ms\" is not accepted; accepted: 100ms to 1h");
        check(&["--home-hold=2h"], "HOME_HOLD: \"2h\"");
        check(&["--burst-above=NaN"], "BURST_ABOVE: \"NaN\" is not accepted; accepted: a number");
        check(&["--burst-above=inf"], "BURST_ABOVE: \"inf\"");
        check(&["--home-below=-1"], "HOME_BELOW: \"-1\"");
        check(&["--home-below=16"], "HOME_BELOW: 16 is not accepted; accepted: up to BURST_ABOVE");
        check(&["--virtual-service=Worker"], "VIRTUAL_SERVICE: \"Worker\"");
        check(&["--dry-run=perhaps"], "DRY_RUN: \"perhaps\"");
        check(&["--policy=both"], "POLICY: \"both\" is not accepted; accepted: threshold, spill");
        check(&["--capacity=0"], "CAPACITY: \"0\" is not accepted; accepted: a number, 0.001 to");
        check(
            &["--spill-headroom=2"],
            "SPILL_HEADROOM: \"2\" is not accepted; accepted: a number, 0.5 to 1",
        );
        check(
            &["--spill-probe=51"],
            "SPILL_PROBE: \"51\" is not accepted; accepted: a whole number, 0 to 50",
        );
        check(&["--spill-probe=20", "--spill-max=10"], "SPILL_PROBE: 20 is not accepted");
        check(&["--spill-window=0s"], "SPILL_WINDOW: \"0s\" is not accepted; accepted: 1s to 1h");
        check(
            &["--fallback=away"],
            "FALLBACK: \"away\" is not accepted; accepted: hold, home, burst",
        );
        check(&["--burst-errors=0"], "BURST_ERRORS: \"0\"");
        check(&["--burst-rest=20s"], "BURST_REST: 20s is not accepted; accepted: the window of");
        check(&["--writes-per-minute=0"], "WRITES_PER_MINUTE: \"0\"");
        check(&["watch"], "\"watch\" is not accepted; accepted: run, explain");
    }

    #[test]
    fn defaults_are_the_codelabs_rule() {
        let policy = from_arguments::<Config>(&[]).unwrap().policy;
        assert_eq!(policy.policy, PolicyKind::Threshold);
        assert_eq!((policy.threshold.burst_above, policy.threshold.home_below), (15.0, 10.0));
        assert_eq!(policy.interval, Duration::from_secs(1));
        assert!(policy.query.query.contains("reporter=\"source\""));
        assert_eq!(policy.query.window(), Duration::from_secs(30));
        assert_eq!(policy.query.stale_after(), Duration::from_secs(15));
        assert!(policy.timeout() < policy.interval && !policy.dry_run);
    }

    #[test]
    fn spill_asks_over_a_shorter_time_unless_it_is_told_what_to_ask() {
        let window = |arguments: &[&str]| {
            from_arguments::<Config>(arguments).unwrap().policy.query.window().as_secs()
        };
        assert_eq!(window(&["--policy=spill"]), 15);
        assert_eq!(window(&["--policy=spill", "--query=sum(rate(a[1m]))"]), 60);
        assert_eq!(window(&["--query=a"]), 30);
        assert_eq!(window(&["--query=rate(a[1m]) / rate(b[2m])", "--window=10s"]), 10);
    }
}
