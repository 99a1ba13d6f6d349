//! Overrides, conflicts, and limits on writing.

use super::*;

#[test]
fn overrides_come_first() {
    let mut played = Played::after_a_minute(&[], 5.0, HOME);
    played.overrides.pause = Some("istiowatcher/pause");
    played.expect(30, 20.0, "Paused", HOME);
    played.overrides = Overrides { force: Some(Cluster::Burst), ..Overrides::default() };
    played.expect(1, 5.0, "Forced", BURST);
    played.expect(60, 5.0, "Forced", BURST);
    played.overrides = Overrides { hold_home: true, ..Overrides::default() };
    played.expect(60, 5.0, "HomeHeld", BURST);
    played.overrides = Overrides::default();
    played.expect(1, 5.0, "RateLow", HOME);
    played.overrides = Overrides { hold_home: true, ..Overrides::default() };
    played.until(BURST, 20.0);
}

#[test]
fn in_a_conflict_the_watcher_waits_and_names_the_other_writer() {
    let mut played = Played::after_a_minute(&[], 20.0, HOME);
    played.until(BURST, 20.0);
    for round in 0..3 {
        played.in_force = HOME;
        played.changed_by = Some("argocd-controller".to_owned());
        let (reason, expected) =
            if round < 2 { ("RateHigh", BURST) } else { ("ConflictBackoff", HOME) };
        played.expect(1, 20.0, reason, expected);
    }
    let decision = played.seconds(299, 20.0);
    assert_eq!(decision.reason.detail(), "argocd-controller");
    assert!(!decision.is_write && decision.weights == BURST, "it shows the right weights");
    played.expect(1, 20.0, "RateHigh", BURST);
}

#[test]
fn a_foreign_change_that_is_right_is_no_conflict() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    for _ in 0..10 {
        played.in_force = BURST;
        played.changed_by = Some("another istiowatcher".to_owned());
        played.expect(1, 20.0, "NoChange", BURST);
    }
}

#[test]
fn attempts_are_limited_whether_or_not_they_succeed() {
    let mut played = Played::after_a_minute(&["--writes-per-minute=5"], 20.0, HOME);
    played.is_written = false;
    let attempts = (0..60).filter(|_| played.second(20.0).is_write).count();
    assert_eq!(attempts, 5);
    let mut played = Played::after_a_minute(&["--writes-per-minute=5"], 20.0, HOME);
    played.is_written = false;
    played.expect(20, 20.0, "WriteLimit", HOME);
}

#[test]
fn the_limit_does_not_hold_what_keeps_requests_from_failing() {
    let mut played = Played::after_a_minute(&["--writes-per-minute=1"], 20.0, HOME);
    played.until(BURST, 20.0);
    played.answers[1] = Answers::Fails(1.0);
    let (seconds, _) = played.until(HOME, 20.0);
    assert!(seconds <= 10, "{seconds} s");
}

#[test]
fn attempts_that_fail_never_use_up_the_limit() {
    let mut played = Played::after_a_minute(&[], 20.0, HOME);
    played.is_written = false;
    let mut attempts = 0;
    for _ in 0..120 {
        let decision = played.second(20.0);
        assert_ne!(decision.reason.name(), "WriteLimit");
        if decision.is_write {
            attempts += 1;
            let now = played.now();
            played.decider.record_failed_write(now, None);
        }
    }
    assert!((30..=40).contains(&attempts), "{attempts}");
}

#[test]
fn the_api_server_is_left_alone_for_as_long_as_it_asks() {
    let mut played = Played::after_a_minute(&[], 20.0, HOME);
    played.is_written = false;
    while !played.second(20.0).is_write {}
    let now = played.now();
    played.decider.record_failed_write(now, Some(Duration::from_secs(30)));
    for _ in 0..29 {
        let decision = played.second(20.0);
        assert_eq!((decision.is_write, decision.reason.name()), (false, "RetryLater"));
    }
    assert!(played.seconds(1, 20.0).is_write);
}
