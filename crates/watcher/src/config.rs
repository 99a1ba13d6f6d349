//! The watcher's settings.

mod parse;
mod prometheus;
mod query;
mod route;
mod source;

use std::time::Duration;

use chassis::{logs::LogSettings, settings::Settings};
use clap::{Args, Parser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{
    defaults, duration_between, duration_text, object_name, port, schema::durations,
};

pub use prometheus::PrometheusSettings;
pub use query::{DEFAULT_SERIES, QuerySettings};
pub use route::{RouteKind, RouteSettings};
pub use source::{CallersUrl, SourceKind, SourceSettings};

/// Moves traffic to the burst cluster when the request rate is high, and home when it is low. For many routes
/// see `watcher controller --help`, and to try it on a recorded load `watcher replay --help`
#[derive(Clone, Debug, Parser)]
#[command(
    name = "watcher",
    version,
    // These libraries log each failed call as an error. The watcher logs a failure once itself.
    mut_arg("rust_log", |arg| arg.default_value("info,kube_client=off,rustls_platform_verifier=off"))
)]
pub struct Config {
    /// `run` watches. `explain` observes once, prints what it sees and what it would do, and writes nothing
    #[arg(value_enum, default_value = "run")]
    pub command: Command,

    /// The port of the probes, the metrics and the status; 0 is any free port
    #[arg(long, env = "PORT", default_value_t = 8082, value_parser = port)]
    pub port: u16,

    /// Where Prometheus is.
    #[command(flatten)]
    pub prometheus: PrometheusSettings,

    /// The kubeconfig of primary; several paths are separated by colons. Default: the current context, or
    /// in a pod the credentials of its service account
    #[arg(long, env = "KUBECONFIG")]
    pub kubeconfig: Option<String>,

    /// With explain: the `BurstPolicy` to explain, as NAMESPACE/NAME, instead of the settings of one route
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = policy_name)]
    pub burst_policy: Option<PolicyName>,

    /// The route whose weights it moves.
    #[command(flatten)]
    pub route: RouteSettings,

    /// The Lease by which one of several watchers of this route is elected to decide and write, in the same
    /// namespace. Without it this watcher always does
    #[arg(long, env = "LEASE", value_parser = object_name)]
    pub lease: Option<String>,

    /// How it observes and decides.
    #[command(flatten)]
    pub watch: WatchSettings,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// The namespace and the name of a `BurstPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

fn policy_name(text: &str) -> Result<PolicyName, String> {
    let (namespace, name) = text.split_once('/').ok_or("accepted: NAMESPACE/NAME")?;
    Ok(PolicyName { namespace: object_name(namespace)?, name: object_name(name)? })
}

/// What the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Command {
    /// It watches until it is stopped.
    Run,
    /// It observes once, and explains.
    Explain,
}

/// How the watcher observes and decides.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct WatchSettings {
    /// The time between two observations, 100ms to 1h
    #[arg(long, env = "INTERVAL", default_value = "1s", value_parser = duration_between("100ms", "1h"))]
    #[serde(with = "duration_text")]
    #[schemars(with = "String", transform = durations("100ms", "1h"))]
    pub interval: Duration,

    /// Where it sees the traffic, and which.
    #[command(flatten)]
    pub signal: SignalSettings,

    /// What decides, and what guards it.
    #[command(flatten)]
    #[serde(flatten)]
    pub policy: policy::Settings,

    /// Decide and log, but do not write the weights: true or false
    #[arg(long, env = "DRY_RUN", default_value_t = false, num_args = 0..=1,
        require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub dry_run: bool,
}

/// Where the watcher sees the traffic, and which.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SignalSettings {
    /// Where it sees the traffic.
    #[command(flatten)]
    #[serde(flatten)]
    pub source: SourceSettings,

    /// What it asks Prometheus.
    #[command(flatten)]
    #[serde(flatten)]
    pub query: QuerySettings,
}

impl Default for WatchSettings {
    fn default() -> Self {
        defaults::of()
    }
}

impl Default for SignalSettings {
    fn default() -> Self {
        defaults::of()
    }
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }

    fn is_service(&self) -> bool {
        self.command == Command::Run
    }

    fn validate(&self) -> Result<(), String> {
        if self.burst_policy.is_some() && self.command != Command::Explain {
            return Err("--burst-policy: it is accepted only with explain".to_owned());
        }
        self.route.validate()?;
        self.prometheus.validate()?;
        let SignalSettings { source, query } = &self.watch.signal;
        source.check_is_named(query)?;
        self.watch.validate()
    }
}

/// The longest wait for an answer, however long the interval is.
const MAX_TIMEOUT: Duration = Duration::from_secs(10);

impl WatchSettings {
    /// How long any answer may take: less than the interval, so that a tick without an answer ends
    /// before the next tick.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.interval.mul_f64(0.9).min(MAX_TIMEOUT)
    }

    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    pub fn validate(&self) -> Result<(), String> {
        self.signal.query.validate()?;
        if self.signal.source.source == SourceKind::Callers {
            self.signal.source.selector(&self.signal.query.series)?;
        }
        self.policy.validate()
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;
    use policy::PolicyKind;

    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let line = from_arguments::<Config>(arguments).unwrap_err();
        assert!(line.contains(expected), "{line} does not say {expected:?}");
    }

    #[test]
    fn wrong_settings_name_their_variable_and_what_is_accepted() {
        check(&["--prometheus-url=prometheus:9090"], "PROMETHEUS_URL: its value");
        check(
            &["--series=rate(a[1m])"],
            "SERIES: \"rate(a[1m])\" is not accepted; accepted: a PromQL",
        );
        check(&["--burst-cluster=primary"], "BURST_CLUSTER: \"primary\" is not accepted");
        check(
            &["--burst-destination=primary"],
            "BURST_DESTINATION: \"primary\" is not accepted; accepted: another name",
        );
        check(
            &["--route-kind=Ingress"],
            "ROUTE_KIND: \"Ingress\" is not accepted; accepted: VirtualService, HTTPRoute",
        );
        check(
            &["--source=both"],
            "SOURCE: \"both\" is not accepted; accepted: prometheus, callers",
        );
        check(&["--callers-url=https://a"], "CALLERS_URL: its value");
        check(
            &["--source=callers", "--callers-series=a{b=~\"(\"}"],
            "CALLERS_SERIES: \"a{b=~\\\"(\\\"}\" is not accepted; accepted with SOURCE=callers",
        );
        check(&["--source=callers", "--series={a=\"b\"}"], "SERIES: ");
        check(&["--source=callers", "--query=a"], "CALLERS_SERIES: it is missing");
        check(&["--clusters-query=a"], "CLUSTERS_QUERY: it is accepted only with QUERY");
        check(&["--interval=1ms"], "INTERVAL: \"1ms\" is not accepted; accepted: 100ms to 1h");
        check(&["--home-hold=2h"], "HOME_HOLD: \"2h\"");
        check(&["--burst-above=NaN"], "BURST_ABOVE: \"NaN\" is not accepted; accepted: a number");
        check(&["--burst-above=inf"], "BURST_ABOVE: \"inf\"");
        check(&["--home-below=-1"], "HOME_BELOW: \"-1\"");
        check(&["--home-below=16"], "HOME_BELOW: 16 is not accepted; accepted: up to BURST_ABOVE");
        check(&["--route=Worker"], "ROUTE: \"Worker\" is not accepted; accepted: the name of");
        check(&["--dry-run=perhaps"], "DRY_RUN: \"perhaps\"");
        check(&["--policy=both"], "POLICY: \"both\" is not accepted; accepted: threshold, spill");
        check(
            &["--prometheus-url=http://me:pw@p", "--prometheus-token-file=t"],
            "a user in PROMETHEUS_URL, PROMETHEUS_TOKEN_FILE: both are given",
        );
        check(&["--prometheus-headers=nonsense"], "PROMETHEUS_HEADERS: its value is not accepted");
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
        check(
            &["--spill-stabilization-window=0s"],
            "SPILL_STABILIZATION_WINDOW: \"0s\" is not accepted; accepted: 1s to 10m",
        );
        check(
            &["--fallback=away"],
            "FALLBACK: \"away\" is not accepted; accepted: hold, home, burst",
        );
        check(&["--unhealthy-ratio=0"], "UNHEALTHY_RATIO: \"0\"");
        check(&["--ejection-time=0s"], "EJECTION_TIME: \"0s\" is not accepted");
        check(&["--writes-per-minute=0"], "WRITES_PER_MINUTE: \"0\"");
        check(&["watch"], "\"watch\" is not accepted; accepted: run, explain");
    }

    #[test]
    fn defaults_are_the_codelabs_rule() {
        let watch = from_arguments::<Config>(&[]).unwrap().watch;
        assert_eq!(watch.policy.policy, PolicyKind::Threshold);
        let threshold = &watch.policy.threshold;
        assert_eq!((threshold.burst_above, threshold.home_below), (15.0, 10.0));
        assert_eq!(watch.interval, Duration::from_secs(1));
        assert!(
            watch.signal.query.series.contains("reporter=\"source\"")
                && !watch.signal.query.has_query()
        );
        assert!(watch.timeout() < watch.interval && !watch.dry_run);
    }

    #[test]
    fn a_query_averages_over_its_longest_range() {
        let window = |arguments: &[&str]| {
            from_arguments::<Config>(arguments).unwrap().watch.signal.query.window().as_secs()
        };
        assert_eq!(window(&["--query=sum(rate(a[1m]))"]), 60);
        assert_eq!(window(&["--query=a"]), 30);
        assert_eq!(window(&["--query=rate(a[1m]) / rate(b[2m])", "--window=10s"]), 10);
    }
}
