//! The frontend's settings.

use chassis::{
    HttpUrl,
    logs::LogSettings,
    settings::{Settings, port, whole_number},
};
use clap::{Args, Parser};
use contract::RedisUrl;

use crate::{
    access::{ControlToken, Origin},
    load::MAX_RATE,
};

/// Shows the page, sends the workers strings at the rate that it asks for, and streams the results
#[derive(Clone, Debug, Parser)]
#[command(name = "frontend", version)]
pub struct Config {
    /// Port to listen on, for the page and probes; 0 is a free one
    #[arg(long, env = "PORT", default_value_t = 8080, value_parser = port)]
    pub port: u16,

    /// Where the worker is: http://host:port, with or without a path (TLS is the mesh's affair)
    #[arg(long, env = "PROCESSOR_URL", hide_env_values = true, value_parser = plain_url)]
    pub processor_url: HttpUrl,

    /// Redis 6 or later: host:port, redis://host:port or rediss://host:port
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: RedisUrl,

    /// Where the watcher is, whose side of the story the page then shows: http://host:port
    #[arg(long, env = "WATCHER_URL", hide_env_values = true, value_parser = plain_url)]
    pub watcher_url: Option<HttpUrl>,

    /// What visitors may do.
    #[command(flatten)]
    pub visitors: VisitorSettings,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// What visitors may do.
#[derive(Clone, Debug, Args)]
pub struct VisitorSettings {
    /// Highest rate that a visitor may ask for, in requests per second, 1 to 10000
    #[arg(long, env = "MAX_RATE", default_value_t = 1000, value_parser = whole_number(1..=MAX_RATE))]
    pub max_rate: u32,

    /// What a visitor must know to change the rate, 8 to 256 printable ASCII characters; watching is free.
    /// Anybody may change it unless this is set
    #[arg(long, env = "CONTROL_TOKEN", hide_env_values = true)]
    pub control_token: Option<ControlToken>,

    /// Origins of the pages that may use socket.io, separated by commas; the page's own if there are none
    #[arg(long, env = "ALLOWED_ORIGINS", value_delimiter = ',')]
    pub allowed_origins: Vec<Origin>,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }
}

/// Parses the address of a worker or a watcher: `http://host:port`.
///
/// # Errors
/// Says what is accepted.
pub fn plain_url(text: &str) -> Result<HttpUrl, String> {
    let url = text.parse().ok().filter(|url: &HttpUrl| url.url().scheme() == "http");
    url.ok_or_else(|| {
        "accepted: http://host:port, with or without a path (TLS is the mesh's affair)".to_owned()
    })
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
        let (processor, redis) =
            ("--processor-url=http://worker-service", "--redis-url=redis:6379");
        check(&[], "PROCESSOR_URL, REDIS_URL: missing");
        check(&[processor], "REDIS_URL: missing");
        check(
            &["--processor-url=https://worker", redis],
            "PROCESSOR_URL: its value is not accepted; accepted: http://",
        );
        check(&["--processor-url=worker", redis], "PROCESSOR_URL: its value");
        check(&[processor, "--redis-url=:"], "REDIS_URL: its value");
        check(
            &[processor, redis, "--watcher-url=watcher:8082"],
            "WATCHER_URL: its value is not accepted; accepted: http://",
        );
        check(&[processor, redis, "--max-rate=0"], "MAX_RATE: \"0\"");
        check(&[processor, redis, "--max-rate=10001"], "MAX_RATE: \"10001\"");
        check(&[processor, redis, "--control-token=short"], "CONTROL_TOKEN: its value");
        check(
            &[processor, redis, "--allowed-origins=https://one.example,two.example"],
            "ALLOWED_ORIGINS: \"two.example\" is not accepted; accepted: http://host",
        );
    }
}
