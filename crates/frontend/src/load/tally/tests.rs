use contract::Failures;

use super::*;

const HASH: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sent(due: u64, at: u64) -> Sent {
    Sent { due: ms(due), at: ms(at) }
}

#[track_caller]
fn check_adds_up(tally: &Tally) {
    let Ledger { planned, sent, missed, shed, answered, failed, in_flight } = tally.ledger();
    assert_eq!(planned, sent + missed + shed);
    assert_eq!(sent, answered + failed.total() + in_flight);
}

#[test]
fn every_request_is_in_exactly_one_state_at_every_moment() {
    let mut tally = Tally::new();
    let ends = [
        Ok(None),
        Err(Failure::Connect),
        Err(Failure::Timeout),
        Err(Failure::Reset),
        Err(Failure::Status(503)),
        Err(Failure::Status(500)),
        Err(Failure::Status(404)),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        tally.record_sent(sent(0, 0));
        check_adds_up(&tally);
        tally.record_shed();
        tally.record_missed(3);
        check_adds_up(&tally);
        tally.record_end(ms(1), sent(0, 0), end);
        check_adds_up(&tally);
        assert_eq!(tally.ledger().failed.total(), index as u64, "each end is counted once");
    }
    let once =
        Failures { connect: 1, timeout: 1, reset: 1, unavailable: 1, server_error: 1, refused: 1 };
    assert_eq!(tally.ledger().failed, once);
}

#[test]
fn corrected_latency_begins_when_a_request_is_due() {
    let mut tally = Tally::new();
    tally.record_sent(sent(100, 140));
    tally.record_end(ms(200), sent(100, 140), Ok(None));
    let latencies = tally.latencies(ms(200));
    let near = |actual: f64, exact: f64| (actual / exact - 1.0).abs() < 0.001;
    assert!(near(latencies.corrected.p99, 100.0), "{latencies:?}");
    assert!(near(latencies.service.p99, 60.0), "{latencies:?}");
    assert!(near(latencies.lateness.p99, 40.0), "{latencies:?}");
    assert_eq!(latencies.trip.count, 0);
}

#[test]
fn every_number_is_kept_for_each_prefix() {
    let mut tally = Tally::new();
    for prefix in ["", "bursty-"] {
        let message = format!("{prefix}{HASH}");
        tally.record_sent(sent(0, 0));
        tally.record_result(ms(4), &message, true);
        tally.record_end(ms(5), sent(0, 0), Ok(Some(&message)));
    }
    let results = tally.results(ms(5));
    // Both results have the same hash, so the second is a duplicate of the first.
    assert_eq!((results.trips.matched, results.trips.doubled), (1, 1));
    let by_prefix = tally.by_prefix(ms(5));
    assert_eq!(by_prefix[""].answered, 1);
    assert_eq!(by_prefix[""].trip.count, 1);
    assert_eq!(by_prefix["bursty-"].corrected.count, 1);
    assert_eq!(results.by_prefix["bursty-"], 1);
}

#[test]
fn only_a_limited_number_of_prefixes_is_counted_apart() {
    let mut tally = Tally::new();
    let message = |index: usize| format!("prefix-{index}-{HASH}");
    for index in 0..100 {
        tally.record_result(ms(0), &message(index), true);
        tally.record_sent(sent(0, 0));
        tally.record_end(ms(0), sent(0, 0), Ok(Some(&message(index))));
    }
    tally.record_result(ms(0), &message(0), true);
    tally.record_result(ms(0), "no calculation", false);
    let results = tally.results(ms(0));
    assert_eq!((results.total, results.unshown), (102, 1));
    assert_eq!(results.by_prefix["prefix-0-"], 2);
    assert_eq!(results.by_prefix[OTHER_PREFIX], 93);
    assert_eq!(results.by_prefix.len(), MAX_PREFIXES + 1);
    let by_prefix = tally.by_prefix(ms(0));
    assert_eq!(by_prefix.len(), MAX_TIMED_PREFIXES + 1);
    assert_eq!(by_prefix[OTHER_PREFIX].answered, 96);
    assert_eq!(by_prefix.values().map(|answers| answers.answered).sum::<u64>(), 100);
}
