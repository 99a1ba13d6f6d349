//! The worker's settings.

use bytesize::ByteSize;
use chassis::{logs::LogSettings, settings::Settings};
use clap::{Args, Parser};
use contract::RedisUrl;
use value_parsers::{port, whole_number};

/// Hashes the text of each `POST /`, and publishes the hash on the Redis channel `calculation`
#[derive(Clone, Debug, Parser)]
#[command(name = "worker", version)]
pub struct Config {
    /// The port for work and probes; 0 is any free port
    #[arg(long, env = "PORT", default_value_t = 8081, value_parser = port)]
    pub port: u16,

    /// The address of Redis 6 or later: host:port, redis://host:port or rediss://host:port
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: RedisUrl,

    /// The text before each hash: up to 64 visible ASCII characters, such as bursty-
    #[arg(long, env = "PREFIX", default_value = "", value_parser = prefix)]
    pub prefix: String,

    /// How many requests per second are logged, 0 to 1000; of more, an even sample is logged
    #[arg(long, env = "ACCESS_LOG", default_value_t = 10, value_parser = whole_number(0..=1000))]
    pub access_log: u32,

    /// What the worker calculates.
    #[command(flatten)]
    pub calculation: CalculationSettings,

    /// How the worker logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// The settings that are the same for the workers of every cluster.
#[derive(Clone, Debug, Args)]
pub struct CalculationSettings {
    /// How often SHA-256 is applied, 1 to 1000000; more rounds make a request cost more
    #[arg(long, env = "ROUNDS", default_value_t = 1, value_parser = whole_number(1..=1_000_000))]
    pub rounds: u32,

    /// The largest accepted body, 1B to 16MiB
    #[arg(long, env = "MAX_BODY", default_value = "100KiB", value_parser = max_body)]
    pub max_body: ByteSize,
}

impl Settings for Config {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }
}

fn prefix(text: &str) -> Result<String, String> {
    // The worker sends the prefix in a header, where nothing else is allowed.
    if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("accepted: up to 64 visible ASCII characters, without spaces".to_owned())
    }
}

fn max_body(text: &str) -> Result<ByteSize, String> {
    text.parse()
        .ok()
        .filter(|size| (ByteSize::b(1)..=ByteSize::mib(16)).contains(size))
        .ok_or_else(|| "accepted: a size from 1B to 16MiB, such as 100KiB".to_owned())
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;

    use super::*;

    #[track_caller]
    fn check(argument: &str, expected: &str) {
        let line = from_arguments::<Config>(&["--redis-url=localhost:6379", argument]).unwrap_err();
        assert!(line.contains(expected), "{line} does not say {expected:?}");
    }

    #[test]
    fn an_error_names_the_wrong_setting() {
        let line = from_arguments::<Config>(&[]).unwrap_err();
        assert!(line.contains("REDIS_URL: missing"), "{line}");
        check("--port=x", "PORT: \"x\"");
        check("--rounds=0", "ROUNDS: \"0\"");
        check("--rounds=1000001", "ROUNDS: \"1000001\"");
        check("--max-body=0", "MAX_BODY: \"0\"");
        check("--max-body=1GiB", "MAX_BODY: \"1GiB\"");
        check("--prefix=a b", "PREFIX: \"a b\"");
        check("--prefix=é", "PREFIX: \"é\"");
        check("--access-log=1001", "ACCESS_LOG: \"1001\"");
    }

    #[test]
    fn the_defaults_are_those_of_the_manifests() {
        let config = from_arguments::<Config>(&["--redis-url=redis-cache-service:6379"]).unwrap();
        assert_eq!((config.port, config.prefix.as_str(), config.calculation.rounds), (8081, "", 1));
        assert_eq!(config.calculation.max_body, ByteSize::kib(100));
    }
}
