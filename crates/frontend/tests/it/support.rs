//! A running frontend.

use std::net::SocketAddr;

use chassis::{Shutdown, settings::from_arguments};
use fakes::testing::{BackgroundTask, listener, spawn};

/// A calculation that a worker of primary publishes.
pub(crate) const HASH: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

/// A frontend that runs in the background of a test.
pub(crate) struct RunningFrontend {
    pub(crate) address: SocketAddr,
    _task: BackgroundTask,
}

impl RunningFrontend {
    pub(crate) fn start(redis: SocketAddr, processor: SocketAddr) -> Self {
        Self::start_with(redis, processor, &[])
    }

    pub(crate) fn start_with(redis: SocketAddr, processor: SocketAddr, arguments: &[&str]) -> Self {
        let neighbors =
            [format!("--redis-url={redis}"), format!("--processor-url=http://{processor}")];
        let arguments = [&neighbors.each_ref().map(String::as_str), arguments].concat();
        let config = from_arguments(&arguments).unwrap();
        let (listener, address) = listener();
        Self { address, _task: spawn(frontend::run(config, listener, Shutdown::new())) }
    }
}

/// Whether the statistics show a subscription to Redis.
pub(crate) fn is_live(stats: &serde_json::Value) -> bool {
    stats["feed"]["state"] == "live"
}
