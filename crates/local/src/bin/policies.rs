//! Plays the watcher's rules in a closed loop, in virtual time, and prints what came of it: the tables of `docs/watcher.md`.

use std::{io::Write as _, time::Duration};

use chassis::settings::from_arguments;
use local::closed_loop::{Medians, Outcome, Rule, Scenario, noise, play, step};
use watcher::PolicySettings;

type MakeScenario = fn(&PolicySettings) -> Scenario;
type MakeRule = fn(&PolicySettings) -> Rule;

fn main() -> std::io::Result<()> {
    let threshold = settings(&[]);
    let spill = settings(&["--policy=spill"]);
    let mut out = std::io::stdout();
    writeln!(out, "Random loads, scraped every 5 s: medians of 20.\n")?;
    writeln!(out, "| load | rule | overload | to burst | writes | reversals |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
    let scenarios: [(&str, MakeScenario); 2] = [
        ("8, 20 for 10 min, 8/s; 15 min", step),
        ("8.5 to 16.5/s and back within 60 s; 1 h", noise),
    ];
    for (load, scenario) in scenarios {
        let rules: [(&str, &PolicySettings, MakeRule); 3] = [
            ("2018, [15s]", &spill, |_| Rule::Original),
            ("threshold, [30s]", &threshold, Rule::watcher),
            ("spill, [15s]", &spill, Rule::watcher),
        ];
        for (name, settings, rule) in rules {
            let Medians { overload, burst, writes, reversals } =
                Medians::of(&scenario(settings), || rule(settings));
            let burst = burst * 100.0;
            writeln!(
                out,
                "| {load} | {name} | {overload:.1} s | {burst:.1} % | {writes:.1} | {reversals:.1} |"
            )?;
        }
    }
    one_switch(&mut out, &threshold)
}

/// 5/s, for 300 s a steady rate from 5 to 40/s, 5/s: how often the traffic moves, and when first.
fn one_switch(out: &mut impl std::io::Write, settings: &PolicySettings) -> std::io::Result<()> {
    writeln!(
        out,
        "\nSteady loads above 15/s, each with 8 phases of the scrapes, from 5/s and back to it.\n"
    )?;
    writeln!(out, "| rule | loads | moves to burst and home | at burst after | home after |")?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    let rules: [(&str, MakeRule); 2] =
        [("2018, [30s]", |_| Rule::Original), ("threshold, [30s]", Rule::watcher)];
    for (name, rule) in rules {
        let outcomes: Vec<_> = (16..=40)
            .flat_map(|rate| (0..8).map(move |phase| (rate, phase)))
            .map(|(rate, phase)| play(steady(settings, rate, phase), rule(settings)))
            .collect();
        let moves = |it: &Outcome| it.writes.len() as f64;
        let first =
            |it: &Outcome| it.writes.first().map_or(f64::NAN, |it| it.0.as_secs_f64() - 60.0);
        let last =
            |it: &Outcome| it.writes.last().map_or(f64::NAN, |it| it.0.as_secs_f64() - 360.0);
        let range = |value: &dyn Fn(&Outcome) -> f64| {
            let values = outcomes.iter().map(value);
            let (least, most) = values.fold((f64::MAX, f64::MIN), |(least, most), value| {
                (least.min(value), most.max(value))
            });
            format!("{least:.0} to {most:.0}")
        };
        writeln!(
            out,
            "| {name} | {} | {} | {} s | {} s |",
            outcomes.len(),
            range(&moves),
            range(&first),
            range(&last)
        )?;
    }
    Ok(())
}

fn steady(settings: &PolicySettings, rate: u32, phase: u64) -> Scenario {
    let rate = f64::from(rate);
    let load = move |at: Duration| if (60..360).contains(&at.as_secs()) { rate } else { 5.0 };
    let mut scenario = Scenario::new(settings, Duration::from_secs(480), load);
    scenario.phase = Duration::from_millis(phase * 625);
    scenario
}

fn settings(arguments: &[&str]) -> PolicySettings {
    let config = from_arguments::<watcher::Config>(arguments);
    config.unwrap_or_else(|error| unreachable!("the defaults are accepted: {error}")).policy
}
