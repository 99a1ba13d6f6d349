//! `--decisions`: prints each write of the policy as set, as it is made, so that their number does not matter.

use std::io::Write;

use anyhow::Context as _;
use humantime::format_duration;
use jiff::Timestamp;
use replay::{Signal, Switch};
use serde_json::json;

use super::{
    config::{ArrivalKind, OutputFormat, ReplayConfig},
    load::Load,
    output::percentages,
    rules::NamedRule,
    runs,
};
use crate::config::WatchSettings;

/// Plays the policy as set, and prints its writes.
pub(super) fn print(
    config: &ReplayConfig,
    settings: &WatchSettings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let rules = [NamedRule::as_set(&settings.policy)];
    let mut load = Load::open(config, settings)?;
    let mut runs = runs(config, settings, &load, &rules, None);
    let mut printer = Printer { format: config.output, printed: 0 };
    while let Some(requests) = load.next().transpose()? {
        for run in &mut runs {
            let Some(switch) = run.play(requests) else { continue };
            let time = load.start().map(|start| start + switch.at.as_secs_f64());
            let (signal, arrivals) = (run.signal, run.arrivals);
            let printed = printer.print(out, &Played { signal, arrivals, time, switch });
            printed.context("printing the decisions")?;
        }
    }
    printer.end(out).context("printing the decisions")
}

/// A write, and where and when it was.
struct Played {
    signal: Signal,
    arrivals: ArrivalKind,
    /// In seconds since 1970; `None` if the load has no times.
    time: Option<f64>,
    switch: Switch,
}

struct Printer {
    format: OutputFormat,
    printed: u64,
}

impl Printer {
    fn print(&mut self, out: &mut impl Write, played: &Played) -> std::io::Result<()> {
        let is_first = self.printed == 0;
        self.printed += 1;
        let Played { signal, arrivals, time, switch } = played;
        let arrivals = arrivals.name();
        let Switch { at, from, to, reason, text } = switch;
        let seconds = at.as_secs();
        let [from, to] = [*from, *to].map(percentages);
        match self.format {
            OutputFormat::Text => {
                let when = time
                    .and_then(|time| Timestamp::from_second(time.round() as i64).ok())
                    .map_or_else(|| format_duration(*at).to_string(), |time| time.to_string());
                writeln!(out, "{signal} {arrivals} {when:>20}  {from:>6} to {to:<6}  {text}")
            }
            OutputFormat::Csv => {
                if is_first {
                    writeln!(out, "signal,arrivals,second,time,from,to,reason,text")?;
                }
                let time = time.map(|time| time.to_string()).unwrap_or_default();
                let text = text.replace('"', "\"\"");
                writeln!(
                    out,
                    "{signal},{arrivals},{seconds},{time},{from},{to},{reason},\"{text}\""
                )
            }
            OutputFormat::Json => {
                let decision = json!({
                    "signal": signal.to_string(), "arrivals": arrivals, "second": seconds,
                    "time": time, "from": from, "to": to, "reason": reason, "text": text,
                });
                writeln!(out, "{} {decision}", if is_first { "[" } else { "," })
            }
        }
    }

    fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        let last = match (self.format, self.printed) {
            (OutputFormat::Json, 0) => "[]\n",
            (OutputFormat::Json, _) => "]\n",
            (OutputFormat::Text, 0) => "The policy would have written nothing.\n",
            _ => "",
        };
        out.write_all(last.as_bytes())
    }
}
