//! A source that is wrong must not move traffic the wrong way.

use super::*;
use simulator::WriteAnswer;

/// The faults of the source, each for two minutes.
pub(crate) const FAULTS: [Fault; 9] = [
    Fault::Silent("timeout"),
    Fault::Silent("empty"),
    Fault::ScrapesNothing,
    Fault::LosesSamples,
    Fault::Caches,
    Fault::Lags(Duration::from_secs(60)),
    Fault::HasTwoServers,
    Fault::HasOneWrongSample,
    Fault::LabelsChange,
];

#[test]
fn no_fault_of_the_source_switches_the_wrong_way() {
    for policy in ["--policy=threshold", "--policy=spill"] {
        for fault in FAULTS {
            for scrape_every in [1, 5, 15] {
                for (rate, start) in [(5.0, HOME), (20.0, BURST)] {
                    let settings = settings(&[policy, "--spill-probe=0"]);
                    let load = Load::even(move |_| rate);
                    let mut scenario = Scenario::new(&settings, seconds(600), load);
                    scenario.start = start;
                    scenario.scrape_every = seconds(scrape_every);
                    scenario.step = Duration::from_millis(500);
                    let length = if fault == Fault::HasOneWrongSample { scrape_every } else { 120 };
                    scenario.faults = vec![(seconds(200)..seconds(200 + length), fault)];
                    let outcome = play_with(&[policy, "--spill-probe=0"], &scenario);
                    let wrong = outcome.writes.iter().filter(|(at, weights)| {
                        let is_home_too_full = 15.5 < rate * (1.0 - weights.burst_share());
                        let is_needless = rate < 10.0 && *weights != HOME;
                        let is_during = seconds(195) <= *at;
                        is_during && (is_home_too_full || is_needless)
                    });
                    assert_eq!(
                        wrong.count(),
                        0,
                        "{policy} {fault:?} at {rate}/s, scrapes of {scrape_every} s: {:?}",
                        outcome.writes
                    );
                }
            }
        }
    }
}

#[test]
fn a_load_that_ends_with_its_caller_comes_home_and_lost_labels_do_not() {
    for (fault, expected) in [(Fault::CallerIsReplaced, HOME), (Fault::SeriesEnd, BURST)] {
        let is_replaced = fault == Fault::CallerIsReplaced;
        let load =
            Load::even(move |at| if is_replaced && 200 <= at.as_secs() { 0.0 } else { 20.0 });
        let mut scenario = Scenario::new(&settings(&[]), seconds(600), load);
        scenario.start = BURST;
        scenario.faults = vec![(seconds(200)..seconds(600), fault)];
        let outcome = play_with(&[], &scenario);
        let last = outcome.writes.last().map_or(BURST, |(_, weights)| *weights);
        assert_eq!(last, expected, "{fault:?}: {:?}", outcome.writes);
    }
}

#[test]
fn refused_writes_are_tried_rarely_and_made_in_the_end() {
    let mut scenario = Scenario::new(&settings(&[]), seconds(400), rise(20.0, 250));
    let refused = |at: Duration| match at.as_secs() {
        0..200 => WriteAnswer::Refused(Some(Duration::from_secs(20))),
        200..240 => WriteAnswer::Refused(None),
        _ => WriteAnswer::Written,
    };
    scenario.write = Arc::new(refused);
    let outcome = play_with(&[], &scenario);
    assert!(outcome.refused_writes <= 30, "{}", outcome.refused_writes);
    assert_eq!(outcome.writes.first().unwrap().1, BURST);
}

#[test]
fn weights_that_nothing_follows_are_said() {
    let mut scenario = Scenario::new(&settings(&[]), seconds(300), rise(20.0, 180));
    scenario.is_obeyed = false;
    let outcome = play_with(&[], &scenario);
    let at = outcome.reasons.get("NotObeyed").expect("it is not said");
    assert!(*at <= seconds(160), "{at:?}");
}

#[test]
fn a_restarted_watcher_does_not_return_to_a_burst_that_fails() {
    let mut scenario = Scenario::new(&settings(&[]), seconds(400), rise(20.0, 270));
    scenario.health = Arc::new(|_, cluster| match cluster {
        Cluster::Primary => Health::Well,
        Cluster::Burst => Health::Fails(1.0),
    });
    let without = play_with(&[], &scenario).failed;
    scenario.restarts = (140..390).step_by(40).map(seconds).collect();
    let with = play_with(&[], &scenario).failed;
    assert!(with <= without + 60, "{with} failed with restarts, {without} without");
}
