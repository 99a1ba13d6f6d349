//! Logs on standard error, as text or as JSON.

use std::{io::IsTerminal as _, str::FromStr};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

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
        EnvFilter::try_new(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|error| format!("accepted: info, or worker=debug,info ({error})"))
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
