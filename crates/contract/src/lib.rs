//! What the processes say to one another: names and serde types, no IO.
//!
//! The page asks the frontend for a rate ([`events`]), the frontend asks a worker for work
//! ([`Work`]), the worker publishes a [`calculation`] on Redis ([`RedisUrl`]), and the frontend
//! shows every browser what came of it ([`Stats`]). The watcher shifts that work between two
//! [`Cluster`]s, and says why ([`WatcherStatus`]), which the page shows ([`WatcherView`]).

pub mod calculation;
mod cluster;
pub mod events;
mod redis_url;
mod stats;
mod watcher_status;
mod work;

pub use cluster::Cluster;
pub use redis_url::{RedisUrl, RedisUrlError};
pub use stats::{
    Asked, ByPrefix, Failures, Feed, Latencies, Ledger, Percentiles, Results, Stats, Trips,
};
pub use watcher_status::{
    ClusterWeights, DecisionRecord, Seen, Thresholds, TrafficState, WatcherStatus, WatcherView,
};
pub use work::Work;
