//! The watcher's rules in a closed loop, in virtual time: what they must never do again.

use std::{sync::Arc, time::Duration};

use chassis::settings::from_arguments;
use contract::Cluster;
use local::closed_loop::{self, Fault, Medians, Outcome, Rule, Scenario, play};
use watcher::{PolicySettings, weights::Weights};

const HOME: Weights = Weights::all_to(Cluster::Primary);
const BURST: Weights = Weights::all_to(Cluster::Burst);

fn settings(arguments: &[&str]) -> PolicySettings {
    from_arguments::<watcher::Config>(arguments).unwrap().policy
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn watched(settings: &PolicySettings, scenario: Scenario) -> Outcome {
    play(scenario, Rule::watcher(settings))
}

#[test]
fn one_switch_each_way_at_every_rate_and_phase() {
    let settings = settings(&[]);
    for rate in 5..=40 {
        for phase in 0..8 {
            // A whole number of requests is never quite even between two scrapes.
            let rate = f64::from(rate) + if rate == 15 { -0.1 } else { 0.0 };
            let load =
                move |at: Duration| if (60..360).contains(&at.as_secs()) { rate } else { 5.0 };
            let mut scenario = Scenario::new(&settings, seconds(480), load);
            scenario.phase = Duration::from_millis(phase * 625);
            let outcome = watched(&settings, scenario);
            let moves: Vec<_> = outcome.writes.iter().map(|(_, weights)| *weights).collect();
            let expected: &[_] = if 15.0 < rate { &[BURST, HOME] } else { &[] };
            assert_eq!(moves, expected, "{rate}/s, phase {phase}: {:?}", outcome.writes);
        }
    }
}

#[test]
fn no_wrong_switch_while_prometheus_fails_for_two_minutes_nor_when_it_is_back() {
    let kinds =
        ["unreachable", "timeout", "http", "not_json", "status_error", "empty", "nan", "partial"];
    let faults: Vec<_> =
        kinds.into_iter().map(Fault::Silent).chain([Fault::ScrapesNothing]).collect();
    // With a short hold, only the guard after an outage is left.
    for (policy, hold) in [("threshold", "10s"), ("threshold", "3s"), ("spill", "10s")] {
        let arguments = [format!("--policy={policy}"), format!("--home-hold={hold}")];
        let settings = settings(&[&arguments[0], &arguments[1], "--spill-probe=0"]);
        for fault in &faults {
            for phase in 0..8 {
                for (rate, start) in [(5.0, HOME), (20.0, BURST)] {
                    let fault = *fault;
                    let mut scenario = Scenario::new(&settings, seconds(600), move |_| rate);
                    scenario.phase = Duration::from_millis(phase * 625);
                    scenario.start = start;
                    scenario.fault =
                        Arc::new(move |at| (120..240).contains(&at.as_secs()).then_some(fault));
                    let outcome = watched(&settings, scenario);
                    // What spill does beside the fault is to bring home what primary can carry.
                    let wrong = outcome.writes.iter().filter(|(_, weights)| {
                        let at_home = rate * (1.0 - weights.burst_share());
                        let is_wrong_way = 15.0 < at_home || (rate < 10.0 && *weights != HOME);
                        is_wrong_way || policy == "threshold"
                    });
                    assert_eq!(
                        wrong.count(),
                        0,
                        "{policy} {fault:?} at {rate}/s: {:?}",
                        outcome.writes
                    );
                }
            }
        }
    }
}

#[test]
fn spill_follows_a_step_without_much_overload_or_waste() {
    let settings = settings(&["--policy=spill"]);
    let Medians { overload, burst, .. } =
        Medians::of(&closed_loop::step(&settings), || Rule::watcher(&settings));
    assert!(overload <= 12.0, "{overload} s of overload");
    assert!(burst <= 0.30, "{burst} to burst, of which 0.208 cannot be avoided");
}

#[test]
fn spill_does_not_follow_noise() {
    let settings = settings(&["--policy=spill"]);
    let noise = closed_loop::noise(&settings);
    let Medians { overload, reversals, .. } = Medians::of(&noise, || Rule::watcher(&settings));
    let original = Medians::of(&noise, || Rule::Original).overload;
    assert!(reversals <= 2.0, "{reversals} reversals");
    assert!(
        overload <= original / 10.0,
        "{overload} s of overload; the rule of 2018: {original} s"
    );
}
