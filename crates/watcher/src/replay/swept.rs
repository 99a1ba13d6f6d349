//! What a sweep found: the frontier, its bend, and how sure that is.

use std::{
    io::{self, Write},
    time::Duration,
};

use replay::{Comparison, Outcome, Signal, compare};
use serde_json::{Value, json};

use super::{
    config::ArrivalKind,
    output,
    run::{Run, Swept},
    sweep::{Grid, GridPoint},
};

/// The part of the resamples whose bends the recommendation covers.
const COVERED: f64 = 0.9;

/// The result of a sweep under one signal and one kind of arrivals.
pub(super) struct SweepResult {
    pub(super) signal: Signal,
    pub(super) arrivals: ArrivalKind,
    parameters: Vec<&'static str>,
    points: Vec<Point>,
    /// Which point is the policy as set.
    as_set: usize,
    comparison: Comparison,
    /// The length of a block of the resamples, in seconds.
    block: u64,
}

struct Point {
    values: Vec<Option<f64>>,
    outcome: Outcome,
    cost: Option<f64>,
}

impl SweepResult {
    /// Compares what a run has played; `None` if it has played nothing.
    pub(super) fn of(grid: &Grid, run: &Run, price: Option<f64>) -> Option<Self> {
        let blocks: Vec<_> = run.swept.iter().map(|swept| swept.blocks.clone()).collect();
        let comparison = compare(&blocks)?;
        let point = |(point, swept): (&GridPoint, &Swept)| {
            let outcome = swept.outcome();
            let cost = output::cost(&outcome, price);
            Point { values: point.values.clone(), outcome, cost }
        };
        Some(Self {
            signal: run.signal,
            arrivals: run.arrivals,
            parameters: grid.parameters.clone(),
            points: grid.settings.iter().zip(&run.swept).map(point).collect(),
            as_set: grid.as_set,
            comparison,
            block: blocks.first()?.step(),
        })
    }

    /// The frontier as a table, and the recommendation.
    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let (signal, arrivals) = (self.signal, self.arrivals.name());
        writeln!(
            out,
            "\nSweep of {} settings. Signal {signal}, {arrivals} arrivals",
            self.points.len()
        )?;
        for name in &self.parameters {
            write!(out, "{}", column(name, name))?;
        }
        writeln!(
            out,
            "{:>8} {:>9} {:>12} {:>7} {:>7} {:>10}",
            "late", "longest", "to burst", "share", "writes", "cost"
        )?;
        let shown = self.comparison.frontier.iter().copied();
        let others = (!self.comparison.frontier.contains(&self.as_set)).then_some(self.as_set);
        for index in shown.chain(others) {
            let Point { values, outcome, cost } = &self.points[index];
            for (name, value) in self.parameters.iter().zip(values) {
                let value = value.map_or_else(|| "by itself".to_owned(), |value| value.to_string());
                write!(out, "{}", column(name, &value))?;
            }
            let cost = output::cost_text(*cost);
            let marks = [(self.recommended(), "  recommended"), (self.as_set, "  as set")];
            let marks: String =
                marks.iter().filter(|(at, _)| *at == index).map(|(_, mark)| *mark).collect();
            writeln!(
                out,
                "{:>6} s {:>7.1} s {:>12.0} {:>5.1} % {:>7} {:>10}{marks}",
                outcome.late_seconds,
                outcome.longest_wait,
                outcome.to_burst,
                outcome.burst_share() * 100.0,
                outcome.writes,
                cost
            )?;
        }
        writeln!(out, "{}", self.recommendation())
    }

    /// All points as lines of CSV. The first has the names.
    pub(super) fn csv(&self, is_first: bool, out: &mut impl Write) -> io::Result<()> {
        if is_first {
            let names = self.parameters.join(",");
            writeln!(
                out,
                "signal,arrivals,{names},late_seconds,late_low,late_high,longest_wait_seconds,to_burst,burst_share,share_low,share_high,writes,cost,is_on_frontier,is_recommended,is_as_set"
            )?;
        }
        for (index, Point { values, outcome, cost }) in self.points.iter().enumerate() {
            let text =
                |value: &Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            let values: Vec<_> = values.iter().map(text).collect();
            let [late, share] = self.intervals(index);
            writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                self.signal,
                self.arrivals.name(),
                values.join(","),
                outcome.late_seconds,
                late[0],
                late[1],
                outcome.longest_wait,
                outcome.to_burst,
                outcome.burst_share(),
                share[0],
                share[1],
                outcome.writes,
                text(cost),
                self.comparison.frontier.contains(&index),
                self.recommended() == index,
                self.as_set == index
            )?;
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Value {
        let point = |(index, Point { values, outcome, cost }): (usize, &Point)| {
            let [late, share] = self.intervals(index);
            json!({
                "values": values,
                "late_seconds": outcome.late_seconds, "late_low": late[0], "late_high": late[1],
                "burst_share": outcome.burst_share(), "share_low": share[0], "share_high": share[1],
                "longest_wait_seconds": outcome.longest_wait,
                "to_burst": outcome.to_burst,
                "writes": outcome.writes,
                "cost": cost,
                "is_on_frontier": self.comparison.frontier.contains(&index),
            })
        };
        json!({
            "signal": self.signal.to_string(),
            "arrivals": self.arrivals.name(),
            "parameters": self.parameters,
            "points": self.points.iter().enumerate().map(point).collect::<Vec<_>>(),
            "knee": self.recommended(),
            "as_set": self.as_set,
            "recommendation": self.recommendation(),
        })
    }

    /// Where nine in ten resamples lie: the late seconds, and the share to burst.
    fn intervals(&self, index: usize) -> [[f64; 2]; 2] {
        let interval = self.comparison.intervals[index];
        let requests = self.points[index].outcome.requests.max(1.0);
        [interval.map(|cost| cost.late), interval.map(|cost| (cost.to_burst / requests).min(1.0))]
    }

    /// Whether all settings do the same.
    fn is_indifferent(&self) -> bool {
        let cost = |point: &Point| (point.outcome.late_seconds, point.outcome.to_burst.round());
        self.points.iter().all(|point| cost(point) == cost(&self.points[0]))
    }

    fn recommended(&self) -> usize {
        if self.is_indifferent() { self.as_set } else { self.comparison.knee }
    }

    fn recommendation(&self) -> String {
        if self.is_indifferent() {
            return "All of these settings do the same with this load: keep what is set."
                .to_owned();
        }
        let knee = self.comparison.knee;
        let Point { values, outcome, .. } = &self.points[knee];
        let [late, share] = self.intervals(knee);
        let block = humantime::format_duration(Duration::from_secs(self.block));
        let named: Vec<_> = self
            .parameters
            .iter()
            .zip(values)
            .filter_map(|(name, value)| Some(format!("{name} {}", (*value)?)))
            .collect();
        let mut text = format!(
            "Recommended: {}. It is late for {} s ({:.0} to {:.0}) and sends {:.1} % to burst ({:.1} to {:.1}): less to burst is much later, and less late costs much more.",
            named.join(", "),
            outcome.late_seconds,
            late[0],
            late[1],
            outcome.burst_share() * 100.0,
            share[0] * 100.0,
            share[1] * 100.0
        );
        text.push_str(&format!(
            " In {:.0} % of 1000 resamples of the load, in blocks of {block}, it is this one; in {:.0} % of them {}.",
            self.comparison.knee_shares[knee] * 100.0,
            COVERED * 100.0,
            self.covered()
        ));
        for (index, name) in self.parameters.iter().enumerate() {
            if self.is_at_end(index) {
                text.push_str(&format!(
                    " {name} is at the end of its range: a wider one may be better."
                ));
            }
        }
        text
    }

    /// The ranges of the settings that are at the bend in most resamples.
    fn covered(&self) -> String {
        let shares = &self.comparison.knee_shares;
        let mut order: Vec<_> = (0..shares.len()).collect();
        order.sort_by(|one, other| shares[*other].total_cmp(&shares[*one]));
        let mut sum = 0.0;
        order.retain(|index| {
            let is_needed = sum < COVERED;
            sum += shares[*index];
            is_needed
        });
        let range = |(index, name): (usize, &&str)| {
            let values = order.iter().filter_map(|point| self.points[*point].values[index]);
            let (low, high) = values
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                    (low.min(value), high.max(value))
                });
            if low == high {
                format!("{name} is {low}")
            } else {
                format!("{name} is {low} to {high}")
            }
        };
        self.parameters.iter().enumerate().map(range).collect::<Vec<_>>().join(" and ")
    }

    /// Whether the recommended value of a parameter is the lowest or the highest one.
    fn is_at_end(&self, parameter: usize) -> bool {
        let Some(value) = self.points[self.comparison.knee].values[parameter] else { return false };
        let others = || self.points.iter().filter_map(|point| point.values[parameter]);
        others().all(|other| value <= other) || others().all(|other| other <= value)
    }
}

/// A text as wide as the column of a parameter.
fn column(parameter: &str, text: &str) -> String {
    format!("{text:<width$}", width = parameter.len().max("by itself".len()) + 2)
}
