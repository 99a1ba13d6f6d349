//! What the rules make of a load.

use clap::Parser;
use policy::Settings;
use replay::{Outcome, Player, Rule, Signal, Switch};

pub(crate) const CAPACITY: f64 = 15.0;

pub(crate) fn watcher(arguments: &[&str]) -> Rule {
    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }
    let arguments = ["replay"].iter().chain(arguments);
    Rule::Watcher(Box::new(Arguments::try_parse_from(arguments).unwrap().settings))
}

/// Plays so many seconds of each rate; `None` is unknown.
fn play(rule: &Rule, signal: Signal, parts: &[(u64, Option<f64>)]) -> (Outcome, Vec<Switch>) {
    let mut player = Player::new(rule, signal, CAPACITY);
    let mut switches = Vec::new();
    for (seconds, rate) in parts {
        for _ in 0..*seconds {
            switches.extend(player.play(*rate));
        }
    }
    (player.outcome(), switches)
}

const RISE: [(u64, Option<f64>); 3] = [(300, Some(5.0)), (600, Some(20.0)), (600, Some(5.0))];

#[test]
fn each_rule_does_what_it_is_for() {
    let outcome = |rule: &Rule| play(rule, Signal::Callers, &RISE).0;
    let (never, always) = (outcome(&Rule::NeverBurst), outcome(&Rule::AlwaysBurst));
    assert_eq!((never.to_burst, always.burst_share()), (0.0, 1.0));
    assert!(600 < never.late_seconds && always.late_seconds == 0, "{never:?}");
    let oracle = outcome(&Rule::Oracle);
    assert_eq!((oracle.late_seconds, oracle.to_burst, oracle.needed), (0, 3000.0, 3000.0));
    for rule in [Rule::Codelab, Rule::Utilization, watcher(&[]), watcher(&["--policy=spill"])] {
        let outcome = outcome(&rule);
        assert!(0.0 < outcome.to_burst && outcome.late_seconds < 120, "{rule:?}: {outcome:?}");
        assert!(oracle.to_burst <= outcome.to_burst + 50.0, "{rule:?}: {outcome:?}");
        assert_eq!(outcome.requests, 16_500.0);
    }
}

#[test]
fn a_slower_signal_is_later() {
    let rise = |signal| play(&watcher(&[]), signal, &RISE).1[0].clone();
    let late = |signal| rise(signal).at.as_secs() - 300;
    let callers = late(Signal::Callers);
    let prometheus = late(Signal::Prometheus(15));
    assert!((2..=4).contains(&callers), "{callers} s");
    assert!((callers + 5..=45).contains(&prometheus), "{prometheus} s");
    let switch = rise(Signal::Callers);
    assert_eq!((switch.from.burst, switch.to.burst, switch.reason), (0, 100, "RateHigh"));
    assert!(switch.text.starts_with("all traffic to burst: 20.0/s"), "{}", switch.text);
}

#[test]
fn what_is_unknown_moves_nothing_and_is_counted() {
    let gap = [(300, Some(20.0)), (200, None), (300, Some(20.0))];
    let (outcome, switches) = play(&watcher(&[]), Signal::Callers, &gap);
    assert_eq!((outcome.unknown_seconds, outcome.seconds), (200, 800));
    assert_eq!(switches.len(), 1, "it does not go home: {switches:?}");
}

#[test]
fn writes_and_reversals_are_counted() {
    let twice = [RISE, RISE].concat();
    let (outcome, switches) = play(&watcher(&[]), Signal::Callers, &twice);
    assert_eq!((outcome.writes, outcome.reversals, switches.len()), (4, 3, 4));
}
