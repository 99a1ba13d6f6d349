//! Starts a worker.

use std::net::SocketAddr;

use chassis::{Cores, Shutdown, settings::from_arguments};
use fakes::testing::{BackgroundTask, http, listener, spawn};

/// A worker that runs in the background of a test.
pub(crate) struct RunningWorker {
    pub(crate) address: SocketAddr,
    /// How many cores it has. Each is connected to Redis.
    pub(crate) cores: usize,
    _task: BackgroundTask,
}

impl RunningWorker {
    pub(crate) fn start(redis: SocketAddr, arguments: &[&str]) -> Self {
        Self::start_on(Cores::start().unwrap(), redis, arguments)
    }

    pub(crate) fn start_on(runtimes: Cores, redis: SocketAddr, arguments: &[&str]) -> Self {
        let redis = format!("--redis-url={redis}");
        let arguments = [&[redis.as_str()], arguments].concat();
        let config = from_arguments(&arguments).unwrap();
        let (listener, address) = listener();
        let cores = runtimes.runtimes().len();
        let run = worker::run(config, runtimes, listener, Shutdown::new());
        Self { address, cores, _task: spawn(run) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn is_ready(&self) -> bool {
        http().get(self.url("/_healthz")).send().await.is_ok_and(|answer| answer.status() == 200)
    }
}
