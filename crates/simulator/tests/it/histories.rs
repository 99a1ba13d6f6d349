//! Random histories: several faults at once, refused and foreign writes, callers that wait for their answers,
//! and restarts of the watcher.

use super::*;
use simulator::WriteAnswer;

/// The number of histories.
const HISTORIES: u64 = 48;

/// When the last fault ends.
const CALM_FROM: u64 = 900;

const LENGTH: u64 = 1500;

/// A history with random faults, under a load that never changes. With spill, half of the loads come from
/// callers that wait for their answers; a threshold at the capacity cannot see that they would send more.
fn random_history(seed: u64, settings: &Settings, rate: f64) -> Scenario {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut scenario = Scenario::new(settings, seconds(LENGTH), Load::even(move |_| rate));
    scenario.step = Duration::from_millis(500);
    scenario.scrape_every = seconds([1, 5, 15][random.usize(0..3)]);
    scenario.phase = scenario.scrape_every.mul_f64(random.f64());
    scenario.start = if rate < 10.0 { HOME } else { BURST };
    let mut range = |longest: u64| {
        let from = random.u64(120..CALM_FROM - longest);
        seconds(from)..seconds(from + random.u64(1..longest))
    };
    let refused = range(60);
    scenario.faults = faults::FAULTS.map(|fault| (range(240), fault)).into();
    scenario.restarts = vec![range(2).start, range(2).start];
    if is_closed(seed, settings) {
        scenario.load = Load::Closed { callers: rate, pause: seconds(1) };
    }
    let (first, second) = (range(2).start, range(2).start);
    let wrong = if rate < 10.0 { BURST } else { HOME };
    scenario.foreign_writes = vec![(first.min(second), wrong), (first.max(second), wrong)];
    let one_scrape = scenario.scrape_every;
    for (during, fault) in &mut scenario.faults {
        if *fault == Fault::HasOneWrongSample {
            during.end = during.start + one_scrape;
        }
    }
    let keep = random.usize(1..4);
    random.shuffle(&mut scenario.faults);
    scenario.faults.truncate(keep);
    scenario.write = Arc::new(move |at| {
        if refused.contains(&at) { WriteAnswer::Refused(None) } else { WriteAnswer::Written }
    });
    scenario
}

fn is_closed(seed: u64, settings: &Settings) -> bool {
    settings.policy == PolicyKind::Spill && seed.is_multiple_of(8)
}

/// The weights before a write, whoever wrote them.
fn weights_before(at: Duration, scenario: &Scenario, outcome: &Outcome) -> Weights {
    let all = outcome.writes.iter().chain(&scenario.foreign_writes);
    let last = all.filter(|(written, _)| *written < at).max_by_key(|(written, _)| *written);
    last.map_or(scenario.start, |(_, weights)| *weights)
}

#[test]
fn random_histories_switch_nothing_the_wrong_way() {
    for seed in 0..HISTORIES {
        let policy = if seed.is_multiple_of(2) { "--policy=threshold" } else { "--policy=spill" };
        let rate = if seed % 4 < 2 { 5.0 } else { 20.0 };
        let arguments = [policy, "--spill-probe=0"];
        let scenario = random_history(seed, &settings(&arguments), rate);
        let outcome = play_with(&arguments, &scenario);
        let history = format!(
            "history {seed}: {policy} at {rate}/s, scrapes of {:?}, {:?}, restarts {:?}, foreign writes {:?}: {:?}",
            scenario.scrape_every,
            scenario.faults,
            scenario.restarts,
            scenario.foreign_writes,
            outcome.writes
        );
        for (at, weights) in outcome.writes.iter().filter(|(at, _)| seconds(120) <= *at) {
            assert_eq!(weights.primary + weights.burst, 100, "{history}");
            let is_home_too_full = 15.5 < rate * (1.0 - weights.burst_share());
            let before = weights_before(*at, &scenario, &outcome).burst_share();
            let is_needless = rate < 10.0 && before < weights.burst_share();
            assert!(!is_home_too_full && !is_needless, "at {at:?}, {history}");
        }
        let last = outcome.end;
        let primary = rate * (1.0 - last.burst_share());
        assert!(primary <= 15.5 && (10.0 < rate || last == HOME), "at the end, {history}");
    }
}
