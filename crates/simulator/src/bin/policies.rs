//! Plays the policies in virtual time, and prints the tables of `docs/watcher.md`.

use std::{f64::consts::TAU, io::Write, time::Duration};

use policy::Settings;
use simulator::{Load, Medians, Outcome, Rule, Scenario, Trace, play, settings};

const DAY: Duration = Duration::from_secs(86_400);

fn main() -> std::io::Result<()> {
    let (threshold, spill) = (settings(&[]), settings(&["--policy=spill"]));
    let mut out = std::io::stdout();
    traces(&mut out, &threshold, &spill)?;
    random_loads(&mut out, &threshold, &spill)?;
    steady_visitors(&mut out, &threshold)
}

/// The rules that are compared.
fn rules(threshold: &Settings, spill: &Settings) -> [(&'static str, Settings, bool); 3] {
    let (threshold, spill) = (threshold.clone(), spill.clone());
    [("2018, [15s]", spill.clone(), true), ("threshold", threshold, false), ("spill", spill, false)]
}

fn rule(settings: &Settings, is_original: bool) -> Rule {
    match is_original {
        true => Rule::Original { window: Duration::from_secs(15) },
        false => Rule::Watcher(Box::new(settings.clone())),
    }
}

/// The distance of the scrapes of Prometheus, and of the reads with `SOURCE=callers`.
const SOURCES: [(&str, u64); 2] = [("Prometheus", 5), ("callers", 1)];

/// Two days of real arrivals.
fn traces(out: &mut impl Write, threshold: &Settings, spill: &Settings) -> std::io::Result<()> {
    writeln!(
        out,
        "Two days of real arrivals. The source is read every 5 s, or by callers every second.\n"
    )?;
    writeln!(out, "| day | rule | source | late | longest wait | to burst | writes | reversals |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for (day, trace) in [("NASA 1995", Trace::Nasa1995), ("Twitter 2021", Trace::Twitter2021)] {
        for (name, settings, is_original) in rules(threshold, spill) {
            let sources = if is_original { &SOURCES[..1] } else { &SOURCES };
            for (source, seconds) in sources {
                let mut scenario = Scenario::new(&settings, DAY, Load::trace(trace));
                scenario.step = Duration::from_secs(1);
                scenario.scrape_every = Duration::from_secs(*seconds);
                let outcome = play(&scenario, rule(&settings, is_original));
                let Outcome { late, longest_wait, burst, writes, .. } = &outcome;
                writeln!(
                    out,
                    "| {day} | {name} | {source} | {:.0} s | {:.1} s | {:.1} % | {} | {} |",
                    late.as_secs_f64(),
                    longest_wait.as_secs_f64(),
                    burst * 100.0,
                    writes.len(),
                    outcome.reversals()
                )?;
            }
        }
    }
    Ok(())
}

/// Medians of random loads.
fn random_loads(
    out: &mut impl Write,
    threshold: &Settings,
    spill: &Settings,
) -> std::io::Result<()> {
    writeln!(out, "\nIndependent visitors, scraped every 5 s: medians of 20.\n")?;
    writeln!(out, "| load | rule | late | to burst | writes | reversals |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
    let step = Load::random(|at| if (150..750).contains(&at.as_secs()) { 20.0 } else { 8.0 });
    let noise = Load::random(|at| 12.5 - 4.0 * (at.as_secs_f64() / 60.0 * TAU).cos());
    for (load, length, name) in [
        (step, 900, "8, 20 for 10 min, 8/s; 15 min"),
        (noise, 3600, "8.5 to 16.5/s and back within 60 s; 1 h"),
    ] {
        for (rule_name, settings, is_original) in rules(threshold, spill) {
            let mut scenario = Scenario::new(&settings, Duration::from_secs(length), load.clone());
            scenario.step = Duration::from_millis(250);
            let Medians { late, burst, writes, reversals, .. } =
                Medians::of(&scenario, || rule(&settings, is_original));
            writeln!(
                out,
                "| {name} | {rule_name} | {late:.1} s | {:.1} % | {writes:.1} | {reversals:.1} |",
                burst * 100.0
            )?;
        }
    }
    Ok(())
}

/// Steady visitors near the threshold, who should not cause a burst.
fn steady_visitors(out: &mut impl Write, threshold: &Settings) -> std::io::Result<()> {
    writeln!(out, "\nIndependent visitors at a steady rate for a day, threshold 15/s.\n")?;
    writeln!(out, "| rate | source | writes |")?;
    writeln!(out, "| --- | --- | --- |")?;
    for rate in [13.0, 14.0, 14.5] {
        for (source, seconds) in SOURCES {
            let mut scenario = Scenario::new(threshold, DAY, Load::random(move |_| rate));
            scenario.step = Duration::from_secs(1);
            scenario.scrape_every = Duration::from_secs(seconds);
            let outcome = play(&scenario, Rule::Watcher(Box::new(threshold.clone())));
            writeln!(out, "| {rate}/s | {source} | {} |", outcome.writes.len())?;
        }
    }
    Ok(())
}
