//! The socket.io events between the page and the frontend.

use serde::Serialize;

/// From a browser: `{"freq": 20}` or `{"freq": "20"}`, requests per second for everybody.
///
/// Acknowledged with an [`Answer`] when the client asks for one.
pub const FREQUENCY: &str = "frequency";

/// To browsers: one calculation, as its one string argument.
pub const CALCULATION: &str = "calculation";

/// To browsers: one [`Stats`](crate::Stats), four times a second.
pub const STATS: &str = "stats";

/// To a browser that has just connected: its visitor's number, which counts all since the frontend started.
pub const VISITOR: &str = "visitor";

/// To browsers: one [`WatcherView`](crate::WatcherView), when they connect and whenever it has changed, at most
/// once a second.
pub const WATCHER: &str = "watcher";

/// To the browser whose [`FREQUENCY`] was refused: a sentence that says what is accepted.
pub const REFUSED: &str = "refused";

/// How the frontend acknowledges [`FREQUENCY`].
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
        /// Why, and what is accepted.
        error: String,
    },
}
