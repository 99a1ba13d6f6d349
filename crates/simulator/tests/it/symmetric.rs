//! Two clusters, each of which bursts into the other.

use super::*;
use simulator::play_pair;

const SPILL: [&str; 2] = ["--policy=spill", "--spill-probe=0"];
const READY: [&str; 3] = ["--policy=spill", "--spill-probe=0", "--burst-ready-query=a"];

/// At 22/s, 35 % are 7.7/s, and the other one has 10/s to spare.
const LIMITED: [&str; 4] =
    ["--policy=spill", "--spill-probe=0", "--burst-ready-query=a", "--spill-max=35"];

/// Plays two clusters of 15/s with these loads for half an hour, each with a phase of its own.
fn pair(arguments: &[&str], loads: [Load; 2], seed: u32) -> [Outcome; 2] {
    let rule = || Rule::Watcher(Box::new(settings(arguments)));
    let scenario = |load, seed: u32| {
        let mut scenario = Scenario::new(&settings(arguments), seconds(1800), load);
        scenario.phase = seconds(u64::from(seed % 5));
        scenario.seed = seed.into();
        scenario
    };
    let [a, b] = loads;
    play_pair([&scenario(a, seed), &scenario(b, seed + 3)], [rule(), rule()])
}

/// From the third to the twentieth minute this rate, at random, and else 5/s.
fn busy(rate: f64) -> Load {
    Load::random(move |at| if (180..1200).contains(&at.as_secs()) { rate } else { 5.0 })
}

fn quiet() -> Load {
    Load::random(|_| 5.0)
}

#[test]
fn the_overflow_of_one_goes_to_the_other_and_comes_home() {
    for seed in 1..=5 {
        let [a, b] = pair(&LIMITED, [busy(22.0), quiet()], seed);
        assert!(0.2 < a.burst && a.end == HOME, "seed {seed}: {:?}", a.writes);
        assert!(a.reversals() <= 1, "seed {seed}: {:?}", a.writes);
        assert!(b.writes.is_empty(), "seed {seed}: it has too little itself: {:?}", b.writes);
        assert!(b.late < seconds(30), "seed {seed}: the helper is late for {:?}", b.late);
        assert!(a.late < seconds(350), "seed {seed}: late for {:?}", a.late);
    }
}

#[test]
fn two_overloaded_clusters_do_not_exchange_their_load() {
    for seed in 1..=5 {
        for outcome in pair(&READY, [busy(25.0), busy(25.0)], seed) {
            // Either may send some before the other one is full.
            assert!(outcome.burst < 0.05, "seed {seed}: {}", outcome.burst);
            assert!(outcome.reversals() <= 1, "seed {seed}: {:?}", outcome.writes);
            assert_eq!(outcome.end, HOME, "seed {seed}: {:?}", outcome.writes);
        }
    }
}

#[test]
fn without_a_look_at_the_other_they_exchange_it_and_still_do_not_oscillate() {
    for seed in 1..=5 {
        for outcome in pair(&SPILL, [busy(25.0), busy(25.0)], seed) {
            assert!(0.3 < outcome.burst, "seed {seed}: {}", outcome.burst);
            // A queue that came by chance may once be drained, and what drained it comes home: two more.
            assert!(outcome.reversals() <= 3, "seed {seed}: {:?}", outcome.writes);
            assert_eq!(outcome.end, HOME, "seed {seed}: {:?}", outcome.writes);
        }
    }
}
