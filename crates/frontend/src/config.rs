//! The frontend's settings.

use chassis::{HttpUrl, logs::LogSettings, settings::Settings};
use clap::{Args, Parser};
use contract::RedisUrl;
use value_parsers::{List, list, port, whole_number};

use crate::{base_path::BasePath, control_token::ControlToken, load::MAX_RATE, origins::Origin};

/// Serves the page, sends requests to the worker at the requested rate, and streams the results
#[derive(Clone, Debug, Parser)]
#[command(name = "frontend", version)]
pub struct Config {
    /// The port of the page, the probes and the metrics; 0 is any free port
    #[arg(long, env = "PORT", default_value_t = 8080, value_parser = port)]
    pub port: u16,

    /// The address of the worker: http://host:port, with or without a path; the mesh provides TLS
    #[arg(long, env = "PROCESSOR_URL", hide_env_values = true, value_parser = plain_url)]
    pub processor_url: HttpUrl,

    /// The address of Redis 6 or later: host:port, redis://host:port or rediss://host:port
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: RedisUrl,

    /// The address of the watcher, whose state and decisions the page then shows: http://host:port
    #[arg(long, env = "WATCHER_URL", hide_env_values = true, value_parser = plain_url)]
    pub watcher_url: Option<HttpUrl>,

    /// The path under which a proxy passes requests on, such as /hashr; a proxy that strips the path
    /// needs no setting
    #[arg(long, env = "BASE_PATH", default_value = "/")]
    pub base_path: BasePath,

    /// What visitors may do.
    #[command(flatten)]
    pub visitors: VisitorSettings,

    /// How the frontend logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// What visitors may do.
#[derive(Clone, Debug, Args)]
pub struct VisitorSettings {
    /// The highest rate that a visitor may request, in requests per second, 1 to 10000
    #[arg(long, env = "MAX_RATE", default_value_t = 1000, value_parser = whole_number(1..=MAX_RATE))]
    pub max_rate: u32,

    /// The token that a visitor needs to change the rate, 8 to 256 printable ASCII characters;
    /// without it everybody may change the rate; watching needs no token
    #[arg(long, env = "CONTROL_TOKEN", hide_env_values = true)]
    pub control_token: Option<ControlToken>,

    /// The origins of the pages that may use socket.io, separated by commas; without it, only the
    /// frontend's own page may
    #[arg(long, env = "ALLOWED_ORIGINS", value_parser = list(str::parse::<Origin>))]
    pub allowed_origins: Option<List<Origin>>,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }
}

/// Parses the address of a worker or a watcher: `http://host:port`.
///
/// # Errors
/// When the text is not such an address; the error says what is accepted.
pub fn plain_url(text: &str) -> Result<HttpUrl, String> {
    let accepted = "accepted: http://host:port, with or without a path (the mesh provides TLS)";
    let is_plain = |url: &HttpUrl| url.url().scheme() == "http" && url.url().query().is_none();
    let url = text.parse().ok().filter(is_plain);
    let url = url.ok_or_else(|| accepted.to_owned())?;
    if !url.url().username().is_empty() || url.url().password().is_some() {
        return Err(format!("{accepted}; a user and a password would not be sent"));
    }
    Ok(url)
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
    fn an_error_names_the_variable_of_a_wrong_setting() {
        let (processor, redis) =
            ("--processor-url=http://worker-service", "--redis-url=redis:6379");
        check(&[], "PROCESSOR_URL, REDIS_URL: missing");
        check(&[processor], "REDIS_URL: missing");
        check(
            &["--processor-url=https://worker", redis],
            "PROCESSOR_URL: its value is not accepted; accepted: http://",
        );
        check(&["--processor-url=worker", redis], "PROCESSOR_URL: its value");
        let with_user = "--processor-url=http://me:secret@worker";
        check(
            &[with_user, redis],
            "PROCESSOR_URL: its value is not accepted; accepted: http://host",
        );
        check(&[with_user, redis], "a user and a password would not be sent");
        check(&[processor, "--redis-url=:"], "REDIS_URL: its value");
        check(
            &[processor, redis, "--watcher-url=watcher:8082"],
            "WATCHER_URL: its value is not accepted; accepted: http://",
        );
        check(
            &[processor, redis, "--base-path=hashr"],
            "BASE_PATH: \"hashr\" is not accepted; accepted: a path",
        );
        check(&[processor, redis, "--max-rate=0"], "MAX_RATE: \"0\"");
        check(&[processor, redis, "--max-rate=10001"], "MAX_RATE: \"10001\"");
        check(&[processor, redis, "--control-token=short"], "CONTROL_TOKEN: its value");
        check(
            &[processor, redis, "--allowed-origins=https://one.example,two.example"],
            "(\"two.example\" is not)",
        );
    }
}
