//! Counters, in tables.

use contract::Cluster;

use super::*;
use crate::RequestClass;

const PRIMARY: RequestClass = RequestClass { cluster: Some(Cluster::Primary), is_failure: false };
const BURST: RequestClass = RequestClass { cluster: Some(Cluster::Burst), is_failure: false };

fn series(caller: u64, class: RequestClass, samples: &[(u64, f64)]) -> CounterSeries {
    let series = caller * 10 + u64::from(class == BURST);
    let samples = samples.iter().map(|(at, count)| (Duration::from_secs(*at), *count)).collect();
    CounterSeries { series, caller, class, samples }
}

/// A source that is asked once a second, as far as its samples go.
#[derive(Default)]
struct Played {
    counters: Counters,
    timeline: Timeline,
}

impl Played {
    fn observe(&mut self, now: u64, answer: &[CounterSeries]) {
        self.counters.observe(Duration::from_secs(now), answer, &mut self.timeline);
    }

    /// The ends of the intervals, with their requests; negative if an interval is incomplete.
    fn intervals(&self) -> Vec<(u64, f64)> {
        let mut intervals: Vec<_> = self
            .timeline
            .all_newest_first()
            .map(|interval| {
                let sign = if interval.is_complete { 1.0 } else { -1.0 };
                (interval.to.as_secs(), sign * interval.requests.total())
            })
            .collect();
        intervals.reverse();
        intervals
    }
}

#[test]
fn each_sample_counts_once_however_it_is_answered() {
    let mut played = Played::default();
    played.observe(10, &[series(1, PRIMARY, &[(0, 100.0), (5, 125.0), (10, 150.0)])]);
    assert_eq!(played.intervals(), [(5, 25.0), (10, 25.0)], "the first count is history");
    // The same answer again, an older one, and one that overlaps.
    played.observe(11, &[series(1, PRIMARY, &[(0, 100.0), (5, 125.0), (10, 150.0)])]);
    played.observe(12, &[series(1, PRIMARY, &[(0, 100.0), (5, 125.0)])]);
    assert_eq!(played.counters.since_new_sample(Duration::from_secs(12)).unwrap().as_secs(), 2);
    played.observe(15, &[series(1, PRIMARY, &[(5, 125.0), (10, 150.0), (15, 250.0)])]);
    assert_eq!(played.intervals(), [(5, 25.0), (10, 25.0), (15, 100.0)]);
}

#[test]
fn a_series_that_begins_counts_from_zero_and_a_caller_that_begins_does_not() {
    let mut played = Played::default();
    let primary = series(1, PRIMARY, &[(0, 100.0), (5, 125.0), (10, 125.0)]);
    played.observe(10, &[primary.clone(), series(1, BURST, &[(10, 30.0)])]);
    assert_eq!(played.intervals(), [(5, 25.0), (10, 30.0)]);
    let other = series(2, PRIMARY, &[(15, 9000.0)]);
    played.observe(15, &[series(1, PRIMARY, &[(15, 150.0)]), other]);
    assert_eq!(played.intervals()[2..], [(15, 25.0)]);
}

#[test]
fn a_series_that_replaces_another_one_is_history() {
    let mut played = Played::default();
    played.observe(10, &[series(1, PRIMARY, &[(0, 900.0), (5, 925.0), (10, 950.0)])]);
    // Its labels change.
    let other = |samples| CounterSeries { series: 99, ..series(1, PRIMARY, samples) };
    played.observe(15, &[other(&[(15, 975.0)])]);
    played.observe(20, &[other(&[(15, 975.0), (20, 1000.0)])]);
    assert_eq!(played.intervals(), [(5, 25.0), (10, 25.0), (15, -0.0), (20, 25.0)]);
    assert!(!played.timeline.all_newest_first().nth(1).unwrap().is_complete);
}

#[test]
fn a_counter_that_begins_again_is_incomplete_and_a_wrong_sample_is_mended() {
    let mut played = Played::default();
    played.observe(5, &[series(1, PRIMARY, &[(0, 800.0), (5, 825.0)])]);
    played.observe(10, &[series(1, PRIMARY, &[(10, 20.0)])]);
    played.observe(15, &[series(1, PRIMARY, &[(15, 45.0)])]);
    assert_eq!(played.intervals(), [(5, 25.0), (10, -20.0), (15, 25.0)]);
    played.observe(20, &[series(1, PRIMARY, &[(20, 5.0)])]);
    played.observe(25, &[series(1, PRIMARY, &[(25, 95.0)])]);
    assert_eq!(played.intervals()[3..], [(20, -5.0), (25, 50.0)], "no increase of 90");
    // Two servers whose clocks differ by a moment.
    played.observe(30, &[series(1, PRIMARY, &[(30, 94.0)])]);
    assert_eq!(played.intervals()[5..], [(30, 0.0)]);
}

#[test]
fn a_gap_of_the_source_is_one_long_interval() {
    let mut played = Played::default();
    played.observe(10, &[series(1, PRIMARY, &[(0, 0.0), (5, 25.0), (10, 50.0)])]);
    played.observe(130, &[series(1, PRIMARY, &[(130, 650.0)])]);
    assert_eq!(played.intervals(), [(5, 25.0), (10, 25.0), (130, 600.0)]);
}

#[test]
fn after_a_gap_of_the_source_a_part_of_the_callers_is_not_all_of_them() {
    let mut played = Played::default();
    let caller = |caller, at: u64| series(caller, PRIMARY, &[(at, at as f64 * 10.0)]);
    for now in (10..=60).step_by(5) {
        played.observe(now, &[caller(1, now), caller(2, now - 2)]);
    }
    // The first answer after six minutes has no sample of the second caller yet.
    played.observe(420, &[caller(1, 420)]);
    played.observe(423, &[caller(1, 420), caller(2, 423)]);
    played.observe(428, &[caller(1, 425), caller(2, 428)]);
    played.observe(433, &[caller(1, 430), caller(2, 433)]);
    let intervals = played.intervals();
    let outage = intervals.iter().position(|(to, _)| *to == 420).unwrap();
    assert!(intervals[outage].1 < 0.0, "these are not all: {intervals:?}");
    let [.., (until, _)] = intervals[..] else { panic!("no interval") };
    let requests: f64 = intervals[outage + 1..].iter().map(|(_, requests)| requests).sum();
    assert!((requests - 20.0 * (until - 420) as f64).abs() < 1e-6, "{intervals:?}");
    assert!(425 <= until, "{intervals:?}");
}

#[test]
fn what_a_caller_sent_before_it_was_given_up_is_unknown() {
    let mut played = Played::default();
    let caller = |caller, at: u64| series(caller, PRIMARY, &[(at, at as f64 * 10.0)]);
    played.observe(5, &[caller(1, 5), caller(2, 5)]);
    for now in (10..=330).step_by(5) {
        played.observe(now, &[caller(1, now)]);
    }
    let complete: Vec<_> = played.intervals().into_iter().filter(|(_, n)| 0.0 < *n).collect();
    assert_eq!(complete.first(), Some(&(315, 50.0)), "{:?}", played.intervals());
    assert_eq!(complete.len(), 4);
}

#[test]
fn a_clock_that_jumps_is_no_time_without_requests() {
    for jump in [120, -90] {
        let mut played = Played::default();
        let start = 1000_u64;
        for scrape in 0..20_u64 {
            let now = start + scrape * 5;
            let at = if scrape < 10 { now } else { now.checked_add_signed(jump).unwrap() };
            let count = 100.0 * scrape as f64;
            played.observe(now, &[series(1, PRIMARY, &[(at, count)])]);
        }
        let rates = played.timeline.all_newest_first().map(|interval| interval.rate);
        let (least, most) = rates
            .fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(rate), most.max(rate)));
        assert_eq!((least, most), (20.0, 20.0), "{jump}: {:?}", played.intervals());
        assert!(played.intervals().len() > 3, "{jump}");
    }
}

#[test]
fn callers_are_added_up_and_one_that_is_missing_is_not_zero() {
    let mut played = Played::default();
    for scrape in 0..10_u64 {
        let count = 25.0 * scrape as f64;
        let (first, second) = (scrape * 5, scrape * 5 + 2);
        played.observe(first, &[series(1, PRIMARY, &[(first, count)])]);
        if scrape < 5 {
            played.observe(second, &[series(2, PRIMARY, &[(second, 2.0 * count)])]);
        }
    }
    let intervals = played.intervals();
    assert!(intervals.iter().filter(|(_, count)| (*count - 75.0).abs() < 1e-9).count() >= 2);
    let (_, last) = intervals.last().unwrap();
    assert_eq!(*last, -25.0, "{intervals:?}");
}

#[test]
fn a_caller_that_is_replaced_is_not_missed() {
    let mut played = Played::default();
    for scrape in 0..20_u64 {
        let (at, count) = (scrape * 5, 25.0 * scrape as f64);
        let caller = if scrape < 10 { 1 } else { 2 };
        played.observe(at, &[series(caller, PRIMARY, &[(at, count)])]);
    }
    let (_, last) = *played.intervals().last().unwrap();
    assert_eq!(last, 25.0, "{:?}", played.intervals());
}

#[test]
fn outages_do_not_make_the_scrapes_seem_rare() {
    let distance = |times: &[u64]| {
        let mut played = Played::default();
        for at in times {
            played.observe(*at, &[series(1, PRIMARY, &[(*at, *at as f64)])]);
        }
        played.timeline.scrape_interval().as_secs()
    };
    let often: Vec<u64> = (0..20).map(|scrape| 5 * scrape).collect();
    let then = |later: &[u64]| distance(&[&often, later].concat());
    assert_eq!(then(&[]), 5);
    assert_eq!(then(&[700, 1300]), 5, "two outages, and nothing else within a quarter of an hour");
    assert_eq!(then(&[700, 1300, 1305, 1310]), 5);
    assert_eq!(then(&[300, 600, 900, 1200, 1500]), 300, "it is scraped more seldom from now on");
    assert_eq!(distance(&[0, 300, 600]), 300);
}
