//! The settings of burst: when it may receive traffic, how fast, and how much.

use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use value_parsers::{
    HTTP_URL, HTTP_URL_RULE, SecretUrl, defaults, duration_between, duration_text, http_url,
    not_empty, number,
    schema::{add_rule, durations, numbers, texts},
    whole_number,
};

/// When burst may receive traffic, how fast, and how much.
#[derive(Clone, Debug, Args, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = |schema: &mut _| add_rule(
    schema,
    "!has(self.readyQuery) || !has(self.readyURL)",
    "readyQuery, readyURL: both are given; accepted: one of them"
))]
pub struct BurstSettings {
    /// A PromQL query that must return a value other than 0 before burst receives more traffic, such as the
    /// number of its ready workers
    #[arg(long, env = "BURST_READY_QUERY", value_parser = not_empty, conflicts_with = "burst_ready_url")]
    #[serde(rename = "readyQuery", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = texts("size(self) > 0", 4096, "a PromQL query"))]
    pub burst_ready_query: Option<String>,

    /// A URL in burst that must answer with a code of 2xx before burst receives more traffic
    #[arg(long, env = "BURST_READY_URL", value_parser = http_url)]
    #[serde(rename = "readyURL", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = texts(HTTP_URL_RULE, 2048, HTTP_URL))]
    pub burst_ready_url: Option<String>,

    /// The largest step in which the weight of burst rises, in percent of all traffic, 1 to 100
    #[arg(long, env = "BURST_STEP", default_value_t = 100, value_parser = whole_number(1..=100))]
    #[serde(rename = "step")]
    #[schemars(transform = numbers(1, 100))]
    pub burst_step: u32,

    /// The time between two such steps, 1s to 1h
    #[arg(long, env = "BURST_STEP_EVERY", default_value = "10s", value_parser = duration_between("1s", "1h"))]
    #[serde(rename = "stepEvery", with = "duration_text")]
    #[schemars(with = "String", transform = durations("1s", "1h"))]
    pub burst_step_every: Duration,

    /// The budget: the number of requests that burst may receive within an hour, 1 to 1000000000000. Once it is
    /// spent, traffic stays home until a tenth of it is free again
    #[arg(long, env = "BURST_REQUESTS_PER_HOUR", value_parser = number(1.0..=1e12))]
    #[serde(rename = "requestsPerHour", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = numbers(1, 1_000_000_000_000_i64))]
    pub burst_requests_per_hour: Option<f64>,

    /// The watcher sends a POST to this URL when traffic begins to go to burst, and when it has come home
    #[arg(long, env = "BURST_WEBHOOK_URL", hide_env_values = true)]
    #[serde(rename = "webhookURL", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = texts(HTTP_URL_RULE, 2048, HTTP_URL))]
    pub burst_webhook_url: Option<SecretUrl>,
}

impl BurstSettings {
    /// Whether burst must be known to be ready before it receives more.
    #[must_use]
    pub fn must_be_ready(&self) -> bool {
        self.burst_ready_query.is_some() || self.burst_ready_url.is_some()
    }
}

impl BurstSettings {
    /// Checks what the schema of a custom resource cannot check.
    ///
    /// # Errors
    /// A line that names the variable, its value and what is accepted.
    pub(super) fn validate(&self) -> Result<(), String> {
        let urls = [
            ("BURST_READY_URL", self.burst_ready_url.as_deref()),
            ("BURST_WEBHOOK_URL", self.burst_webhook_url.as_ref().map(SecretUrl::expose)),
        ];
        for (name, url) in urls {
            if let Some(Err(accepted)) = url.map(http_url) {
                // The URL itself may hold a token.
                return Err(format!("{name}: its value is not accepted; {accepted}"));
            }
        }
        Ok(())
    }
}

impl Default for BurstSettings {
    fn default() -> Self {
        defaults::of()
    }
}
