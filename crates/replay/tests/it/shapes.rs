//! What the policies make of loads of known shapes.

use replay::{Outcome, Player, Rule, Shape, Signal, Switch};

use crate::rules::{CAPACITY, watcher};

fn play(rule: &Rule, signal: Signal, shape: Shape) -> (Outcome, Vec<Switch>) {
    let mut player = Player::new(rule, signal, CAPACITY);
    let switches = shape.seconds(CAPACITY, 1).filter_map(|second| player.play(second)).collect();
    (player.outcome(), switches)
}

fn policies() -> [Rule; 2] {
    [watcher(&[]), watcher(&["--policy=spill"])]
}

const SIGNALS: [Signal; 2] = [Signal::Callers, Signal::Prometheus(5)];

#[test]
fn every_shape_lasts_an_hour_and_is_the_same_again() {
    for shape in Shape::ALL {
        let seconds = || shape.seconds(CAPACITY, 7).collect::<Vec<_>>();
        let once = seconds();
        assert_eq!((once.len(), &once), (3600, &seconds()), "{shape}");
        assert!(once.iter().flatten().all(|rate| (0.0..=8.0 * CAPACITY).contains(rate)), "{shape}");
        assert_eq!(shape.name().parse(), Ok(shape));
    }
    let other: Vec<_> = Shape::Mmpp.seconds(CAPACITY, 8).collect();
    assert_ne!(other, Shape::Mmpp.seconds(CAPACITY, 7).collect::<Vec<_>>());
    assert!("saw".parse::<Shape>().unwrap_err().starts_with("accepted: step, ramp, square"));
}

#[test]
fn no_policy_is_worse_than_none_and_none_beats_the_oracle() {
    for shape in Shape::ALL {
        for signal in SIGNALS {
            let never = play(&Rule::NeverBurst, signal, shape).0;
            let oracle = play(&Rule::Oracle, signal, shape).0;
            for rule in policies() {
                let outcome = play(&rule, signal, shape).0;
                assert!(
                    outcome.late_seconds <= never.late_seconds,
                    "{shape} {signal}: {outcome:?}"
                );
                assert!(oracle.late_seconds <= outcome.late_seconds, "{shape} {signal}");
                // A minute after the load has changed, nobody waits for long.
                assert!(outcome.longest_wait < 60.0, "{shape} {signal}: {outcome:?}");
            }
        }
    }
}

#[test]
fn a_spike_within_a_scrape_moves_nothing() {
    for scrape in [5, 15] {
        let signal = Signal::Prometheus(scrape);
        let (outcome, switches) = play(&watcher(&[]), signal, Shape::Spike);
        assert_eq!(outcome.writes, 0, "{signal}: {switches:?}");
    }
    // Callers show all three seconds of it. Then traffic goes and comes home once for each spike.
    let (outcome, switches) = play(&watcher(&[]), Signal::Callers, Shape::Spike);
    assert!(outcome.writes <= 24, "{switches:?}");
}

#[test]
fn what_is_unknown_at_the_peak_moves_nothing() {
    for rule in policies() {
        for signal in SIGNALS {
            let (outcome, switches) = play(&rule, signal, Shape::Outage);
            assert_eq!(outcome.unknown_seconds, 180);
            let in_it = |switch: &&Switch| (1500..1680).contains(&switch.at.as_secs());
            assert_eq!(switches.iter().find(in_it), None, "{signal}");
        }
    }
}

#[test]
fn a_load_around_both_thresholds_is_written_no_more_often_than_it_changes() {
    for rule in policies() {
        for signal in SIGNALS {
            let outcome = play(&rule, signal, Shape::Square).0;
            assert!(outcome.reversals <= 60, "{signal}: {outcome:?}");
        }
    }
}
