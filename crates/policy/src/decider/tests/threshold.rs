//! The threshold policy.

use super::*;

#[test]
fn bursts_above_one_rate_and_comes_home_below_another() {
    for (in_force, rate, reason, expected) in [
        (HOME, 16.0, "NoChange", BURST),
        (HOME, 14.5, "RateBetweenThresholds", HOME),
        (HOME, 9.5, "NoChange", HOME),
        (BURST, 16.0, "NoChange", BURST),
        (BURST, 10.5, "RateBetweenThresholds", BURST),
        (BURST, 9.0, "NoChange", HOME),
        (EVEN, 12.0, "RateBetweenThresholds", EVEN),
        (EVEN, 20.0, "NoChange", BURST),
        (EVEN, 5.0, "NoChange", HOME),
    ] {
        let mut played = Played::new(&[], in_force);
        played.expect(180, rate, reason, expected);
    }
}

#[test]
fn a_rise_is_proven_within_two_scrapes_and_a_tick() {
    for phase in 0..5 {
        let mut played = Played::after_a_minute(&[], 5.0, HOME);
        played.seconds(phase + 1, 5.0);
        let (seconds, reason) = played.until(BURST, 20.0);
        assert!(seconds <= 12, "phase {phase}: {seconds} s");
        assert_eq!(reason, "RateHigh");
    }
}

#[test]
fn comes_home_when_the_rate_has_been_low_for_the_hold() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    let (seconds, reason) = played.until(HOME, 5.0);
    assert!((10..=20).contains(&seconds), "{seconds} s");
    assert_eq!(reason, "RateLow");
    let mut played = Played::after_a_minute(&["--home-hold=60s"], 20.0, BURST);
    let (seconds, _) = played.until(HOME, 5.0);
    assert!((60..=70).contains(&seconds), "{seconds} s");
}

#[test]
fn slow_scrapes_do_not_come_home_in_the_middle_of_a_burst() {
    for scrape_every in [1, 5, 15, 30] {
        for rate in [16.0, 20.0, 40.0] {
            let mut played = Played::new(&[], HOME);
            played.scrape_every = scrape_every;
            played.seconds(300, 5.0);
            played.until(BURST, rate);
            for _ in 0..600 {
                played.second(rate);
                assert_eq!(played.in_force, BURST, "scrapes of {scrape_every} s at {rate}/s");
            }
            played.until(HOME, 5.0);
        }
    }
}

#[test]
fn an_unknown_rate_holds_and_what_was_counted_meanwhile_is_known_afterwards() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    played.gap = Some("timeout");
    played.expect(10, 5.0, "NoChange", BURST);
    played.expect(110, 5.0, "RateUnknown", BURST);
    played.gap = None;
    let (seconds, _) = played.until(HOME, 5.0);
    assert!(seconds <= 15, "the counters show that it was low all the time: {seconds} s");
}

#[test]
fn after_an_outage_of_any_length_the_load_is_followed_at_once() {
    for outage in [600, 900, 3600, 36_000] {
        let mut played = Played::after_a_minute(&[], 5.0, HOME);
        for (before, after, weights) in [(5.0, 20.0, BURST), (20.0, 5.0, HOME)] {
            played.gap = Some("timeout");
            played.seconds(outage, before);
            played.gap = None;
            let (seconds, _) = played.until(weights, after);
            assert!(seconds < 30, "{weights} after {seconds} s, and an outage of {outage} s");
            played.seconds(60, after);
        }
    }
}

#[test]
fn a_blip_beside_fresh_samples_changes_nothing() {
    let mut played = Played::after_a_minute(&[], 20.0, BURST);
    for second in 0..40 {
        played.gap = (second % 20 == 0).then_some("empty");
        played.second(5.0);
    }
    assert_eq!(played.in_force, HOME);
}

#[test]
fn after_a_long_outage_traffic_goes_where_fallback_says() {
    for (fallback, from, to) in
        [("hold", BURST, BURST), ("home", BURST, HOME), ("burst", HOME, BURST)]
    {
        let argument = format!("--fallback={fallback}");
        let mut played = Played::after_a_minute(&[&argument, "--fallback-after=60s"], 12.0, from);
        played.gap = Some("http");
        played.seconds(50, 12.0);
        assert_eq!(played.in_force, from, "{fallback}");
        played.seconds(20, 12.0);
        assert_eq!(played.in_force, to, "{fallback}");
    }
}

#[test]
fn before_the_first_request_nothing_is_out() {
    let mut played = Played::new(&["--fallback=burst", "--fallback-after=10s"], HOME);
    let decision = played.seconds(3600, 0.0);
    assert_eq!((decision.reason.name(), played.in_force), ("NoRequestsYet", HOME));
    assert!(!decision.reason.is_hold() && !decision.reason.is_warning());
    let mut played = Played::new(&["--fallback=home", "--fallback-after=10s"], BURST);
    played.seconds(12, 0.0);
    assert_eq!(played.in_force, HOME, "in burst it is an outage");
}

#[test]
fn zero_is_believed_when_the_callers_are_new() {
    for (is_shown, expected) in [(true, HOME), (false, BURST)] {
        let mut played = Played::after_a_minute(&[], 20.0, BURST);
        for _ in 0..300 {
            played.now += 1;
            let now = played.now();
            let zero_until = is_shown.then_some(Duration::from_secs(played.now / 5 * 5));
            played.decider.observe(now, &Observation::NoCounters { zero_until });
            let overrides = Overrides::default();
            let route = Route { weights: played.in_force, overrides, changed_by: None };
            let decision = played.decider.decide(now, &route);
            if decision.is_write {
                played.in_force = decision.weights;
            }
        }
        assert_eq!(played.in_force, expected, "zero is shown: {is_shown}");
    }
}

#[test]
fn an_average_is_counted_once_for_each_sample() {
    let settings = Arguments::try_parse_from(["test"]).unwrap().settings;
    let mut decider = Decider::new(settings, None, Duration::ZERO);
    let window = Duration::from_secs(30);
    let mut in_force = HOME;
    for second in 1000..1200_u64 {
        let (now, at) = (Duration::from_secs(second), Duration::from_secs(second / 5 * 5));
        let rate = if second < 1100 { 5.0 } else { 20.0 };
        decider.observe(now, &Observation::Averages { at, window, rate, clusters: None });
        let route = Route { weights: in_force, overrides: Overrides::default(), changed_by: None };
        let decision = decider.decide(now, &route);
        if decision.is_write {
            assert!((1110..1140).contains(&second), "{second}: {}", decision.reason);
            in_force = decision.weights;
        }
    }
    assert_eq!(in_force, BURST);
}

#[test]
fn an_average_stands_for_its_window_and_not_for_an_outage() {
    let intervals = |times: &[u64]| -> Vec<_> {
        let mut requests = RequestHistory::new(None, Duration::ZERO);
        let window = Duration::from_secs(30);
        for at in times.iter().copied().map(Duration::from_secs) {
            let average = Observation::Averages { at, window, rate: 5.0, clusters: None };
            requests.observe(at, &average);
        }
        let intervals = requests.intervals_from(Duration::ZERO);
        intervals.map(|interval| (interval.from.as_secs(), interval.to.as_secs())).collect()
    };
    assert_eq!(intervals(&[100, 115, 130]), [(70, 100), (100, 115), (115, 130)]);
    assert_eq!(intervals(&[100, 115, 190]), [(70, 100), (100, 115), (160, 190)], "an outage");
    let rarely = [(70, 100), (130, 160), (160, 220), (220, 280)];
    assert_eq!(intervals(&[100, 160, 220, 280]), rarely, "a recording rule once a minute");
}
