//! The state of the load, which the frontend sends to every browser four times a second.

use std::collections::BTreeMap;

use serde::Serialize;

/// Stands in for a prefix that is not counted apart, and for a message that no worker published.
pub const OTHER_PREFIX: &str = "other";

/// A snapshot of the load and its results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The time of the snapshot, in seconds since 1970.
    pub at: f64,
    /// The rate in force, in requests per second.
    pub freq: f64,
    /// Requests sent in the last second.
    pub achieved: f64,
    /// Who last requested a rate; none if nobody has.
    pub requested: Option<Requested>,
    /// Why the load has ended by itself; none if it goes on, or if somebody has ended it.
    pub stop_reason: Option<String>,
    /// The time until the load ends if nobody requests a rate, in seconds; none without load. The
    /// load ends sooner if nobody watches.
    pub stops_in_seconds: Option<f64>,
    /// The number of browsers that watch.
    pub viewers: usize,
    /// The number of requests in each state, since the frontend started.
    pub ledger: Ledger,
    /// The four times of a request, over the last ten seconds.
    pub latencies: Latencies,
    /// The answers by the prefix of their calculation: at most four prefixes, and [`OTHER_PREFIX`]
    /// for the rest.
    pub by_prefix: BTreeMap<String, ByPrefix>,
    /// The calculations that have arrived from Redis.
    pub results: Results,
    /// The state of the subscription to Redis.
    pub feed: Feed,
}

/// Who last requested a rate, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Requested {
    /// The visitor's number ([`VISITOR`](crate::events::VISITOR)).
    pub by: u64,
    /// The time since then, in seconds.
    pub seconds_ago: f64,
}

/// The ledger: every planned request, counted in exactly one state.
///
/// `planned = sent + missed + shed` and `sent = answered + failed + in flight` hold at every
/// moment. A slot is the moment at which the schedule plans a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Slots that have come.
    pub planned: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Slots that were too late to be sent.
    pub missed: u64,
    /// Slots that were not sent, because too many requests were in flight.
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
    /// 503, which is also the mesh's answer when it has no worker for a request.
    pub unavailable: u64,
    /// A status of 500 or more, other than 503.
    pub server_error: u64,
    /// Any other status except 200.
    pub refused: u64,
}

/// The four times of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Corrected latency: from when the request was due to its answer. It includes the time before
    /// the request was sent, so it is the time that a user would have waited.
    pub corrected: Percentiles,
    /// From when the request was sent to its answer.
    pub service: Percentiles,
    /// From when the request was due to when it was sent. The frontend alone causes it.
    pub lateness: Percentiles,
    /// From when the request was sent to the arrival of its result on Redis.
    pub trip: Percentiles,
}

/// A distribution of times, in milliseconds; all are 0 if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The number of times.
    pub count: u64,
    /// Half of them are at most this long.
    pub p50: f64,
    /// Nine tenths of them are at most this long.
    pub p90: f64,
    /// All but one in a hundred of them are at most this long.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// The answers whose calculations have one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ByPrefix {
    /// The number of answers since the frontend started.
    pub answered: u64,
    /// As in [`Latencies`], of the last ten seconds.
    pub corrected: Percentiles,
    /// As in [`Latencies`], of the last ten seconds.
    pub service: Percentiles,
    /// As in [`Latencies`], of the last ten seconds.
    pub trip: Percentiles,
}

/// The trips of requests, by their end. A trip begins when a request is sent, and ends when its
/// result arrives on Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trips {
    /// Answers whose result has arrived.
    pub matched: u64,
    /// Answers whose result has not arrived within five seconds.
    pub lost: u64,
    /// Results that arrived once more.
    pub doubled: u64,
    /// Results that belong to no answer of this frontend: another frontend sent the request, or the
    /// answer was lost.
    pub foreign: u64,
}

/// The calculations that have arrived since the frontend started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Results {
    /// All of them.
    pub total: u64,
    /// By prefix; under [`OTHER_PREFIX`] are those whose prefix is not counted apart, and messages
    /// that no worker published.
    pub by_prefix: BTreeMap<String, u64>,
    /// Results that the browsers did not receive, because they receive a sample above a certain
    /// rate.
    pub unshown: u64,
    /// Messages that were not counted as results, because they were too large, or because they
    /// arrived faster than the frontend reads them.
    pub dropped: u64,
    /// How the results match the answers.
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
