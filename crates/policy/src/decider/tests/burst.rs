//! How fast burst receives more, and how much of it.

use super::*;

impl Played {
    fn burst_requests(&self) -> f64 {
        self.decider.burst_requests(self.now()).unwrap().iter().sum()
    }
}

#[test]
fn burst_receives_more_in_steps() {
    let mut played =
        Played::after_a_minute(&["--burst-step=30", "--burst-step-every=20s"], 5.0, HOME);
    let mut steps = Vec::new();
    for _ in 0..120 {
        let before = played.in_force;
        let decision = played.second(20.0);
        if !played.in_force.has_same_split(before) {
            steps.push((played.now, played.in_force.burst, decision.reason.name()));
        }
    }
    let weights: Vec<_> = steps.iter().map(|(_, burst, reason)| (*burst, *reason)).collect();
    let expected = [(30, "Ramp"), (60, "Ramp"), (90, "Ramp"), (100, "RateHigh")];
    assert_eq!(weights, expected);
    for pair in steps.windows(2) {
        assert!((20..=22).contains(&(pair[1].0 - pair[0].0)), "{steps:?}");
    }
}

#[test]
fn between_the_thresholds_the_ramp_stays_where_it_is() {
    let mut played =
        Played::after_a_minute(&["--burst-step=30", "--burst-step-every=1m"], 5.0, HOME);
    played.until(spilt(30), 20.0);
    let decision = played.seconds(300, 12.0);
    assert_eq!((decision.reason.name(), played.in_force), ("RateBetweenThresholds", spilt(30)));
    played.until(HOME, 5.0);
}

#[test]
fn a_step_that_waits_says_for_how_long() {
    let mut played =
        Played::after_a_minute(&["--burst-step=30", "--burst-step-every=1m"], 5.0, HOME);
    played.until(spilt(30), 20.0);
    let decision = played.seconds(30, 20.0);
    assert_eq!(decision.reason.name(), "RampWaiting");
    assert!(decision.reason.is_hold() && !decision.reason.is_warning());
    let text = decision.reason.to_string();
    assert!(
        text.starts_with("holding: the next step on the way to 100 % in burst waits"),
        "{text}"
    );
}

#[test]
fn a_failing_primary_does_not_wait_for_the_ramp_nor_for_the_budget() {
    let arguments =
        ["--burst-step=10", "--burst-step-every=1h", "--burst-requests-per-hour=1", "--failover"];
    let mut played = Played::after_a_minute(&arguments, 10.0, HOME);
    played.answers[0] = Answers::Fails(1.0);
    let (_, reason) = played.until(BURST, 10.0);
    assert_eq!(reason, "ClusterUnhealthy primary");
    let decision = played.seconds(30, 10.0);
    assert_eq!((decision.reason.name(), played.in_force), ("ClusterEjected", BURST));
}

#[test]
fn a_spent_budget_sends_nothing_to_a_primary_that_fails() {
    // The budget is spent while the policy wants burst, and primary is ejected, or on trial.
    let arguments = ["--burst-requests-per-hour=1000", "--failover"];
    let mut played = Played::after_a_minute(&arguments, 20.0, EVEN);
    played.answers[0] = Answers::Fails(1.0);
    played.until(BURST, 20.0);
    let mut most_to_primary = 0;
    for _ in 0..600 {
        let decision = played.second(20.0);
        most_to_primary = most_to_primary.max(decision.weights.primary);
    }
    assert!(1000.0 < played.burst_requests());
    assert!((1..=20).contains(&most_to_primary), "{most_to_primary} %: more than a trial");
    played.answers[0] = Answers::Well;
    let (_, reason) = played.until(HOME, 20.0);
    assert_eq!(reason, "OverBudget");
}

#[test]
fn burst_returns_from_an_ejection_in_steps() {
    let arguments = ["--burst-step=30", "--burst-step-every=20s"];
    let mut played = Played::after_a_minute(&arguments, 20.0, BURST);
    played.answers[1] = Answers::Fails(1.0);
    played.until(HOME, 20.0);
    played.answers[1] = Answers::Well;
    let mut largest_rise = 0;
    for _ in 0..300 {
        let before = played.in_force.burst;
        played.second(20.0);
        largest_rise = largest_rise.max(played.in_force.burst.saturating_sub(before));
    }
    assert_eq!((largest_rise, played.in_force), (30, BURST));
}

#[test]
fn a_spent_budget_brings_traffic_home_until_a_tenth_is_free() {
    // 20/s spend it in ten minutes.
    let mut played = Played::after_a_minute(&["--burst-requests-per-hour=12000"], 5.0, HOME);
    let (before, _) = played.until(BURST, 20.0);
    let (spent_after, reason) = played.until_within(1200, HOME, 20.0);
    assert_eq!(reason, "OverBudget");
    assert!((595..=605).contains(&spent_after), "{spent_after} s");
    let requests = played.burst_requests();
    assert!((12_000.0..12_100.0).contains(&requests), "{requests}");
    let decision = played.seconds(60, 20.0);
    assert!(decision.reason.is_warning() && played.in_force == HOME);
    let text = decision.reason.to_string();
    assert!(text.ends_with("and may receive 12000 (BURST_REQUESTS_PER_HOUR)"), "{text}");
    // The first minute of burst leaves the hour 60 minutes after it began, and the second is a tenth.
    let (back_after, _) = played.until_within(3600, BURST, 20.0);
    let since_burst = spent_after + 60 + back_after;
    assert!((3600..=3720).contains(&since_burst), "{since_burst} s after {before} s");
}

#[test]
fn a_budget_is_spent_while_the_rate_is_unknown_and_outlives_a_restart() {
    let budget = ["--burst-requests-per-hour=12000"];
    let mut played = Played::after_a_minute(&budget, 20.0, BURST);
    played.gap = Some("timeout");
    played.until_within(700, HOME, 20.0);
    let requests = played.decider.burst_requests(played.now()).unwrap();
    let [newest, before, ..] = requests;
    assert!(12_000.0 <= newest + before, "{requests:?}");
    let mut next = Played::new(&budget, HOME);
    let now = next.now();
    next.decider.restore_budget(now, requests);
    let decision = next.seconds(120, 20.0);
    assert_eq!((decision.reason.name(), next.in_force), ("OverBudget", HOME));
    next.until_within(3600, BURST, 20.0);
    // A count of half an hour ago: what came in the last minutes before is still of this hour.
    let mut later = Played::new(&budget, HOME);
    later.now += 3600;
    later.decider.restore_budget(later.now() - Duration::from_secs(1800), requests);
    later.seconds(120, 5.0);
    let left = later.burst_requests();
    assert!(12_000.0 <= left, "{left} of {requests:?}");
    later.seconds(1800, 5.0);
    assert_eq!(later.burst_requests(), 0.0);
}

#[test]
fn without_a_budget_nothing_is_counted() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    played.seconds(60, 20.0);
    assert_eq!(played.decider.burst_requests(played.now()), None);
}

#[test]
fn settings_of_burst_name_what_is_accepted() {
    for (argument, part) in [
        ("--burst-step=0", "1 to 100"),
        ("--burst-ready-url=ftp://a", "http:// or https://"),
        ("--burst-webhook-url=http://u:p@a", "without a user"),
        ("--burst-requests-per-hour=0", "1 to 1000000000000"),
    ] {
        let error = Arguments::try_parse_from(["test", argument]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let both = ["test", "--burst-ready-url=http://a", "--burst-ready-query=a"];
    assert!(Arguments::try_parse_from(both).is_err());
}
