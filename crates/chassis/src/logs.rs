//! Logs on standard error, as text or as JSON.

use std::{io::IsTerminal as _, str::FromStr};

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How a program logs.
#[derive(Clone, Debug, Args)]
pub struct LogSettings {
    /// What is logged: a level (error, warn, info, debug, trace), or module=level, comma-separated
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub rust_log: Filter,

    /// How it is logged
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: Format,
}

/// The directives of a filter, checked.
#[derive(Clone, Debug)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let accepted = "accepted: info, or worker=debug,info";
        // The filter would take a word that is no level for the name of a module, and log nothing else.
        let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        let is_directive = |part: &str| part.contains('=') || is_level(part.trim());
        if let Some(part) = text.split(',').find(|part| !is_directive(part)) {
            return Err(format!("{accepted} ({part:?} is no level)"));
        }
        EnvFilter::try_new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| format!("{accepted} ({error})"))
    }
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the logs of this process; does nothing if they were started before.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::new(&settings.rust_log.0);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match settings.log_format {
        Format::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => logs.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_made_of_levels() {
        for text in ["info", "WARN", "off", "worker=debug,info", "info,access=off", "a[b{c}]=trace"]
        {
            assert!(text.parse::<Filter>().is_ok(), "{text:?}");
        }
        for text in ["", "loud", "info,loud", "info=debug=trace", "worker=loud"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }
}
