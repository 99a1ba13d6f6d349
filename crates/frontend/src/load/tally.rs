//! The tally: counts every planned request and every received result, and measures their times.
//!
//! Its ledger has each request in exactly one state: `planned = sent + missed + shed` and `sent =
//! answered + failed + in flight` hold at every moment, because each step of a request is one call.
//! Nothing here knows a clock: time is an argument, and counts from the start of the schedule.

use std::{collections::BTreeMap, time::Duration};

use contract::{ByPrefix, Latencies, Ledger, OTHER_PREFIX, Results, calculation};

use super::{
    latency::{Buckets, Latency},
    trips::Trips,
};

/// How many prefixes are counted apart. Results with any other count under [`OTHER_PREFIX`].
const MAX_PREFIXES: usize = 8;

/// How many prefixes have times of their own, in 2.7 MB each. Times of any other count under
/// [`OTHER_PREFIX`], and so do answers without a calculation.
const MAX_TIMED_PREFIXES: usize = 4;

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

/// A sent request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// When the request was due.
    pub(crate) due: Duration,
    /// When the request was sent.
    pub(crate) at: Duration,
}

/// The counts and times, since the frontend started.
#[derive(Debug)]
pub(crate) struct Tally {
    ledger: Ledger,
    results: Results,
    corrected: Latency,
    service: Latency,
    lateness: Latency,
    trip: Latency,
    trips: Trips,
    by_prefix: BTreeMap<String, PrefixTimes>,
}

/// The times of the answers with one prefix.
#[derive(Debug)]
struct PrefixTimes {
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

    /// Records a slot whose request is sent.
    pub(crate) fn record_sent(&mut self, sent: Sent) {
        self.ledger.planned += 1;
        self.ledger.sent += 1;
        self.ledger.in_flight += 1;
        self.lateness.record(sent.at, sent.at.saturating_sub(sent.due));
    }

    /// Records a slot that is not sent, because too many requests are in flight.
    pub(crate) fn record_shed(&mut self) {
        self.ledger.planned += 1;
        self.ledger.shed += 1;
    }

    /// Records slots that are too late to be sent.
    pub(crate) fn record_missed(&mut self, slots: u64) {
        self.ledger.planned += slots;
        self.ledger.missed += slots;
    }

    /// Records the end of a request: an answer, which may contain the calculation, or a failure.
    pub(crate) fn record_end(
        &mut self,
        now: Duration,
        sent: Sent,
        result: Result<Option<&str>, Failure>,
    ) {
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
            self.record_answer(now, sent, calculation);
        }
    }

    fn record_answer(&mut self, now: Duration, sent: Sent, calculation: Option<&str>) {
        let (corrected, service) = (now.saturating_sub(sent.due), now.saturating_sub(sent.at));
        self.corrected.record(now, corrected);
        self.service.record(now, service);
        let trip =
            calculation.and_then(|calculation| self.trips.record_answer(now, calculation, sent.at));
        let times = times_of(&mut self.by_prefix, calculation);
        times.corrected.record(now, corrected);
        times.service.record(now, service);
        if let Some(trip) = trip {
            self.trip.record(now, trip);
            times.trip.record(now, trip);
        }
    }

    /// Records a result that the feed has received, and whether the browsers are shown it.
    pub(crate) fn record_result(&mut self, now: Duration, message: &str, is_shown: bool) {
        let results = &mut self.results;
        results.total += 1;
        results.unshown += u64::from(!is_shown);
        let prefix = calculation::prefix(message).unwrap_or(OTHER_PREFIX);
        let is_known =
            results.by_prefix.contains_key(prefix) || results.by_prefix.len() < MAX_PREFIXES;
        let key = if is_known { prefix } else { OTHER_PREFIX };
        *results.by_prefix.entry(key.to_owned()).or_default() += 1;

        if let Some(trip) = self.trips.record_result(now, message) {
            self.trip.record(now, trip);
            times_of(&mut self.by_prefix, Some(message)).trip.record(now, trip);
        }
    }

    /// Records messages that the feed has dropped.
    pub(crate) fn record_dropped(&mut self, results: u64) {
        self.results.dropped += results;
    }

    /// The state of every request.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The results received so far.
    pub(crate) fn results(&mut self, now: Duration) -> Results {
        Results { trips: self.trips.counts(now), ..self.results.clone() }
    }

    /// The times of the last ten seconds.
    pub(crate) fn latencies(&mut self, now: Duration) -> Latencies {
        Latencies {
            corrected: self.corrected.window(now),
            service: self.service.window(now),
            lateness: self.lateness.window(now),
            trip: self.trip.window(now),
        }
    }

    /// The times since the start.
    pub(crate) fn total_latencies(&self) -> Latencies {
        Latencies {
            corrected: self.corrected.total(),
            service: self.service.total(),
            lateness: self.lateness.total(),
            trip: self.trip.total(),
        }
    }

    /// The lateness of requests since the start.
    pub(crate) fn lateness(&self) -> Buckets {
        self.lateness.buckets()
    }

    /// The times of answers since the start: by kind, as in [`Latencies`], and by prefix.
    pub(crate) fn answers(&self) -> Vec<(&'static str, String, Buckets)> {
        let buckets = |(prefix, times): (&String, &PrefixTimes)| {
            [("corrected", &times.corrected), ("service", &times.service), ("trip", &times.trip)]
                .map(|(kind, latency)| (kind, prefix.clone(), latency.buckets()))
        };
        self.by_prefix.iter().flat_map(buckets).collect()
    }

    /// The times of the last ten seconds for each prefix of the answers.
    pub(crate) fn by_prefix(&mut self, now: Duration) -> BTreeMap<String, ByPrefix> {
        let window = |(prefix, times): (&String, &mut PrefixTimes)| {
            let window = ByPrefix {
                answered: times.corrected.buckets().count(),
                corrected: times.corrected.window(now),
                service: times.service.window(now),
                trip: times.trip.window(now),
            };
            (prefix.clone(), window)
        };
        self.by_prefix.iter_mut().map(window).collect()
    }
}

fn times_of<'a>(
    all: &'a mut BTreeMap<String, PrefixTimes>,
    calculation: Option<&str>,
) -> &'a mut PrefixTimes {
    let prefix = calculation.and_then(calculation::prefix).unwrap_or(OTHER_PREFIX);
    let is_known = all.contains_key(prefix)
        || all.keys().filter(|known| *known != OTHER_PREFIX).count() < MAX_TIMED_PREFIXES;
    let key = if is_known { prefix } else { OTHER_PREFIX };
    // `entry` would need a new string for each answer.
    if !all.contains_key(key) {
        let [corrected, service, trip] = std::array::from_fn(|_| Latency::new());
        all.insert(key.to_owned(), PrefixTimes { corrected, service, trip });
    }
    all.get_mut(key).expect("the key exists, or has been added")
}

#[cfg(test)]
mod tests;
