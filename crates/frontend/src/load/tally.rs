//! Counts where every planned request is and how long it took, and every result that is seen.
//!
//! `planned = sent + missed + shed` and `sent = answered + failed + in flight` hold at every instant,
//! because each step of a request is one call here. No clock: time comes in as an argument, measured from
//! the same start as the schedule's.

use std::{collections::BTreeMap, time::Duration};

use contract::{ByPrefix, Latencies, Ledger, Results, calculation};

use super::{
    latency::{Buckets, Latency},
    trips::Trips,
};

/// How many prefixes are counted apart; results with any other are counted under [`OTHER`].
const MAX_PREFIXES: usize = 8;

/// Of how many prefixes latencies are kept apart, each in 2.7 MB; those of any other are kept under [`OTHER`].
const MAX_TIMED_PREFIXES: usize = 4;

/// Stands for every prefix beyond the first few, for messages that no worker has published, and for answers
/// that name no calculation.
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
        let trip = calculation.and_then(|of| self.trips.answer(now, of, sent.at));
        let timed = timed(&mut self.by_prefix, calculation);
        timed.corrected.record(now, corrected);
        timed.service.record(now, service);
        if let Some(trip) = trip {
            self.trip.record(now, trip);
            timed.trip.record(now, trip);
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
            timed(&mut self.by_prefix, Some(message)).trip.record(now, trip);
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

    /// How long requests have been sent late since the start.
    pub(crate) fn lateness(&self) -> Buckets {
        self.lateness.buckets()
    }

    /// How long answers have taken since the start: by kind, as in [`Latencies`], and by prefix.
    pub(crate) fn answers(&self) -> Vec<(&'static str, String, Buckets)> {
        let of = |(prefix, timed): (&String, &Timed)| {
            [("corrected", &timed.corrected), ("service", &timed.service), ("trip", &timed.trip)]
                .map(|(kind, latency)| (kind, prefix.clone(), latency.buckets()))
        };
        self.by_prefix.iter().flat_map(of).collect()
    }

    /// The latencies of the last ten seconds for each prefix that answers have named.
    pub(crate) fn by_prefix(&mut self, now: Duration) -> BTreeMap<String, ByPrefix> {
        let of = |(prefix, timed): (&String, &mut Timed)| {
            let latencies = ByPrefix {
                answered: timed.corrected.buckets().count(),
                corrected: timed.corrected.window(now),
                service: timed.service.window(now),
                trip: timed.trip.window(now),
            };
            (prefix.clone(), latencies)
        };
        self.by_prefix.iter_mut().map(of).collect()
    }
}

fn timed<'a>(all: &'a mut BTreeMap<String, Timed>, calculation: Option<&str>) -> &'a mut Timed {
    let prefix = calculation.and_then(calculation::prefix).unwrap_or(OTHER);
    let known = all.contains_key(prefix)
        || all.keys().filter(|known| *known != OTHER).count() < MAX_TIMED_PREFIXES;
    let key = if known { prefix } else { OTHER };
    // Not by `entry`, which would want a new string for each answer.
    if !all.contains_key(key) {
        let [corrected, service, trip] = std::array::from_fn(|_| Latency::new());
        all.insert(key.to_owned(), Timed { corrected, service, trip });
    }
    all.get_mut(key).expect("it was there, or has been added")
}

#[cfg(test)]
mod tests;
