//! Prints the result of a replay.

use std::io::Write;

use anyhow::Context as _;
use policy::Weights;
use replay::{Outcome, Signal};
use serde_json::{Value, json};

use super::{
    config::{ArrivalKind, OutputFormat},
    swept::SweepResult,
};

/// What became of the load under one rule.
pub(super) struct Line {
    pub(super) signal: Signal,
    pub(super) arrivals: ArrivalKind,
    pub(super) rule: &'static str,
    pub(super) outcome: Outcome,
}

/// All rules, and what they have in common.
pub(super) struct Summary {
    /// What the load does not show; `None` if it has a value for each second.
    pub(super) note: Option<String>,
    pub(super) capacity: f64,
    /// The price of a million requests to burst.
    pub(super) price: Option<f64>,
    pub(super) lines: Vec<Line>,
    /// What a sweep found, for each signal and kind of arrivals.
    pub(super) sweeps: Vec<SweepResult>,
}

impl Summary {
    pub(super) fn print(&self, format: OutputFormat, out: &mut impl Write) -> anyhow::Result<()> {
        let printed = match format {
            OutputFormat::Text => self.text(out),
            OutputFormat::Csv => self.csv(out),
            OutputFormat::Json => writeln!(out, "{:#}", self.json()),
        };
        printed.context("printing the result")
    }

    fn cost(&self, outcome: &Outcome) -> Option<f64> {
        cost(outcome, self.price)
    }

    fn text(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Some(Line { outcome, .. }) = self.lines.first() else { return Ok(()) };
        let known = outcome.seconds - outcome.unknown_seconds;
        writeln!(
            out,
            "{} s, of which {} s are unknown; {:.0} requests, {:.2}/s on average; primary carries {}/s.",
            outcome.seconds,
            outcome.unknown_seconds,
            outcome.requests,
            outcome.requests / (known.max(1) as f64),
            self.capacity
        )?;
        if let Some(note) = &self.note {
            writeln!(out, "{note}")?;
        }
        let mut before = None;
        for line in &self.lines {
            let group = (line.signal, line.arrivals);
            if before.replace(group) != Some(group) {
                let (signal, arrivals) = (line.signal, line.arrivals.name());
                writeln!(out, "\nSignal {signal}, {arrivals} arrivals")?;
                writeln!(
                    out,
                    "{:<16} {:>8} {:>9} {:>12} {:>7} {:>12} {:>7} {:>9} {:>10}",
                    "rule",
                    "late",
                    "longest",
                    "to burst",
                    "share",
                    "needed",
                    "writes",
                    "reversals",
                    "cost"
                )?;
            }
            let outcome = &line.outcome;
            let cost = cost_text(self.cost(outcome));
            writeln!(
                out,
                "{:<16} {:>6} s {:>7.1} s {:>12.0} {:>5.1} % {:>12.0} {:>7} {:>9} {:>10}",
                line.rule,
                outcome.late_seconds,
                outcome.longest_wait,
                outcome.to_burst,
                outcome.burst_share() * 100.0,
                outcome.needed,
                outcome.writes,
                outcome.reversals,
                cost
            )?;
        }
        self.sweeps.iter().try_for_each(|sweep| sweep.text(out))
    }

    /// One table: that of the sweep, if there is one.
    fn csv(&self, out: &mut impl Write) -> std::io::Result<()> {
        if !self.sweeps.is_empty() {
            let mut sweeps = self.sweeps.iter().enumerate();
            return sweeps.try_for_each(|(index, sweep)| sweep.csv(index == 0, out));
        }
        writeln!(
            out,
            "signal,arrivals,rule,seconds,unknown_seconds,late_seconds,longest_wait_seconds,requests,to_burst,burst_share,needed,writes,reversals,cost"
        )?;
        for Line { signal, arrivals, rule, outcome } in &self.lines {
            let cost = self.cost(outcome).map(|cost| cost.to_string()).unwrap_or_default();
            writeln!(
                out,
                "{signal},{},{rule},{},{},{},{},{},{},{},{},{},{},{cost}",
                arrivals.name(),
                outcome.seconds,
                outcome.unknown_seconds,
                outcome.late_seconds,
                outcome.longest_wait,
                outcome.requests,
                outcome.to_burst,
                outcome.burst_share(),
                outcome.needed,
                outcome.writes,
                outcome.reversals
            )?;
        }
        Ok(())
    }

    /// All of it, as `--output json` prints it and the report reads it.
    pub(super) fn json(&self) -> Value {
        let line = |Line { signal, arrivals, rule, outcome }: &Line| {
            json!({
                "signal": signal.to_string(),
                "arrivals": arrivals.name(),
                "rule": rule,
                "seconds": outcome.seconds,
                "unknown_seconds": outcome.unknown_seconds,
                "late_seconds": outcome.late_seconds,
                "longest_wait_seconds": outcome.longest_wait,
                "requests": outcome.requests,
                "to_burst": outcome.to_burst,
                "burst_share": outcome.burst_share(),
                "needed": outcome.needed,
                "writes": outcome.writes,
                "reversals": outcome.reversals,
                "cost": self.cost(outcome),
            })
        };
        let rules: Vec<_> = self.lines.iter().map(line).collect();
        let sweeps: Vec<_> = self.sweeps.iter().map(SweepResult::json).collect();
        json!({ "primary_carries": self.capacity, "note": self.note, "rules": rules, "sweeps": sweeps })
    }
}

/// The price of the requests to burst; `None` if that of a million is not known.
pub(super) fn cost(outcome: &Outcome, price_per_million: Option<f64>) -> Option<f64> {
    Some(outcome.to_burst / 1e6 * price_per_million?)
}

/// A price as a table has it.
pub(super) fn cost_text(cost: Option<f64>) -> String {
    cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2}"))
}

/// Weights as primary/burst.
pub(super) fn percentages(weights: Weights) -> String {
    format!("{}/{}", weights.primary, weights.burst)
}
