//! The spill policy.

use super::*;

const SPILL: [&str; 1] = ["--policy=spill"];

#[test]
fn primary_stays_just_full() {
    let mut played = Played::after_a_minute(&SPILL, 8.0, HOME);
    played.expect(1, 8.0, "Probe", spilt(1));
    played.expect(60, 12.0, "NoChange", spilt(1));
    for rate in [20.0, 40.0] {
        // What drained the queue comes home after the stabilization window.
        played.seconds(180, rate);
        let at_primary = rate * (1.0 - played.in_force.burst_share());
        assert!((12.0..14.0).contains(&at_primary), "{at_primary}/s of {rate}/s");
    }
    played.seconds(600, 8.0);
    assert_eq!(played.in_force, spilt(1));
}

#[test]
fn primary_stays_just_full_if_some_requests_cannot_be_moved() {
    let mut played = Played::after_a_minute(&SPILL, 8.0, spilt(1));
    played.pinned = 0.3;
    played.seconds(180, 30.0);
    assert!((0.65..0.75).contains(&played.decider.requests().movable_share()));
    let at_primary = 30.0 * (1.0 - 0.7 * played.in_force.burst_share());
    assert!((11.0..14.0).contains(&at_primary), "{at_primary}/s: {}", played.in_force);
    played.pinned = 0.0;
    played.seconds(300, 30.0);
    assert_eq!(played.decider.requests().movable_share(), 1.0);
    // Burst has no more than it needs, and the tolerance.
    assert!(played.in_force.burst < 58 + 15, "{}", played.in_force);
}

#[test]
fn more_than_can_be_moved_is_said() {
    let mut played = Played::after_a_minute(&SPILL, 8.0, spilt(1));
    played.pinned = 0.45;
    played.seconds(180, 60.0);
    played.expect(1, 60.0, "Saturated", BURST);
}

#[test]
fn burst_that_has_all_it_may_have_is_said() {
    let mut played = Played::after_a_minute(&["--policy=spill", "--spill-max=30"], 12.0, spilt(1));
    played.expect(60, 100.0, "Saturated", spilt(30));
}

#[test]
fn a_rise_that_must_wait_is_said() {
    let arguments = ["--policy=spill", "--writes-per-minute=1"];
    let mut played = Played::after_a_minute(&arguments, 12.0, spilt(1));
    played.seconds(15, 20.0);
    assert!(1 < played.in_force.burst);
    let reasons: Vec<_> = (0..30).map(|_| played.second(60.0).reason.name()).collect();
    assert!(reasons.contains(&"OverflowWaiting"), "{reasons:?}");
}

#[test]
fn a_queue_at_primary_is_drained_before_traffic_comes_home() {
    let mut played = Played::after_a_minute(&SPILL, 8.0, spilt(1));
    let mut reasons: Vec<_> = (0..40).map(|_| played.second(60.0).reason.name()).collect();
    let most = played.in_force.burst;
    assert!(reasons.contains(&"Backlog"), "{reasons:?}");
    assert!(78 < most, "primary receives less than it can carry: {}", played.in_force);
    reasons.extend((0..300).map(|_| played.second(20.0).reason.name()));
    let at_primary = 20.0 * (1.0 - played.in_force.burst_share());
    assert!((11.0..14.0).contains(&at_primary), "{at_primary}/s: {}", played.in_force);
    assert!(reasons.contains(&"SpareCapacity"), "{reasons:?}");
}

#[test]
fn the_first_rise_is_no_larger_than_it_must_be() {
    let mut played = Played::after_a_minute(&SPILL, 8.0, spilt(1));
    while played.in_force.burst == 1 {
        played.second(60.0);
    }
    // 0.87 of 15 stay of 60.
    assert!(played.in_force.burst <= 79, "{}", played.in_force);
}

#[test]
fn one_wrong_sample_moves_no_more_than_a_step() {
    let mut played = Played::after_a_minute(&SPILL, 5.0, spilt(1));
    played.counts[0].1 += 4000.0;
    for _ in 0..120 {
        played.second(5.0);
        assert!(played.in_force.burst <= 21, "{}", played.in_force);
    }
}

#[test]
fn few_requests_make_few_writes() {
    for rate in [0.05, 0.2, 1.4] {
        let mut played = Played::new(&["--policy=spill", "--capacity=1.5"], spilt(1));
        let mut writes = 0;
        for _ in 0..3600 {
            let before = played.in_force;
            played.second(rate);
            writes += u32::from(before != played.in_force);
        }
        assert!(writes <= 4, "{writes} writes at {rate}/s");
    }
}

#[test]
fn traffic_comes_home_later_when_it_does_so_in_vain() {
    let mut played = Played::after_a_minute(&SPILL, 20.0, spilt(1));
    let mut times = Vec::new();
    for _ in 0..3 {
        played.seconds(60, 20.0);
        let (seconds, _) = played.until(spilt(1), 8.0);
        times.push(seconds / 30);
    }
    assert!(times.is_sorted() && times[0] < times[2], "{times:?}");
}

#[test]
fn an_operators_override_is_no_flap() {
    let home_after = |is_forced: bool| {
        let mut played = Played::after_a_minute(&SPILL, 20.0, spilt(1));
        played.seconds(60, 20.0);
        for _ in 0..3 {
            played.overrides.force = is_forced.then_some(Cluster::Primary);
            played.second(20.0);
            played.overrides.force = None;
            played.seconds(20, 20.0);
        }
        played.until(spilt(1), 8.0).0
    };
    assert!(home_after(true) <= home_after(false) + 5);
}

#[test]
fn burst_keeps_no_more_than_it_may_have() {
    for rate in [2.0, 60.0, 100.0] {
        let arguments = ["--policy=spill", "--spill-max=35"];
        let mut played = Played::after_a_minute(&arguments, rate, BURST);
        assert_eq!(played.until(spilt(35), rate), (1, "SpillMax".to_owned()));
    }
}
