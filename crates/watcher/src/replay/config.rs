//! The settings of a replay.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use chassis::{logs::LogSettings, settings::Settings};
use clap::{Parser, ValueEnum};
use jiff::Timestamp;
use replay::{Shape, Signal};
use value_parsers::{List, list, not_negative, number};

use super::sweep::SweepRange;
use crate::config::{PrometheusSettings, SourceKind, WatchSettings};

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
    pub trace: Option<PathBuf>,

    /// Play an hour of a made-up load instead: step, ramp, square, sine, flash-crowd, poisson, mmpp, spike, or
    /// outage, in proportion to what primary carries
    #[arg(long, value_name = "NAME", conflicts_with = "trace", value_parser = str::parse::<Shape>)]
    pub shape: Option<Shape>,

    /// Read the load from Prometheus instead, since then: how long ago, such as 7d, or a time such as
    /// 2026-11-29T18:00:00Z
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["trace", "shape"], value_parser = when)]
    pub from: Option<When>,

    /// With --from: until then. Default: now
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<When>,

    /// With --from: save the load in this file, as a trace. If the file holds a part of it, only the rest is
    /// read
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,

    /// The file of a `BurstPolicy` to play, in YAML. Then the settings of the policy below do not count. Default:
    /// those settings
    #[arg(long, value_name = "FILE")]
    pub policy_file: Option<PathBuf>,

    /// How the load is seen: callers, or prometheus@5s for a scrape every 5 s; several are separated by commas.
    /// Default: by SOURCE, with a scrape every 5 s, or as often as the history of --from shows
    #[arg(long, value_parser = list(str::parse::<Signal>))]
    pub signal: Option<List<Signal>>,

    /// How the requests of a second arrive: even, random (independent visitors), or even,random.
    /// If a line covers more than a second, nobody knows: then both bracket the truth. Default: even, and with
    /// --from both
    #[arg(long, value_parser = list(arrival_kind))]
    pub arrivals: Option<List<ArrivalKind>>,

    /// The seed of random arrivals, and of a made-up load
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// The requests per second that primary really carries, 0.001 to 1000000. Default: CAPACITY. It
    /// stands for what `CAPACITY_SERVICE` or `CAPACITY_QUERY` would show
    #[arg(long, value_name = "RATE", value_parser = number(0.001..=1_000_000.0))]
    pub primary_carries: Option<f64>,

    /// The price of a million requests to burst
    #[arg(long, value_name = "PRICE", value_parser = not_negative)]
    pub price_per_million: Option<f64>,

    /// Play many settings, and recommend one: ranges of settings, such as capacity=10..30,headroom=0.8..0.95, or
    /// capacity=10..30/5 for five values
    #[arg(long, value_name = "RANGES", conflicts_with = "decisions", value_parser = list(str::parse::<SweepRange>))]
    pub sweep: Option<List<SweepRange>>,

    /// Write a report to this file: one HTML page that needs no network
    #[arg(long, value_name = "FILE", conflicts_with = "decisions")]
    pub report: Option<PathBuf>,

    /// Print each decision of the policy with its reason, instead of the table
    #[arg(long)]
    pub decisions: bool,

    /// The form of the output: text, csv, or json
    #[arg(long, default_value = "text", value_enum)]
    pub output: OutputFormat,

    /// Where Prometheus is.
    #[command(flatten)]
    pub prometheus: PrometheusSettings,

    /// The policy.
    #[command(flatten)]
    pub watch: WatchSettings,

    /// How it logs.
    #[command(flatten)]
    pub logs: LogSettings,
}

/// A time: before now, or since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long ago.
    Ago(Duration),
    /// At this time since 1970.
    At(Duration),
}

/// A time in the past, in whole seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Duration,
    pub(super) until: Duration,
}

/// Where the load is from.
#[derive(Clone, Copy, Debug)]
pub(super) enum LoadSource<'a> {
    File(&'a Path),
    Shape(Shape),
    Prometheus(Span),
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

    /// What primary really carries, in requests per second.
    pub(super) fn primary_carries(&self, settings: &WatchSettings) -> f64 {
        self.primary_carries.unwrap_or(settings.policy.capacity.capacity)
    }

    /// Where the load is from.
    ///
    /// # Errors
    /// When the time to read is empty.
    pub(super) fn source(&self) -> anyhow::Result<LoadSource<'_>> {
        if let Some(shape) = self.shape {
            return Ok(LoadSource::Shape(shape));
        }
        let Some(from) = self.from else {
            let trace = self.trace.as_deref().context("--trace: missing")?;
            return Ok(LoadSource::File(trace));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let [from, until] = [from, self.until.unwrap_or(When::Ago(Duration::ZERO))]
            .map(|when| Duration::from_secs(when.since_epoch(now).as_secs()));
        anyhow::ensure!(
            from < until && until <= now,
            "--from, --until: accepted: from before until, and both in the past"
        );
        Ok(LoadSource::Prometheus(Span { from, until }))
    }

    /// The signals to play, if Prometheus scrapes so often.
    pub(super) fn signals(
        &self,
        settings: &WatchSettings,
        scrape: Option<Duration>,
    ) -> Vec<Signal> {
        let seconds = scrape.map_or(USUAL_SCRAPE, |scrape| scrape.as_secs_f64().round() as u32);
        match (&self.signal, settings.signal.source.source) {
            (Some(signals), _) => signals.0.clone(),
            (None, SourceKind::Callers) => vec![Signal::Callers],
            (None, SourceKind::Prometheus) => vec![Signal::Prometheus(seconds.clamp(1, 300))],
        }
    }

    /// How the requests of a second arrive. In a load from Prometheus nobody knows.
    pub(super) fn arrivals(&self) -> Vec<ArrivalKind> {
        match &self.arrivals {
            Some(arrivals) => arrivals.0.clone(),
            None if self.from.is_some() => vec![ArrivalKind::Even, ArrivalKind::Random],
            None => vec![ArrivalKind::Even],
        }
    }
}

impl When {
    fn since_epoch(self, now: Duration) -> Duration {
        match self {
            Self::Ago(ago) => now.saturating_sub(ago),
            Self::At(at) => at,
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(When::Ago(ago));
    }
    let time = text.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_second()).ok());
    let time = time.map(|seconds| When::At(Duration::from_secs(seconds)));
    time.ok_or_else(|| {
        "accepted: how long ago, such as 7d, or a time such as 2026-11-29T18:00:00Z".to_owned()
    })
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
        if self.from.is_none() && (self.until.is_some() || self.save.is_some()) {
            return Err("--until, --save: they are accepted only with --from".to_owned());
        }
        if self.trace.is_none() && self.from.is_none() && self.shape.is_none() {
            return Err(
                "--trace, --from, --shape: all are missing; accepted: one of them".to_owned()
            );
        }
        if self.report.is_some() && [&self.trace, &self.policy_file].contains(&&self.report) {
            return Err("--report: it names a file that is read; accepted: another file".to_owned());
        }
        self.prometheus.validate()?;
        self.watch.signal.query.validate()?;
        self.watch.policy.validate()
    }
}
