//! Where Prometheus is, and what it asks of its clients.

use std::{path::PathBuf, str::FromStr};

use chassis::HttpUrl;
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Where Prometheus is, and what it asks of its clients.
#[derive(Clone, Debug, Args)]
pub struct PrometheusSettings {
    /// The URL of Prometheus: http:// or https://, with or without a path, a query, a user and a password
    #[arg(
        long,
        env = "PROMETHEUS_URL",
        hide_env_values = true,
        default_value = "http://prometheus.istio-system:9090"
    )]
    pub prometheus_url: HttpUrl,

    /// The headers of each query, such as X-Scope-OrgID: team-a; several are separated by line breaks
    #[arg(long, env = "PROMETHEUS_HEADERS", hide_env_values = true)]
    pub prometheus_headers: Option<Headers>,

    /// The file with the bearer token of each query; it may change at any time
    #[arg(long, env = "PROMETHEUS_TOKEN_FILE")]
    pub prometheus_token_file: Option<PathBuf>,

    /// The user of each query
    #[arg(long, env = "PROMETHEUS_USER", requires = "prometheus_password_file")]
    pub prometheus_user: Option<String>,

    /// The file with the password of `PROMETHEUS_USER`; it may change at any time
    #[arg(long, env = "PROMETHEUS_PASSWORD_FILE", requires = "prometheus_user")]
    pub prometheus_password_file: Option<PathBuf>,

    /// The file with the certificates (PEM) that are trusted beside the system's; it may change at any time
    #[arg(long, env = "PROMETHEUS_CA_FILE")]
    pub prometheus_ca_file: Option<PathBuf>,

    /// The file with the watcher's own certificate (PEM); it may change at any time
    #[arg(long, env = "PROMETHEUS_CERT_FILE", requires = "prometheus_key_file")]
    pub prometheus_cert_file: Option<PathBuf>,

    /// The file with the key of `PROMETHEUS_CERT_FILE` (PEM); it may change at any time
    #[arg(long, env = "PROMETHEUS_KEY_FILE", requires = "prometheus_cert_file")]
    pub prometheus_key_file: Option<PathBuf>,
}

impl PrometheusSettings {
    /// A server that asks nothing of its clients.
    #[must_use]
    pub fn at(url: HttpUrl) -> Self {
        Self {
            prometheus_url: url,
            prometheus_headers: None,
            prometheus_token_file: None,
            prometheus_user: None,
            prometheus_password_file: None,
            prometheus_ca_file: None,
            prometheus_cert_file: None,
            prometheus_key_file: None,
        }
    }
}

impl PrometheusSettings {
    /// Checks the settings against one another.
    ///
    /// # Errors
    /// A line that names the variables and what is accepted.
    pub fn validate(&self) -> Result<(), String> {
        let url = self.prometheus_url.url();
        let headers = self.prometheus_headers.as_ref();
        let ways = [
            ("a user in PROMETHEUS_URL", !url.username().is_empty() || url.password().is_some()),
            ("PROMETHEUS_USER", self.prometheus_user.is_some()),
            ("PROMETHEUS_TOKEN_FILE", self.prometheus_token_file.is_some()),
            (
                "Authorization in PROMETHEUS_HEADERS",
                headers.is_some_and(|headers| headers.0.contains_key(AUTHORIZATION)),
            ),
        ];
        let given: Vec<_> = ways.into_iter().filter(|(_, is_given)| *is_given).collect();
        if let [(first, _), (second, _), ..] = given.as_slice() {
            return Err(format!("{first}, {second}: both are given; accepted: one of them"));
        }
        Ok(())
    }
}

/// The headers of a request. `Debug` hides their values.
#[derive(Clone, Debug, PartialEq)]
pub struct Headers(pub(crate) HeaderMap);

impl FromStr for Headers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut headers = HeaderMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let header = line.split_once(':').and_then(|(name, value)| {
                let mut value = HeaderValue::from_str(value.trim()).ok()?;
                value.set_sensitive(true);
                Some((name.trim().parse::<HeaderName>().ok()?, value))
            });
            let (name, value) = header
                .ok_or("accepted: NAME: value, such as X-Scope-OrgID: team-a, one in each line")?;
            headers.append(name, value);
        }
        Ok(Self(headers))
    }
}
