//! The watcher's settings.

use std::time::Duration;

use chassis::{
    HttpUrl,
    logs::LogSettings,
    settings::{Settings, duration, not_negative, port},
};
use clap::{Args, Parser};

/// The request rate from the frontend to the workers of both clusters, as the frontend's own sidecar
/// counts it: that one is always in primary, so it goes on counting once the traffic has left.
pub const DEFAULT_QUERY: &str = "sum(rate(istio_requests_total{reporter=\"source\",\
    source_workload=\"frontend-deployment\",source_workload_namespace=\"default\",\
    destination_service=\"worker-service.default.svc.cluster.local\"}[30s]))";

/// Moves traffic to the burst cluster when the request rate is high, and home when it is low
#[derive(Clone, Debug, Parser)]
#[command(
    name = "watcher",
    version,
    // kube logs each failed call as an error of its own; we say once what happened.
    mut_arg("rust_log", |arg| arg.default_value("info,kube_client=off"))
)]
pub struct Config {
    /// Port to listen on, for probes and metrics; 0 is a free one
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

/// What the watcher asks Prometheus, how often, and what it makes of the answer.
#[derive(Clone, Debug, Args)]
pub struct PolicySettings {
    /// Query for the request rate, in requests per second: an instant vector of one series
    #[arg(long, env = "QUERY", default_value = DEFAULT_QUERY, value_parser = query)]
    pub query: String,

    /// Time between two looks at the rate, 100ms to 1h
    #[arg(long, env = "INTERVAL", default_value = "1s", value_parser = interval)]
    pub interval: Duration,

    /// Above this rate, in requests per second, all traffic goes to burst
    #[arg(long, env = "BURST_ABOVE", default_value_t = 15.0, value_parser = not_negative)]
    pub burst_above: f64,

    /// Below this rate, in requests per second, all traffic comes home to primary
    #[arg(long, env = "HOME_BELOW", default_value_t = 10.0, value_parser = not_negative)]
    pub home_below: f64,

    /// How long the rate must have been below `HOME_BELOW` before traffic comes home, up to 1h
    #[arg(long, env = "HOME_HOLD", default_value = "10s", value_parser = hold)]
    pub home_hold: Duration,

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

impl PolicySettings {
    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables, their values and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        let Self { burst_above, home_below, .. } = self;
        if home_below <= burst_above {
            Ok(())
        } else {
            Err(format!(
                "HOME_BELOW: {home_below} is not accepted; accepted: up to BURST_ABOVE, which is {burst_above}"
            ))
        }
    }
}

fn object_name(text: &str) -> Result<String, String> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("accepted: the name of an object, of a to z, 0 to 9, - and .".to_owned())
    }
}

fn query(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("accepted: a PromQL expression".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_millis(100)..=Duration::from_secs(3600), "100ms to 1h")
}

fn hold(text: &str) -> Result<Duration, String> {
    within(text, Duration::ZERO..=Duration::from_secs(3600), "0s to 1h")
}

fn within(
    text: &str,
    range: std::ops::RangeInclusive<Duration>,
    accepted: &str,
) -> Result<Duration, String> {
    let value = duration(text)?;
    if range.contains(&value) { Ok(value) } else { Err(format!("accepted: {accepted}")) }
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
    fn wrong_settings_name_their_variable() {
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
    }

    #[test]
    fn defaults_are_the_codelabs_rule() {
        let config = from_arguments::<Config>(&[]).unwrap();
        let policy = config.policy;
        assert_eq!((policy.burst_above, policy.home_below), (15.0, 10.0));
        assert_eq!(policy.interval, Duration::from_secs(1));
        assert!(policy.query.contains("reporter=\"source\"") && policy.query.contains("[30s]"));
        assert!(!policy.dry_run);
    }
}
