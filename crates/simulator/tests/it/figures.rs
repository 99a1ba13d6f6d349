//! How quickly the policies react, and what they cost.

use super::*;

#[test]
fn threshold_switches_once_each_way_at_every_rate_scrape_interval_and_phase() {
    for scrape_every in [1, 5, 15, 30] {
        for rate in [8.0, 14.0, 16.0, 20.0, 40.0] {
            let mut scenario = Scenario::new(&settings(&[]), seconds(900), rise(rate, 480));
            scenario.scrape_every = seconds(scrape_every);
            scenario.step = Duration::from_millis(250);
            for scenario in phases(&scenario, 3) {
                let outcome = play_with(&[], &scenario);
                let moves: Vec<_> = outcome.writes.iter().map(|(_, weights)| *weights).collect();
                let expected: &[_] = if 15.0 < rate { &[BURST, HOME] } else { &[] };
                assert_eq!(moves, expected, "{rate}/s, scrapes of {scrape_every} s: {outcome:?}");
            }
        }
    }
}

#[test]
fn weights_are_written_within_two_scrapes_and_two_seconds_of_a_rise() {
    // By then, the distance of the scrapes and the dispersion are known.
    let rise_at = seconds(600);
    for policy in ["--policy=threshold", "--policy=spill"] {
        for scrape_every in [1, 5, 15, 30] {
            let load = Load::even(move |at| if rise_at <= at { 20.0 } else { 5.0 });
            let mut scenario = Scenario::new(&settings(&[policy]), seconds(720), load);
            scenario.scrape_every = seconds(scrape_every);
            // A primary that queues hides the rise: Istio counts a request when it ends.
            scenario.capacity = 1000.0;
            for scenario in phases(&scenario, 8) {
                let outcome = play_with(&[policy], &scenario);
                let is_rise = |(at, _): &&(Duration, Weights)| rise_at <= *at;
                let (at, _) = outcome.writes.iter().find(is_rise).expect("it never rises");
                let after = at.saturating_sub(rise_at);
                // The watcher looks once a second.
                let limit = seconds(2 * scrape_every + 2) + Duration::from_millis(500);
                assert!(after <= limit, "{policy}: {after:?}, scrapes of {scrape_every} s");
            }
        }
    }
}

#[test]
fn independent_visitors_below_the_threshold_cause_no_burst() {
    for rate in [13.0, 14.0] {
        let load = Load::random(move |_| rate);
        let mut scenario = Scenario::new(&settings(&[]), seconds(6 * 3600), load);
        scenario.step = seconds(1);
        let outcome = play_with(&[], &scenario);
        assert!(outcome.writes.is_empty(), "{rate}/s: {:?}", outcome.writes);
    }
}

#[test]
fn a_burst_without_pods_costs_few_requests() {
    let has_no_pods = |_: Duration, cluster| match cluster {
        Cluster::Primary => Health::Well,
        Cluster::Burst => Health::HasNoPods,
    };
    let rising = Load::even(|at| (at.as_secs_f64() / 10.0).clamp(5.0, 40.0));
    for (policy, load) in [
        ("--policy=threshold", rise(20.0, 300)),
        ("--policy=spill", rise(20.0, 300)),
        ("--policy=spill", rising),
    ] {
        let mut scenario = Scenario::new(&settings(&[policy]), seconds(400), load);
        scenario.health = Arc::new(has_no_pods);
        let mut failed: Vec<_> = phases(&scenario, 5)
            .map(|scenario| {
                let outcome = play_with(&[policy], &scenario);
                assert!(outcome.reasons.contains_key("ClusterUnhealthy"), "{policy}: {outcome:?}");
                outcome.failed
            })
            .collect();
        failed.sort_unstable();
        assert!(failed[2] <= 200, "{policy}: {failed:?}");
    }
}
