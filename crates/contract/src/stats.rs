//! What the frontend tells every browser four times a second.

use std::collections::BTreeMap;

use serde::Serialize;

/// One snapshot of the load and its results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// When this was so, in seconds since 1970.
    pub at: f64,
    /// The rate in force, in requests per second.
    pub freq: f64,
    /// Requests sent in the last second.
    pub achieved: f64,
    /// Who last asked for a rate; none if nobody has.
    pub asked: Option<Asked>,
    /// Why load has ended by itself; none if it goes on, or somebody has ended it.
    pub stopped: Option<String>,
    /// Seconds until load ends if nobody asks for a rate, and sooner if nobody watches; none without load.
    pub stops_in: Option<f64>,
    /// Browsers that are watching.
    pub viewers: usize,
    /// What became of every request since the frontend started.
    pub ledger: Ledger,
    /// How long things have taken in the last ten seconds.
    pub latencies: Latencies,
    /// The answers by the prefix of their calculation: of at most four prefixes, and `other` for the rest.
    pub by_prefix: BTreeMap<String, ByPrefix>,
    /// The stream of calculations.
    pub results: Results,
    /// Whether calculations can arrive at all.
    pub feed: Feed,
}

/// Who last asked for a rate, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// The visitor's number ([`VISITOR`](crate::events::VISITOR)).
    pub by: u64,
    /// How long ago, in seconds.
    pub ago: f64,
}

/// Where every planned request is.
///
/// `planned = sent + missed + shed`, and `sent = answered + failed + in flight`, at every instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Slots of the schedule that have come.
    pub planned: u64,
    /// Requests started.
    pub sent: u64,
    /// Slots that were too late to be sent.
    pub missed: u64,
    /// Slots not sent because too many requests were in flight.
    pub shed: u64,
    /// Requests that a worker answered with 200.
    pub answered: u64,
    /// Requests that failed, by kind.
    pub failed: Failures,
    /// Requests that wait for their answer.
    pub in_flight: u64,
}

/// Failed requests, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// No connection to the worker.
    pub connect: u64,
    /// No answer in time.
    pub timeout: u64,
    /// The connection ended before the answer did.
    pub reset: u64,
    /// 503, which is also the mesh's answer when it has no worker to send a request to.
    pub unavailable: u64,
    /// A status of 500 or more, other than 503.
    pub server_error: u64,
    /// Any other status than 200.
    pub refused: u64,
}

/// How long things take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// From when a request was due to its answer: what a visitor would have waited, whatever we did.
    pub corrected: Percentiles,
    /// From when a request was sent to its answer.
    pub service: Percentiles,
    /// From when a request was due to when it was sent: our own health.
    pub lateness: Percentiles,
    /// From when a request was sent to the arrival of its result on Redis.
    pub trip: Percentiles,
}

/// A distribution of times, in milliseconds; all are 0 if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// Half of them were no longer than this.
    pub p50: f64,
    /// Nine tenths of them were no longer than this.
    pub p90: f64,
    /// All but one in a hundred of them were no longer than this.
    pub p99: f64,
    /// None of them was longer than this.
    pub max: f64,
}

/// The answers whose calculations have one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ByPrefix {
    /// How many there were since the start.
    pub answered: u64,
    /// As in [`Latencies`], of the last ten seconds.
    pub corrected: Percentiles,
    /// As in [`Latencies`], of the last ten seconds.
    pub service: Percentiles,
    /// As in [`Latencies`], of the last ten seconds.
    pub trip: Percentiles,
}

/// How the results of answered requests have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trips {
    /// Answers whose result has arrived.
    pub matched: u64,
    /// Answers whose result has not arrived within five seconds.
    pub lost: u64,
    /// Results that arrived once more.
    pub doubled: u64,
    /// Results that belong to no answer of ours: to those of another frontend, or to a request whose answer
    /// was lost.
    pub foreign: u64,
}

/// Calculations seen since the frontend started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Results {
    /// All of them.
    pub total: u64,
    /// By prefix: workers of primary have none, those of burst have `bursty-`.
    pub by_prefix: BTreeMap<String, u64>,
    /// Results left out of the live stream because they came faster than it shows them.
    pub unshown: u64,
    /// Messages that were not counted as results, because they were too large, or came faster than they
    /// could be read.
    pub dropped: u64,
    /// How they match the answers.
    pub trips: Trips,
}

/// The state of the subscription to Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Feed {
    /// Subscribed.
    Live,
    /// Not subscribed.
    Away {
        /// Why, in one line.
        reason: String,
    },
}

impl Failures {
    /// Failures of every kind.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { connect, timeout, reset, unavailable, server_error, refused } = *self;
        connect + timeout + reset + unavailable + server_error + refused
    }
}
