//! Clusters that fail.

use super::*;
use Answers::{Fails, HasNoPods, Well};

#[test]
fn traffic_leaves_a_burst_that_fails_and_burst_is_tried_again_gently() {
    for fails in [Fails(1.0), HasNoPods] {
        let mut played = Played::after_a_minute(&[], 20.0, BURST);
        played.answers[1] = fails;
        let (seconds, reason) = played.until(HOME, 20.0);
        assert!(seconds <= 9, "{seconds} s");
        assert_eq!(reason, "ClusterUnhealthy burst");
        played.expect(58, 20.0, "ClusterEjected burst", HOME);
        let (seconds, reason) = played.until(spilt(10), 20.0);
        assert_eq!((seconds <= 3, reason.as_str()), (true, "ClusterOnTrial burst"));
        // It fails still: it is ejected for twice as long.
        let (seconds, reason) = played.until(HOME, 20.0);
        assert!(seconds <= 15, "{seconds} s");
        assert_eq!(reason, "ClusterUnhealthy burst");
        played.expect(115, 20.0, "ClusterEjected burst", HOME);
        played.answers[1] = Well;
        played.until(spilt(10), 20.0);
        let (seconds, _) = played.until(BURST, 20.0);
        assert!((5..=25).contains(&seconds), "{seconds} s");
    }
}

#[test]
fn few_failures_eject_nobody() {
    // A probe of one percent, of which a twentieth fails.
    let mut played = Played::after_a_minute(&["--policy=spill"], 10.0, spilt(1));
    played.answers[1] = Fails(0.05);
    for _ in 0..3600 {
        let reason = played.second(10.0).reason;
        assert!(!reason.name().starts_with("Cluster"), "{reason}");
    }
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    played.answers[1] = Fails(0.19);
    played.expect(600, 20.0, "NoChange", BURST);
}

#[test]
fn a_burst_without_pods_is_noticed_in_the_middle_of_steps() {
    let mut played = Played::after_a_minute(&["--policy=spill"], 12.0, spilt(1));
    played.answers[1] = HasNoPods;
    let mut failed = 0.0;
    for second in 0..300 {
        let rate = 12.0 + f64::from(second) / 5.0;
        failed += rate * played.in_force.burst_share();
        let decision = played.second(rate);
        if decision.reason.name() == "ClusterUnhealthy" {
            assert!(failed < 200.0, "{failed}");
            return;
        }
    }
    panic!("not noticed");
}

#[test]
fn what_primary_lost_before_a_switch_is_not_blamed_on_burst() {
    let mut played = Played::after_a_minute(&[], 5.0, HOME);
    played.answers[0] = HasNoPods;
    played.until(BURST, 40.0);
    played.expect(60, 40.0, "NoChange", BURST);
}

#[test]
fn burst_stays_on_trial_until_it_is_judged() {
    let mut played = Played::after_a_minute(&["--policy=spill"], 40.0, spilt(69));
    played.answers[1] = Fails(1.0);
    played.until(HOME, 40.0);
    played.answers[1] = Well;
    // The load falls: the probe brings too little to judge by.
    played.seconds(130, 2.0);
    let decision = played.second(40.0);
    assert!(played.in_force.burst <= 10, "{}", decision.reason);
}

#[test]
fn what_a_guard_displaced_comes_back_between_the_thresholds() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    played.answers[1] = Fails(1.0);
    played.until(HOME, 20.0);
    played.answers[1] = Well;
    let (_, reason) = played.until(BURST, 12.0);
    assert_eq!(reason, "Restored");
    let mut played = Played::after_a_minute(&["--failover=true"], 12.0, HOME);
    played.answers[0] = Fails(1.0);
    played.until(BURST, 12.0);
    played.answers[0] = Well;
    played.until(HOME, 12.0);
}

#[test]
fn with_failover_traffic_leaves_a_primary_that_fails() {
    for fails in [Fails(1.0), HasNoPods] {
        let mut played = Played::after_a_minute(&["--failover=true"], 5.0, HOME);
        played.answers[0] = fails;
        let (seconds, reason) = played.until(BURST, 5.0);
        assert!(seconds <= 11, "{seconds} s");
        assert_eq!(reason, "ClusterUnhealthy primary");
        played.expect(50, 5.0, "ClusterEjected primary", BURST);
        played.answers[0] = Well;
        played.until(spilt(90), 5.0);
        played.until(HOME, 5.0);
    }
    let mut played = Played::after_a_minute(&[], 5.0, HOME);
    played.answers[0] = Fails(1.0);
    played.expect(300, 5.0, "NoChange", HOME);
}

#[test]
fn of_two_clusters_that_fail_the_worse_one_loses() {
    let mut played = Played::after_a_minute(&["--failover=true"], 20.0, EVEN);
    played.overrides.pause = Some("istiowatcher/pause");
    played.answers = [Fails(1.0), Fails(0.4)];
    played.seconds(30, 20.0);
    played.overrides.pause = None;
    played.seconds(20, 20.0);
    assert_eq!(played.in_force, BURST);
}

#[test]
fn where_both_fail_alike_nothing_moves() {
    let mut played = Played::new(&["--failover=true", "--policy=spill"], EVEN);
    played.overrides.pause = Some("istiowatcher/pause");
    played.seconds(60, 25.0);
    played.answers = [Fails(0.9), Fails(0.9)];
    played.seconds(30, 25.0);
    played.overrides.pause = None;
    played.expect(10, 25.0, "BothUnhealthy", EVEN);
    for _ in 0..30 {
        played.expect(10, 25.0, "BothUnhealthy", EVEN);
    }
}

#[test]
fn without_failover_primary_is_judged_again_and_again() {
    let mut played = Played::new(&["--policy=spill"], EVEN);
    played.overrides.pause = Some("istiowatcher/pause");
    played.answers = [Fails(0.9), Well];
    played.seconds(60, 25.0);
    played.answers = [Well, Well];
    played.seconds(300, 25.0);
    assert!(played.decider.ejections().is_empty());
    played.answers = [Fails(0.9), Fails(0.9)];
    played.seconds(30, 25.0);
    played.overrides.pause = None;
    played.expect(10, 25.0, "BothUnhealthy", EVEN);
}

#[test]
fn a_trial_with_few_requests_ends() {
    let mut played = Played::after_a_minute(&["--failover=true"], 0.5, HOME);
    played.answers[0] = Fails(1.0);
    played.until(BURST, 0.5);
    played.answers[0] = Well;
    for _ in 0..1200 {
        played.second(0.5);
    }
    assert_eq!(played.in_force, HOME);
}

#[test]
fn samples_of_a_clock_that_is_behind_are_judged() {
    let mut played = Played::new(&[], BURST);
    played.clock_behind = 180;
    played.seconds(60, 20.0);
    played.answers[1] = Fails(1.0);
    let (seconds, reason) = played.until(HOME, 20.0);
    assert!(seconds <= 9, "{seconds} s");
    assert_eq!(reason, "ClusterUnhealthy burst");
}

#[test]
fn an_ejection_of_another_clock_ends() {
    let mut played = Played::after_a_minute(&[], 5.0, HOME);
    let until = Duration::from_secs(3_000_000_000);
    let ejection = Ejection { cluster: Cluster::Burst, until, failures: 1 };
    played.decider.take_over(played.now(), &[ejection]);
    played.expect(30, 20.0, "ClusterEjected burst", HOME);
    played.seconds(700, 20.0);
    assert_eq!(played.in_force, BURST);
}

#[test]
fn a_long_good_time_closes_the_account() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    let mut ejections = Vec::new();
    for _ in 0..4 {
        played.answers[1] = Fails(1.0);
        played.until(HOME, 20.0);
        played.answers[1] = Well;
        let (seconds, _) = played.until(spilt(10), 20.0);
        ejections.push(seconds);
        played.until(BURST, 20.0);
        played.seconds(3600, 20.0);
    }
    assert!(ejections.iter().all(|seconds| *seconds <= 62), "{ejections:?}");
}

#[test]
fn an_ejection_outlives_the_watcher() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    played.answers[1] = Fails(1.0);
    played.until(HOME, 20.0);
    let ejections = played.decider.ejections();
    assert_eq!(ejections.len(), 1);
    let mut second = Played::new(&[], HOME);
    second.now = played.now;
    second.samples = played.samples.clone();
    second.counts = played.counts.clone();
    second.answers = played.answers;
    second.decider.take_over(second.now(), &ejections);
    second.expect(40, 20.0, "ClusterEjected burst", HOME);
}

#[test]
fn a_watcher_that_followed_another_takes_over_with_its_ejections_only() {
    // It sees burst fail on one day, while another watcher decides, and takes over on another day.
    let arguments = ["--failover"];
    let mut played = Played::after_a_minute(&arguments, 20.0, BURST);
    for (cluster, in_force) in [(1, HOME), (0, BURST)] {
        played.answers[cluster] = Fails(1.0);
        played.follow(60, 20.0);
        played.in_force = in_force;
        played.answers[cluster] = Well;
        played.follow(3600, 20.0);
    }
    played.decider.take_over(played.now(), &[]);
    check_stays(&mut played, 20.0, BURST);
    // What it decided itself when it did so before is over, too.
    for (rate, in_force) in [(20.0, BURST), (12.0, HOME)] {
        played.in_force = BURST;
        played.answers[1] = Fails(1.0);
        played.until(HOME, 20.0);
        played.in_force = in_force;
        played.answers[1] = Well;
        played.follow(3600, rate);
        played.decider.take_over(played.now(), &[]);
        check_stays(&mut played, rate, in_force);
    }
}

#[track_caller]
fn check_stays(played: &mut Played, rate: f64, in_force: Weights) {
    for _ in 0..60 {
        let reason = played.second(rate).reason;
        assert_eq!(played.in_force, in_force, "{reason}");
    }
}

#[test]
fn a_new_watcher_counts_an_ejection_from_the_last_failure() {
    for (seconds, reason) in [(20, "ClusterEjected burst"), (70, "ClusterOnTrial burst")] {
        let mut played = Played::after_a_minute(&[], 20.0, BURST);
        played.answers[1] = Fails(1.0);
        played.until(HOME, 20.0);
        played.answers[1] = Well;
        played.seconds(seconds, 5.0);
        // It knows only what Prometheus has kept.
        played.decider = Played::new(&[], HOME).decider;
        let mut reasons = (0..30).map(|_| name_with_cluster(&played.second(20.0).reason));
        assert_eq!(reasons.find(|name| name.starts_with("Cluster")).unwrap(), reason);
        let (seconds, _) = played.until(BURST, 20.0);
        assert!(seconds < 60, "{seconds} s");
    }
}

#[test]
fn weights_that_nothing_follows_are_noticed() {
    let mut played = Played::after_a_minute(&[], 20.0, HOME);
    let mut text = String::new();
    for _ in 0..60 {
        played.now += 1;
        played.send(20.0);
        if played.now.is_multiple_of(5) {
            played.scrape();
        }
        let now = played.now();
        played.decider.observe(now, &Observation::Counters(played.samples.clone()));
        // The object shows weights that the traffic does not follow.
        let route = Route { weights: BURST, overrides: Overrides::default(), changed_by: None };
        let reason = played.decider.decide(now, &route).reason;
        if reason.name() == "NotObeyed" {
            text = reason.to_string();
        }
    }
    assert!(text.contains("send 100 % to burst, but it receives 0 %"), "{text}");
}
