//! Where the watcher sees the traffic.

use std::{fmt, net::SocketAddr, str::FromStr};

use clap::{Args, ValueEnum};
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{defaults, schema::texts};

use super::{
    parse::{parsed_selector, selector},
    query::{DEFAULT_SERIES, QuerySettings},
};
use crate::promql::Selector;

/// Where the watcher sees the traffic.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SourceSettings {
    /// Where the watcher sees the traffic: prometheus asks Prometheus; callers reads the metrics of the
    /// callers' proxies itself, and asks Prometheus while it cannot
    #[arg(long, env = "SOURCE", default_value = "prometheus", value_enum)]
    pub source: SourceKind,

    /// With SOURCE=callers: the URL of the metrics of each caller. Its host is a name of all callers, such
    /// as that of a headless Service
    #[arg(long, env = "CALLERS_URL", hide_env_values = true, default_value = DEFAULT_CALLERS_URL)]
    #[serde(rename = "callersURL")]
    #[schemars(with = "String", transform = texts(
        "self.matches('^http://[^/@?#]+(/|$)')",
        2048,
        "http://name:port/path, with or without a query"
    ))]
    pub callers_url: CallersUrl,

    /// With SOURCE=callers: the selector of the counters in the callers' own text. Default: SERIES
    #[arg(long, env = "CALLERS_SERIES", default_value = "", hide_default_value = true, value_parser = selector)]
    #[serde(deserialize_with = "parsed_selector")]
    #[schemars(transform = texts("", 4096, ""))]
    pub callers_series: String,
}

/// The metrics of the frontend's sidecars. Envoy leaves out what was never counted, and what the filter
/// does not match.
const DEFAULT_CALLERS_URL: &str =
    "http://frontend-proxies:15090/stats/prometheus?usedonly&filter=istio_requests_total";

/// Where the watcher sees the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
pub enum SourceKind {
    /// In Prometheus.
    Prometheus,
    /// In the metrics of the callers' proxies.
    Callers,
}

impl SourceKind {
    /// The name, as the setting has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Callers => "callers",
        }
    }
}

impl Default for SourceSettings {
    fn default() -> Self {
        defaults::of()
    }
}

impl SourceSettings {
    /// Checks that an operator has named the counters of the callers. A `BurstPolicy` has no default of `SERIES`.
    ///
    /// # Errors
    /// A line that names the variable and what is missing.
    pub(crate) fn check_is_named(&self, query: &QuerySettings) -> Result<(), String> {
        // The default of SERIES selects nothing of another mesh, and nothing selected is no requests.
        let is_default = self.callers_series.is_empty() && query.series == DEFAULT_SERIES;
        if self.source == SourceKind::Callers && query.has_query() && is_default {
            return Err("CALLERS_SERIES: it is missing; SOURCE=callers with QUERY needs \
                CALLERS_SERIES or SERIES, because QUERY does not name the counters"
                .to_owned());
        }
        Ok(())
    }

    /// The selector of the counters in the callers' text.
    ///
    /// # Errors
    /// A line that names the variable, its value and what is accepted.
    pub(crate) fn selector(&self, series: &str) -> Result<Selector, String> {
        let (name, text) = match self.callers_series.as_str() {
            "" => ("SERIES", series),
            own => ("CALLERS_SERIES", own),
        };
        Selector::parse(text).map_err(|error| {
            format!(
                "{name}: {text:?} is not accepted; accepted with SOURCE=callers: a PromQL selector of one metric, such as requests_total{{app=\"a\"}} ({error})"
            )
        })
    }
}

/// The URL of the metrics of each caller: `http://`, with a path and perhaps a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CallersUrl(Url);

impl From<CallersUrl> for String {
    fn from(url: CallersUrl) -> Self {
        url.to_string()
    }
}

impl TryFrom<String> for CallersUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl CallersUrl {
    /// The name of all callers, and the port: `frontend-proxies:15090`.
    #[must_use]
    pub fn authority(&self) -> String {
        let port = self.0.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.0.host_str().unwrap_or_default())
    }

    /// The same URL as a pod in `namespace` understands it: a name without dots is one of that namespace.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        let name = self.0.host_str().filter(|name| !name.contains(['.', ':']));
        if let Some(name) = name.map(|name| format!("{name}.{namespace}")) {
            // It cannot fail, because it is a name with another name behind it.
            let _ = self.0.set_host(Some(&name));
        }
        self
    }

    /// The URL of one caller.
    pub(crate) fn of(&self, caller: SocketAddr) -> Url {
        let mut url = self.0.clone();
        // These cannot fail, because an HTTP URL has a host.
        let _ = url.set_ip_host(caller.ip());
        let _ = url.set_port(Some(caller.port()));
        url
    }
}

impl FromStr for CallersUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            Err(format!("accepted: http://name:port/path, with or without a query ({why})"))
        };
        match Url::parse(text) {
            Err(error) => refuse(&error.to_string()),
            Ok(url) if url.scheme() != "http" => refuse("its scheme is not http"),
            Ok(url) if url.port() == Some(0) => refuse("port 0 accepts no connections"),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                refuse("it has a user or a password")
            }
            Ok(url) => Ok(Self(url)),
        }
    }
}

impl fmt::Display for CallersUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_caller_keeps_the_path_and_the_query() {
        let url: CallersUrl = DEFAULT_CALLERS_URL.parse().unwrap();
        assert_eq!(url.authority(), "frontend-proxies:15090");
        let of = |address: &str| url.of(address.parse().unwrap()).to_string();
        let rest = ":15090/stats/prometheus?usedonly&filter=istio_requests_total";
        assert_eq!(of("10.0.0.1:15090"), format!("http://10.0.0.1{rest}"));
        assert_eq!(of("[fd00::1]:15090"), format!("http://[fd00::1]{rest}"));
        let inside = |text: &str| text.parse::<CallersUrl>().unwrap().in_namespace("shop");
        assert_eq!(inside("http://web:15090/m").authority(), "web.shop:15090");
        assert_eq!(inside("http://web.other/m").authority(), "web.other:80");
        assert_eq!(inside("http://[fd00::1]:1/m").authority(), "[fd00::1]:1");
        assert_eq!("http://a/m".parse::<CallersUrl>().unwrap().authority(), "a:80");
    }

    #[test]
    fn other_urls_are_refused() {
        for text in ["", "a:80", "https://a/m", "http://u:p@a/m", "http://a:0/m"] {
            let error = text.parse::<CallersUrl>().unwrap_err();
            assert!(error.starts_with("accepted: http://name:port/path"), "{text:?}: {error}");
        }
    }
}
