//! What the frontend tells every browser four times a second.

use std::collections::BTreeMap;

use serde::Serialize;

/// One snapshot of the load and its results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The rate in force, in requests per second.
    pub freq: f64,
    /// Requests sent in the last second.
    pub achieved: f64,
    /// Browsers that are watching.
    pub viewers: usize,
    /// What became of every request since the frontend started.
    pub ledger: Ledger,
    /// The stream of calculations.
    pub results: Results,
    /// Whether calculations can arrive at all.
    pub feed: Feed,
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
