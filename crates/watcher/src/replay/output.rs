//! Prints the result of a replay.

use std::io::Write;

use anyhow::Context as _;
use humantime::format_duration;
use jiff::Timestamp;
use replay::{Outcome, Signal, Switch};
use serde_json::{Value, json};

use super::config::{ArrivalKind, OutputFormat};

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
        Some(outcome.to_burst / 1e6 * self.price?)
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
            let cost =
                self.cost(outcome).map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2}"));
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
        Ok(())
    }

    fn csv(&self, out: &mut impl Write) -> std::io::Result<()> {
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

    fn json(&self) -> Value {
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
        json!({ "primary_carries": self.capacity, "note": self.note, "rules": rules })
    }
}

/// Prints decisions as they are made, so that their number does not matter.
pub(super) struct Decisions {
    format: OutputFormat,
    printed: u64,
}

/// A write of the policy as set, and where and when it was.
pub(super) struct PlayedSwitch {
    pub(super) signal: Signal,
    pub(super) arrivals: ArrivalKind,
    /// In seconds since 1970; `None` if the trace has no times.
    pub(super) time: Option<f64>,
    pub(super) switch: Switch,
}

impl Decisions {
    pub(super) const fn new(format: OutputFormat) -> Self {
        Self { format, printed: 0 }
    }

    pub(super) fn print(&mut self, out: &mut impl Write, played: &PlayedSwitch) -> anyhow::Result<()> {
        let is_first = self.printed == 0;
        self.printed += 1;
        let PlayedSwitch { signal, arrivals, time, switch } = played;
        let arrivals = arrivals.name();
        let Switch { at, from, to, reason, text } = switch;
        let seconds = at.as_secs();
        let [from, to] = [from, to].map(|weights| format!("{}/{}", weights.primary, weights.burst));
        let printed = match self.format {
            OutputFormat::Text => {
                let when = time
                    .and_then(|time| Timestamp::from_second(time.round() as i64).ok())
                    .map_or_else(|| format_duration(*at).to_string(), |time| time.to_string());
                writeln!(out, "{signal} {arrivals} {when:>20}  {from:>6} to {to:<6}  {text}")
            }
            OutputFormat::Csv => {
                let header =
                    if is_first { "signal,arrivals,second,time,from,to,reason,text\n" } else { "" };
                let time = time.map(|time| time.to_string()).unwrap_or_default();
                let text = text.replace('"', "\"\"");
                writeln!(
                    out,
                    "{header}{signal},{arrivals},{seconds},{time},{from},{to},{reason},\"{text}\""
                )
            }
            OutputFormat::Json => {
                let decision = json!({
                    "signal": signal.to_string(), "arrivals": arrivals, "second": seconds,
                    "time": time, "from": from, "to": to, "reason": reason, "text": text,
                });
                writeln!(out, "{} {decision}", if is_first { "[" } else { "," })
            }
        };
        printed.context("printing the decisions")
    }

    pub(super) fn end(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let last = match (self.format, self.printed) {
            (OutputFormat::Json, 0) => "[]\n",
            (OutputFormat::Json, _) => "]\n",
            (OutputFormat::Text, 0) => "The policy would have written nothing.\n",
            _ => "",
        };
        out.write_all(last.as_bytes()).context("printing the decisions")
    }
}
