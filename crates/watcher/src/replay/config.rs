//! The settings of a replay.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use chassis::{logs::LogSettings, settings::Settings};
use clap::{Parser, ValueEnum};
use kube::api::DynamicObject;
use replay::Signal;
use value_parsers::{List, list, not_negative, number};

use crate::{
    burst_policy::ValidPolicy,
    config::{SourceKind, WatchSettings},
};

/// Plays the policy over a recorded load: what it would have done, and what that costs, beside other rules
#[derive(Clone, Debug, Parser)]
#[command(name = "watcher replay", version)]
pub struct ReplayConfig {
    /// `replay` plays
    #[arg(value_enum, default_value = "replay", hide = true)]
    pub command: ReplayCommand,

    /// The file of the load: a count for each second, one in a line; or `time,rate` in CSV, with the time in
    /// seconds since 1970 or as 2026-11-29T18:00:00Z, and the rate in requests per second. An empty value is
    /// unknown. If a line is missing, its time is unknown, too
    #[arg(long, value_name = "FILE")]
    pub trace: PathBuf,

    /// The file of a `BurstPolicy` to play, in YAML. Default: the settings below
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,

    /// How the load is seen: callers, or prometheus@5s for a scrape every 5 s; several are separated by commas.
    /// Default: by SOURCE, with a scrape every 5 s
    #[arg(long, value_parser = list(str::parse::<Signal>))]
    pub signal: Option<List<Signal>>,

    /// How the requests of a second arrive: even, random (independent visitors), or both, separated by commas.
    /// If a line covers more than a second, nobody knows: then both bracket the truth
    #[arg(long, default_value = "even", value_parser = list(arrival_kind))]
    pub arrivals: List<ArrivalKind>,

    /// The seed of random arrivals
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// The requests per second that primary really carries, 0.001 to 1000000. Default: CAPACITY
    #[arg(long, value_name = "RATE", value_parser = number(0.001..=1_000_000.0))]
    pub primary_carries: Option<f64>,

    /// The price of a million requests to burst
    #[arg(long, value_name = "PRICE", value_parser = not_negative)]
    pub price_per_million: Option<f64>,

    /// Print each decision of the policy with its reason, instead of the table
    #[arg(long)]
    pub decisions: bool,

    /// The form of the output: text, csv, or json
    #[arg(long, default_value = "text", value_enum)]
    pub output: OutputFormat,

    /// The policy.
    #[command(flatten)]
    pub watch: WatchSettings,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// What the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReplayCommand {
    /// It plays a load.
    Replay,
}

/// How the requests of a second arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ArrivalKind {
    /// Evenly.
    Even,
    /// From independent visitors.
    Random,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table for people.
    Text,
    /// Comma-separated values.
    Csv,
    /// One JSON document.
    Json,
}

/// The distance of the scrapes of a signal that is not set.
const USUAL_SCRAPE: u32 = 5;

impl ReplayConfig {
    /// Whether arguments are those of a replay, and not those of a watcher.
    #[must_use]
    pub fn is_meant_by(arguments: &[String]) -> bool {
        matches!(arguments, [_, first, ..] if first == "replay")
    }

    /// The settings to play: those of the `BurstPolicy`, if there is one.
    pub(super) fn settings(&self) -> anyhow::Result<WatchSettings> {
        let Some(path) = &self.policy_file else { return Ok(self.watch.clone()) };
        let name = || format!("--policy-file: {}", path.display());
        let text = fs::read_to_string(path).with_context(name)?;
        let object: DynamicObject = serde_saphyr::from_str(&text).with_context(name)?;
        let kind = object.types.as_ref().map(|types| types.kind.as_str());
        anyhow::ensure!(
            kind == Some("BurstPolicy"),
            "{}: its kind is {}; accepted: BurstPolicy",
            name(),
            kind.unwrap_or("missing")
        );
        let policy = ValidPolicy::read(&object).map_err(anyhow::Error::msg).with_context(name)?;
        Ok(policy.watch)
    }

    /// The signals to play.
    pub(super) fn signals(&self, settings: &WatchSettings) -> Vec<Signal> {
        match (&self.signal, settings.signal.source.source) {
            (Some(signals), _) => signals.0.clone(),
            (None, SourceKind::Callers) => vec![Signal::Callers],
            (None, SourceKind::Prometheus) => vec![Signal::Prometheus(USUAL_SCRAPE)],
        }
    }
}

impl ArrivalKind {
    /// The name, as the setting has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Random => "random",
        }
    }
}

fn arrival_kind(text: &str) -> Result<ArrivalKind, String> {
    ArrivalKind::from_str(text, false).map_err(|_| "accepted: even, random".to_owned())
}

impl Settings for ReplayConfig {
    fn logs(&self) -> &LogSettings {
        &self.logs
    }

    fn is_service(&self) -> bool {
        false
    }

    fn validate(&self) -> Result<(), String> {
        self.watch.policy.validate()
    }
}
