//! The contract: what the processes say to one another, as names and serde types, without IO.
//!
//! A page requests a rate from the frontend ([`events`]). The frontend sends texts to a worker
//! ([`Work`]). The worker publishes each [`calculation`] on Redis ([`RedisUrl`]). The frontend
//! sends its state to every page ([`Stats`]). The watcher divides the work between two
//! [`Cluster`]s, and says why ([`WatcherStatus`]). The frontend sends that to the pages, too
//! ([`WatcherView`]).

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
    ByPrefix, Failures, Feed, Latencies, Ledger, OTHER_PREFIX, Percentiles, Requested, Results,
    Stats, Trips,
};
pub use watcher_status::{
    ClusterWeights, DecisionRecord, Observed, RequestsOfHour, Thresholds, TrafficState,
    WatcherStatus, WatcherView,
};
pub use work::Work;
