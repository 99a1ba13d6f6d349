//! The rules and their guards, in tables.

mod always;
mod failover;
mod spill;

use chassis::settings::from_arguments;

use super::*;
use crate::config::Config;

const HOME: Weights = Weights::all_to(Cluster::Primary);
const BURST: Weights = Weights::all_to(Cluster::Burst);
const EVEN: Weights = Weights { primary: 50, burst: 50 };

/// A decider that is looked after second by second.
struct Played {
    decider: Decider,
    now: u64,
    in_force: Weights,
    orders: Orders,
    changed_by: Option<String>,
    clusters: Option<Clusters>,
}

impl Played {
    fn new(arguments: &[&str], in_force: Weights) -> Self {
        let policy = from_arguments::<Config>(arguments).unwrap().policy;
        let decider = Decider::new(policy, Duration::ZERO);
        let orders = Orders::default();
        Self { decider, now: 0, in_force, orders, changed_by: None, clusters: None }
    }

    /// A second with this rate; the decision is carried out.
    fn second(&mut self, rate: Result<f64, &'static str>) -> Decision {
        self.now += 1;
        let now = Duration::from_secs(self.now);
        self.decider.note(now, &Reading { rate, clusters: self.clusters });
        let (orders, changed_by) = (self.orders, self.changed_by.take());
        let seen = InForce { weights: self.in_force, orders, changed_by };
        let decision = self.decider.decide(now, &seen);
        if decision.is_write {
            self.decider.wrote(now);
            self.in_force = decision.weights;
        }
        decision
    }

    /// So many seconds with this rate; returns the last decision.
    fn seconds(&mut self, seconds: u64, rate: Result<f64, &'static str>) -> Decision {
        (0..seconds).map(|_| self.second(rate)).last().unwrap()
    }

    #[track_caller]
    fn expect(&mut self, seconds: u64, rate: f64, reason: &str, in_force: Weights) {
        let decision = self.seconds(seconds, Ok(rate));
        assert_eq!((decision.reason.name(), self.in_force), (reason, in_force), "{}", self.now);
    }
}

fn spilt(burst: u32) -> Weights {
    Weights::with_burst(burst)
}

#[test]
fn the_codelabs_rule() {
    let check = |in_force, rate, reason, expected| {
        // Long known, so that only the rule counts.
        let mut played = Played::new(&["--home-hold=0s", "--window=1s"], in_force);
        played.seconds(2, Err("timeout"));
        played.orders.pause = true;
        played.seconds(3, Ok(rate));
        played.orders.pause = false;
        played.expect(1, rate, reason, expected);
    };
    check(HOME, 15.1, "RateHigh", BURST);
    check(HOME, 15.0, "RateBetweenThresholds", HOME);
    check(HOME, 9.9, "Settled", HOME);
    check(BURST, 15.1, "Settled", BURST);
    check(BURST, 10.0, "RateBetweenThresholds", BURST);
    check(BURST, 9.9, "RateLow", HOME);
    check(BURST, 0.0, "RateLow", HOME);
    check(Weights { primary: 0, burst: 1 }, 20.0, "Settled", Weights { primary: 0, burst: 1 });
    check(EVEN, 12.0, "RateBetweenThresholds", EVEN);
    check(EVEN, 20.0, "RateHigh", BURST);
    check(EVEN, 5.0, "RateLow", HOME);
}

#[test]
fn comes_home_only_when_the_rate_has_been_low_for_long_enough() {
    let mut played = Played::new(&[], BURST);
    played.expect(40, 20.0, "Settled", BURST);
    played.expect(10, 5.0, "RateLowNotForLong", BURST);
    played.expect(1, 12.0, "RateBetweenThresholds", BURST);
    played.expect(10, 5.0, "RateLowNotForLong", BURST);
    played.expect(1, 5.0, "RateLow", HOME);
    played.expect(1, 20.0, "RateHigh", BURST);
}

#[test]
fn an_unknown_rate_holds_and_an_outage_is_followed_by_a_full_window() {
    let mut played = Played::new(&[], BURST);
    played.seconds(40, Ok(20.0));
    let held = played.seconds(120, Err("empty"));
    assert_eq!(held.reason, Reason::Unknown { kind: "empty", since: Duration::from_secs(119) });
    assert_eq!(played.in_force, BURST);
    played.expect(10, 5.0, "RateLowNotForLong", BURST);
    played.expect(20, 5.0, "Recovering", BURST);
    played.expect(1, 5.0, "RateLow", HOME);
    // To burst it does not wait.
    played.seconds(120, Err("stale"));
    played.expect(1, 20.0, "RateHigh", BURST);
}

#[test]
fn after_a_long_outage_traffic_goes_where_it_is_configured_to() {
    for (fallback, from, to) in
        [("hold", BURST, BURST), ("home", BURST, HOME), ("burst", HOME, BURST)]
    {
        let argument = format!("--fallback={fallback}");
        let mut played = Played::new(&[&argument, "--fallback-after=60s"], from);
        played.seconds(59, Err("http"));
        assert_eq!(played.in_force, from, "{fallback}");
        played.seconds(5, Err("http"));
        assert_eq!(played.in_force, to, "{fallback}");
    }
    // Where nobody has asked for anything yet, nothing is out.
    let mut played = Played::new(&["--fallback=burst"], HOME);
    let decision = played.seconds(3600, Err("empty"));
    assert_eq!((decision.reason.name(), played.in_force), ("RateUnknown", HOME));
    played.seconds(1, Ok(5.0));
    assert_eq!(played.seconds(302, Err("empty")).reason.name(), "Fallback");
}

#[test]
fn a_burst_that_fails_is_left_alone_and_tried_again_gently() {
    let flow = |rate, failing| Flow { rate, failing };
    let fails = Clusters { burst: flow(20.0, 5.0), ..Clusters::default() };
    let answers = Clusters { burst: flow(20.0, 0.0), ..Clusters::default() };
    let mut played = Played::new(&[], HOME);
    played.clusters = Some(answers);
    played.expect(40, 20.0, "Settled", BURST);
    played.clusters = Some(fails);
    played.expect(1, 20.0, "BurstFails", HOME);
    played.expect(59, 20.0, "BurstRests", HOME);
    played.expect(1, 20.0, "BurstTried", spilt(10));
    played.expect(1, 20.0, "BurstFails", HOME);
    // Twice as long.
    played.expect(119, 20.0, "BurstRests", HOME);
    played.clusters = Some(answers);
    played.expect(1, 20.0, "BurstTried", spilt(10));
    played.expect(30, 20.0, "BurstTried", spilt(10));
    played.expect(1, 20.0, "RateHigh", BURST);
    // What it did before is forgotten.
    played.clusters = Some(fails);
    played.expect(1, 20.0, "BurstFails", HOME);
    played.expect(59, 20.0, "BurstRests", HOME);
    played.expect(1, 20.0, "BurstTried", spilt(10));
}

#[test]
fn a_burst_at_rest_is_tried_only_when_it_is_needed() {
    let mut played = Played::new(&[], BURST);
    let fails = Flow { rate: 20.0, failing: 20.0 };
    played.clusters = Some(Clusters { burst: fails, ..Clusters::default() });
    played.expect(1, 20.0, "BurstFails", HOME);
    played.clusters = None;
    played.expect(600, 5.0, "Settled", HOME);
    played.expect(1, 20.0, "BurstTried", spilt(10));
}

#[test]
fn few_requests_judge_nobody_and_what_is_counted_nowhere_is_shared_out() {
    let flow = |rate, failing| Flow { rate, failing };
    let check = |primary, burst, elsewhere, in_force, expected: &str| {
        let mut played = Played::new(&["--policy=spill"], in_force);
        played.orders.pause = true;
        played.seconds(100, Ok(20.0));
        played.orders.pause = false;
        played.clusters = Some(Clusters { primary, burst, elsewhere });
        let reason = played.second(Ok(20.0)).reason.name();
        assert_eq!(reason, expected, "{primary:?} {burst:?} {elsewhere:?}");
    };
    let none = Flow::default();
    check(none, flow(0.1, 0.1), none, spilt(26), "Settled");
    // Burst has no workers, primary has: all of that is burst's.
    check(flow(14.8, 0.0), none, flow(5.2, 5.2), spilt(26), "BurstFails");
    // Primary has none, burst has: nothing of that is burst's.
    check(none, flow(5.2, 0.0), flow(14.8, 14.8), spilt(26), "Settled");
    // By chance burst had a few less.
    check(flow(14.8, 0.0), flow(4.0, 0.0), flow(1.2, 1.2), spilt(26), "Settled");
}

#[test]
fn what_primary_has_failed_before_a_switch_is_not_blamed_on_burst() {
    let flow = |rate, failing| Flow { rate, failing };
    let overloaded =
        Clusters { primary: flow(15.0, 0.0), elsewhere: flow(25.0, 25.0), ..Clusters::default() };
    let mut played = Played::new(&[], HOME);
    played.clusters = Some(overloaded);
    played.expect(40, 12.0, "RateBetweenThresholds", HOME);
    played.expect(30, 40.0, "Settled", BURST);
    // Once what is counted is all of now, it is.
    played.expect(60, 40.0, "BurstRests", HOME);
}

#[test]
fn a_short_gap_hides_nothing() {
    let mut played = Played::new(&[], BURST);
    played.seconds(40, Ok(20.0));
    for second in 0..10 {
        let rate = if second % 3 == 0 { Err("timeout") } else { Ok(5.0) };
        assert!(!played.second(rate).is_write);
    }
    played.expect(2, 5.0, "RateLow", HOME);
}

#[test]
fn an_idle_start_is_no_outage() {
    let mut played = Played::new(&["--fallback=burst", "--fallback-after=10s"], HOME);
    played.seconds(100, Err("empty"));
    played.seconds(9, Err("timeout"));
    played.seconds(100, Err("empty"));
    assert_eq!(played.in_force, HOME);
    // In burst it is one, whatever was before the start.
    let mut played = Played::new(&["--fallback=home", "--fallback-after=10s"], BURST);
    played.seconds(11, Err("empty"));
    assert_eq!(played.in_force, HOME);
}

#[test]
fn a_trial_that_nothing_is_known_of_ends() {
    let mut played = Played::new(&[], BURST);
    played.clusters =
        Some(Clusters { burst: Flow { rate: 20.0, failing: 20.0 }, ..Clusters::default() });
    played.expect(1, 20.0, "BurstFails", HOME);
    played.clusters = None;
    played.expect(61, 20.0, "BurstTried", spilt(10));
    played.expect(88, 20.0, "BurstTried", spilt(10));
    played.expect(2, 20.0, "RateHigh", BURST);
}

#[test]
fn orders_come_first() {
    let mut played = Played::new(&[], HOME);
    played.orders.pause = true;
    played.expect(1, 20.0, "Paused", HOME);
    played.orders = Orders { force: Some(Cluster::Burst), ..Orders::default() };
    played.expect(1, 5.0, "Forced", BURST);
    played.expect(60, 5.0, "Forced", BURST);
    played.orders = Orders { hold_home: true, ..Orders::default() };
    played.expect(60, 5.0, "HomeHeld", BURST);
    played.orders = Orders::default();
    played.expect(1, 5.0, "RateLow", HOME);
    played.orders = Orders { hold_home: true, ..Orders::default() };
    played.expect(1, 20.0, "RateHigh", BURST);
}

#[test]
fn in_a_fight_it_backs_off_and_says_with_whom() {
    let mut played = Played::new(&[], HOME);
    played.expect(5, 20.0, "Settled", BURST);
    for round in 0..3 {
        played.in_force = HOME;
        played.changed_by = Some("argocd-controller".to_owned());
        let reason = if round < 2 { "RateHigh" } else { "Fight" };
        let expected = if round < 2 { BURST } else { HOME };
        played.expect(1, 20.0, reason, expected);
    }
    let decision = played.seconds(299, Ok(20.0));
    assert_eq!(decision.reason.detail(), "argocd-controller");
    assert!(!decision.is_write && decision.weights == BURST, "it says what should be");
    played.expect(1, 20.0, "RateHigh", BURST);
}

#[test]
fn a_change_by_somebody_else_that_is_right_is_no_fight() {
    let mut played = Played::new(&[], HOME);
    for _ in 0..10 {
        played.in_force = BURST;
        played.changed_by = Some("another istiowatcher".to_owned());
        played.expect(1, 20.0, "Settled", BURST);
    }
}
