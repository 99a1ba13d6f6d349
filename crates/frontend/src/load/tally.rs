//! Counts where every planned request is and how long it took, and every result that is seen.
//!
//! `planned = sent + missed + shed` and `sent = answered + failed + in flight` hold at every instant,
//! because each step of a request is one call here. No clock: time comes in as an argument, measured from
//! the same start as the schedule's.

use std::{collections::BTreeMap, time::Duration};

use contract::{ByPrefix, Latencies, Ledger, Results, calculation};

use super::{latency::Latency, trips::Trips};

/// How many prefixes are counted apart; results with any other are counted under [`OTHER`].
const MAX_PREFIXES: usize = 8;

/// Of how many prefixes latencies are kept; each takes 2.5 MB.
const MAX_TIMED_PREFIXES: usize = 4;

/// Stands for every prefix beyond the first few, and for messages that no worker has published.
const OTHER: &str = "other";

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection to the worker.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Reset,
    /// A status other than 200.
    Status(u16),
}

/// A request that has been sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// When it was due.
    pub(crate) due: Duration,
    /// When it was sent.
    pub(crate) at: Duration,
}

/// The counts, since the frontend started.
#[derive(Debug)]
pub(crate) struct Tally {
    ledger: Ledger,
    results: Results,
    corrected: Latency,
    service: Latency,
    lateness: Latency,
    trip: Latency,
    trips: Trips,
    by_prefix: BTreeMap<String, Timed>,
}

/// What is known of the answers with one prefix.
#[derive(Debug)]
struct Timed {
    answered: u64,
    corrected: Latency,
    service: Latency,
    trip: Latency,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            results: Results::default(),
            corrected: Latency::new(),
            service: Latency::new(),
            lateness: Latency::new(),
            trip: Latency::new(),
            trips: Trips::default(),
            by_prefix: BTreeMap::new(),
        }
    }

    /// A slot has come, and its request is sent.
    pub(crate) fn send(&mut self, sent: Sent) {
        self.ledger.planned += 1;
        self.ledger.sent += 1;
        self.ledger.in_flight += 1;
        self.lateness.record(sent.at, sent.at.saturating_sub(sent.due));
    }

    /// A slot has come, but too many requests are in flight.
    pub(crate) fn shed(&mut self) {
        self.ledger.planned += 1;
        self.ledger.shed += 1;
    }

    /// Slots have come too late to be sent.
    pub(crate) fn miss(&mut self, slots: u64) {
        self.ledger.planned += slots;
        self.ledger.missed += slots;
    }

    /// A request that was sent has ended: with an answer, which may name its calculation, or without one.
    pub(crate) fn end(&mut self, now: Duration, sent: Sent, result: Result<Option<&str>, Failure>) {
        let ledger = &mut self.ledger;
        ledger.in_flight -= 1;
        let count = match result {
            Ok(_) => &mut ledger.answered,
            Err(Failure::Connect) => &mut ledger.failed.connect,
            Err(Failure::Timeout) => &mut ledger.failed.timeout,
            Err(Failure::Reset) => &mut ledger.failed.reset,
            Err(Failure::Status(503)) => &mut ledger.failed.unavailable,
            Err(Failure::Status(500..)) => &mut ledger.failed.server_error,
            Err(Failure::Status(_)) => &mut ledger.failed.refused,
        };
        *count += 1;
        if let Ok(calculation) = result {
            self.answer(now, sent, calculation);
        }
    }

    fn answer(&mut self, now: Duration, sent: Sent, calculation: Option<&str>) {
        let (corrected, service) = (now.saturating_sub(sent.due), now.saturating_sub(sent.at));
        self.corrected.record(now, corrected);
        self.service.record(now, service);
        let Some(calculation) = calculation else { return };
        let trip = self.trips.answer(now, calculation, sent.at);
        if let Some(trip) = trip {
            self.trip.record(now, trip);
        }
        if let Some(timed) = timed(&mut self.by_prefix, calculation) {
            timed.answered += 1;
            timed.corrected.record(now, corrected);
            timed.service.record(now, service);
            trip.into_iter().for_each(|trip| timed.trip.record(now, trip));
        }
    }

    /// A result has been seen, and shown to the browsers or not.
    pub(crate) fn see(&mut self, now: Duration, message: &str, shown: bool) {
        let results = &mut self.results;
        results.total += 1;
        results.unshown += u64::from(!shown);
        let prefix = calculation::prefix(message).unwrap_or(OTHER);
        let known =
            results.by_prefix.contains_key(prefix) || results.by_prefix.len() < MAX_PREFIXES;
        let key = if known { prefix } else { OTHER };
        *results.by_prefix.entry(key.to_owned()).or_default() += 1;

        if let Some(trip) = self.trips.arrive(now, message) {
            self.trip.record(now, trip);
            if let Some(timed) = timed(&mut self.by_prefix, message) {
                timed.trip.record(now, trip);
            }
        }
    }

    /// Results have come faster than they could be read.
    pub(crate) fn drop_results(&mut self, results: u64) {
        self.results.dropped += results;
    }

    /// Where every request is now.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The results seen so far.
    pub(crate) fn results(&mut self, now: Duration) -> Results {
        Results { trips: self.trips.counts(now), ..self.results.clone() }
    }

    /// How long things have taken in the last ten seconds.
    pub(crate) fn latencies(&mut self, now: Duration) -> Latencies {
        Latencies {
            corrected: self.corrected.window(now),
            service: self.service.window(now),
            lateness: self.lateness.window(now),
            trip: self.trip.window(now),
        }
    }

    /// How long things have taken since the start.
    pub(crate) fn latencies_in_all(&self) -> Latencies {
        Latencies {
            corrected: self.corrected.total(),
            service: self.service.total(),
            lateness: self.lateness.total(),
            trip: self.trip.total(),
        }
    }

    /// The same for each prefix that answers have named.
    pub(crate) fn by_prefix(&mut self, now: Duration) -> BTreeMap<String, ByPrefix> {
        let of = |(prefix, timed): (&String, &mut Timed)| {
            let latencies = ByPrefix {
                answered: timed.answered,
                corrected: timed.corrected.window(now),
                service: timed.service.window(now),
                trip: timed.trip.window(now),
            };
            (prefix.clone(), latencies)
        };
        self.by_prefix.iter_mut().map(of).collect()
    }
}

fn timed<'a>(all: &'a mut BTreeMap<String, Timed>, calculation: &str) -> Option<&'a mut Timed> {
    let prefix = calculation::prefix(calculation)?;
    if !all.contains_key(prefix) {
        if all.len() == MAX_TIMED_PREFIXES {
            return None;
        }
        let timed = Timed {
            answered: 0,
            corrected: Latency::new(),
            service: Latency::new(),
            trip: Latency::new(),
        };
        all.insert(prefix.to_owned(), timed);
    }
    all.get_mut(prefix)
}

#[cfg(test)]
mod tests {
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
    fn every_request_is_somewhere_at_every_instant() {
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
            tally.send(sent(0, 0));
            check_adds_up(&tally);
            tally.shed();
            tally.miss(3);
            check_adds_up(&tally);
            tally.end(ms(1), sent(0, 0), end);
            check_adds_up(&tally);
            assert_eq!(tally.ledger().failed.total(), index as u64, "each end is counted once");
        }
        let once = Failures {
            connect: 1,
            timeout: 1,
            reset: 1,
            unavailable: 1,
            server_error: 1,
            refused: 1,
        };
        assert_eq!(tally.ledger().failed, once);
    }

    #[test]
    fn latencies_count_from_when_a_request_was_due() {
        let mut tally = Tally::new();
        tally.send(sent(100, 140));
        tally.end(ms(200), sent(100, 140), Ok(None));
        let latencies = tally.latencies(ms(200));
        let near = |actual: f64, exact: f64| (actual / exact - 1.0).abs() < 0.001;
        assert!(near(latencies.corrected.p99, 100.0), "{latencies:?}");
        assert!(near(latencies.service.p99, 60.0), "{latencies:?}");
        assert!(near(latencies.lateness.p99, 40.0), "{latencies:?}");
        assert_eq!(latencies.trip.count, 0);
    }

    #[test]
    fn every_figure_is_kept_for_each_prefix() {
        let mut tally = Tally::new();
        for prefix in ["", "bursty-"] {
            let message = format!("{prefix}{HASH}");
            tally.send(sent(0, 0));
            tally.see(ms(4), &message, true);
            tally.end(ms(5), sent(0, 0), Ok(Some(&message)));
        }
        let results = tally.results(ms(5));
        // One string twice, so the second result is a double of the first.
        assert_eq!((results.trips.matched, results.trips.doubled), (1, 1));
        let by_prefix = tally.by_prefix(ms(5));
        assert_eq!(by_prefix[""].answered, 1);
        assert_eq!(by_prefix[""].trip.count, 1);
        assert_eq!(by_prefix["bursty-"].corrected.count, 1);
        assert_eq!(results.by_prefix["bursty-"], 1);
    }

    #[test]
    fn prefixes_are_counted_apart_but_not_without_bound() {
        let mut tally = Tally::new();
        let message = |index: usize| format!("prefix-{index}-{HASH}");
        for index in 0..100 {
            tally.see(ms(0), &message(index), true);
            tally.send(sent(0, 0));
            tally.end(ms(0), sent(0, 0), Ok(Some(&message(index))));
        }
        tally.see(ms(0), &message(0), true);
        tally.see(ms(0), "no calculation", false);
        let results = tally.results(ms(0));
        assert_eq!((results.total, results.unshown), (102, 1));
        assert_eq!(results.by_prefix["prefix-0-"], 2);
        assert_eq!(results.by_prefix[OTHER], 93);
        assert_eq!(results.by_prefix.len(), MAX_PREFIXES + 1);
        assert_eq!(tally.by_prefix(ms(0)).len(), MAX_TIMED_PREFIXES);
    }
}
