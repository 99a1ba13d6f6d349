//! `watcher replay`: plays the policy over a recorded load, beside other rules, and says what each would have
//! done and cost.

mod chart;
mod config;
mod decisions;
mod history;
mod load;
mod output;
mod played;
mod report;
mod rules;
mod run;
mod saved;
mod sweep;
mod swept;

use std::io::Write;

use chart::Chart;
pub use config::{ReplayCommand, ReplayConfig};
use load::Load;
use output::{Line, Summary};
use played::PlayedSettings;
use report::Report;
use rules::NamedRule;
use run::Run;
use sweep::Grid;
use swept::SweepResult;

use crate::config::WatchSettings;

/// Plays the load once, with all rules at the same time, and prints the result.
///
/// # Errors
/// When the load cannot be read, with the line and the column; when the report cannot be written; or when
/// nobody reads the output.
pub fn replay(config: &ReplayConfig, out: &mut impl Write) -> anyhow::Result<()> {
    let played = PlayedSettings::new(config)?;
    if config.decisions {
        return decisions::print(config, &played.watch, out);
    }
    compare(config, &played, out)
}

/// Prints what each rule would have done.
fn compare(
    config: &ReplayConfig,
    played: &PlayedSettings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let settings = &played.watch;
    let rules = NamedRule::all(&settings.policy);
    let grid =
        config.sweep.as_ref().map(|ranges| Grid::new(ranges, &settings.policy)).transpose()?;
    // A long replay must not end with a report that cannot be written.
    if let Some(path) = &config.report {
        report::check(path)?;
    }
    let mut load = Load::open(config, settings)?;
    let mut runs = runs(config, settings, &load, &rules, grid.as_ref());
    if let (Some(run), true) = (runs.first_mut(), config.report.is_some()) {
        run.chart = Some(Chart::new());
    }
    while let Some(requests) = load.next().transpose()? {
        for run in &mut runs {
            run.play(requests);
        }
    }
    let lines = runs.iter().flat_map(|run| {
        let (signal, arrivals) = (run.signal, run.arrivals);
        let line = move |(named, outcome): (&NamedRule, _)| Line {
            signal,
            arrivals,
            rule: named.name,
            outcome,
        };
        rules.iter().zip(run.outcomes()).map(line).collect::<Vec<_>>()
    });
    let sweeps = grid.iter().flat_map(|grid| {
        runs.iter().filter_map(|run| SweepResult::of(grid, run, config.price_per_million))
    });
    let summary = Summary {
        note: played.note(load.note()),
        capacity: config.primary_carries(settings),
        price: config.price_per_million,
        lines: lines.collect(),
        sweeps: sweeps.collect(),
    };
    if let (Some(path), Some(run)) = (&config.report, runs.first()) {
        Report { load: &load, summary: &summary, run }.write(path)?;
    }
    summary.print(config.output, out)
}

/// One run for each signal and each kind of arrivals.
fn runs(
    config: &ReplayConfig,
    settings: &WatchSettings,
    load: &Load,
    rules: &[NamedRule],
    grid: Option<&Grid>,
) -> Vec<Run> {
    let capacity = config.primary_carries(settings);
    let mut runs = Vec::new();
    for signal in config.signals(settings, load.scrape) {
        for arrivals in config.arrivals() {
            runs.push(Run::new(config, (signal, arrivals), rules, grid, capacity));
        }
    }
    runs
}
