//! Logs on standard error, as text or as JSON. A line may be lost; nobody waits for it.

mod queue;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::IsTerminal as _,
    panic::{self, PanicHookInfo},
    str::FromStr,
};

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The settings of a program's log.
#[derive(Clone, Debug, Args)]
pub struct LogSettings {
    /// Which lines are logged: a level (error, warn, info, debug, trace), or module=level,
    /// comma-separated
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub rust_log: Filter,

    /// The format of the log
    #[arg(long, env = "LOG_FORMAT", default_value = "text")]
    pub log_format: Format,
}

/// The valid directives of a filter.
#[derive(Clone, Debug)]
pub struct Filter(String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let accepted = "accepted: info, or worker=debug,info";
        // `EnvFilter` would take a misspelled level for a module, and log nothing else.
        let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        let is_directive = |part: &str| part.contains('=') || is_level(part.trim());
        let parts: Vec<_> =
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if let Some(part) = parts.iter().find(|part| !is_directive(part)) {
            return Err(format!("{accepted} ({part:?} is not a level)"));
        }
        if parts.is_empty() {
            return Err(accepted.to_owned());
        }
        let text = parts.join(",");
        EnvFilter::try_new(&text)
            .map(|_| Self(text))
            .map_err(|error| format!("{accepted} ({error})"))
    }
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object in each line.
    Json,
}

/// Starts the logs of this process. Does nothing if they have been started before.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::new(&settings.rust_log.0);
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue::standard_error())
        .log_internal_errors(false);
    let _ = match settings.log_format {
        Format::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => logs.json().flatten_event(true).try_init(),
    };
    // The standard hook writes to standard error by itself, and may wait there forever.
    panic::set_hook(Box::new(log_panic));
}

/// Logs a panic, whatever the filter lets through.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let text = panic.payload_as_str().unwrap_or("a panic without a text");
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => backtrace.to_string(),
        _ => String::new(),
    };
    if tracing::enabled!(target: "panic", tracing::Level::ERROR) {
        tracing::error!(target: "panic", location, backtrace, "panic: {text}");
    } else {
        queue::standard_error().add(format!("panic at {location}: {text}\n{backtrace}").as_bytes());
    }
}

/// Waits for the last lines when it is dropped, also by a panic.
pub(crate) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        queue::standard_error().flush();
    }
}

/// Prints one line to standard error, and waits until it is written, for up to half a second.
pub(crate) fn print_line(line: &str) {
    let queue = queue::standard_error();
    queue.add(format!("{line}\n").as_bytes());
    queue.flush();
}

/// How many lines of this process are lost: nobody read them, or they could not be written.
pub(crate) fn lost_lines() -> u64 {
    queue::standard_error().lost_lines()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_needs_a_level_in_each_part() {
        for text in [
            "info",
            "WARN",
            "off",
            "worker=debug,info",
            "info,access=off",
            "info, access=off,",
            "a[b{c}]=trace",
        ] {
            assert!(text.parse::<Filter>().is_ok(), "{text:?}");
        }
        for text in ["", ",", "loud", "info,loud", "info=debug=trace", "worker=loud"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }
}
