//! The socket.io events between browsers and the frontend.

use serde::Serialize;

/// From a browser: a request for a rate, `{"freq": 20}` or `{"freq": "20"}`, in requests per second
/// for everybody.
///
/// The frontend acknowledges it with an [`Answer`] if the client wants one.
pub const FREQUENCY: &str = "frequency";

/// To browsers: a calculation, as a string.
pub const CALCULATION: &str = "calculation";

/// To browsers: [`Stats`](crate::Stats), four times a second.
pub const STATS: &str = "stats";

/// To a browser that has just connected: its visitor number. The frontend counts visitors from 1.
pub const VISITOR: &str = "visitor";

/// To browsers: a [`WatcherView`](crate::WatcherView), when they connect and when it changes, at
/// most once a second.
pub const WATCHER: &str = "watcher";

/// To a browser whose [`FREQUENCY`] the frontend refused: why, and what the frontend accepts.
pub const REFUSED: &str = "refused";

/// The acknowledgement of [`FREQUENCY`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The rate is in force.
    Accepted {
        /// The rate in force, in requests per second.
        freq: f64,
    },
    /// Nothing has changed.
    Refused {
        /// Why, and what the frontend accepts.
        error: String,
    },
}
