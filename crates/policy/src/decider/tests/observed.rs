//! What is observed beside the traffic and the route: primary's capacity, and burst's readiness.

use super::*;

impl Played {
    /// Plays so many seconds with this capacity and this readiness; returns the last decision.
    fn seconds_with(
        &mut self,
        seconds: u64,
        rate: f64,
        capacity: Option<f64>,
        is_ready: Option<bool>,
    ) -> Decision {
        let second = |_| {
            let next = self.now() + Duration::from_secs(1);
            self.decider.observe_capacity(next, capacity);
            self.decider.observe_burst_readiness(next, is_ready);
            self.second(rate)
        };
        (0..seconds).map(second).last().unwrap()
    }
}

#[test]
fn thresholds_follow_the_capacity_of_primary() {
    let by_service = ["--capacity-service=worker", "--capacity=15"];
    let mut played = Played::new(&by_service, HOME);
    played.seconds_with(120, 20.0, Some(30.0), None);
    assert_eq!(played.in_force, HOME, "two workers carry it");
    played.seconds_with(60, 20.0, Some(15.0), None);
    assert_eq!(played.in_force, BURST, "one does not");
    played.seconds_with(120, 14.0, Some(30.0), None);
    assert_eq!(played.in_force, HOME, "it is below twice HOME_BELOW");
}

#[test]
fn spill_follows_the_capacity_of_primary() {
    let arguments = ["--policy=spill", "--capacity-query=a", "--spill-probe=0"];
    let mut played = Played::new(&arguments, HOME);
    played.seconds_with(120, 40.0, Some(60.0), None);
    assert_eq!(played.in_force, HOME);
    played.seconds_with(60, 40.0, Some(20.0), None);
    // 0.87 of 20 stay of 40; a little less while requests wait.
    assert!((57..=65).contains(&played.in_force.burst), "{:?}", played.in_force);
}

#[test]
fn an_unknown_capacity_holds() {
    let mut played = Played::new(&["--capacity-service=worker"], HOME);
    let decision = played.seconds_with(120, 20.0, None, None);
    assert_eq!((decision.reason.name(), played.in_force), ("CapacityUnknown", HOME));
    assert!(decision.reason.is_hold() && decision.reason.is_warning());
    played.seconds_with(30, 20.0, Some(15.0), None);
    assert_eq!(played.in_force, BURST);
    // The last capacity is believed for half a minute.
    played.seconds_with(40, 20.0, None, None);
    let decision = played.seconds_with(60, 5.0, None, None);
    assert_eq!((decision.reason.name(), played.in_force), ("CapacityUnknown", BURST));
    assert_eq!(played.decider.leaves_primary_above(played.now()), None);
}

#[test]
fn burst_receives_nothing_before_it_is_ready() {
    let mut played = Played::new(&["--burst-ready-query=a"], HOME);
    for is_ready in [None, Some(false)] {
        let decision = played.seconds_with(60, 20.0, None, is_ready);
        assert_eq!((decision.reason.name(), played.in_force), ("BurstNotReady", HOME));
    }
    played.seconds_with(5, 20.0, None, Some(true));
    assert_eq!(played.in_force, BURST);
    played.seconds_with(60, 20.0, None, Some(false));
    assert_eq!(played.in_force, BURST, "what is there stays there");
    played.seconds_with(60, 5.0, None, Some(false));
    assert_eq!(played.in_force, HOME);
    played.overrides.force = Some(Cluster::Burst);
    played.seconds_with(1, 5.0, None, Some(false));
    assert_eq!(played.in_force, BURST, "an operator demands it");
}
