//! A worker that answers every request alike.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode};
use chassis::{Shutdown, server::serve};
use tokio::time::sleep;

use crate::testing::{BackgroundTask, listener, spawn};

/// Stands for the workers: answers every request with one status after a delay, and counts it.
pub struct FakeWorker {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
    _task: BackgroundTask,
}

impl FakeWorker {
    /// Starts one that answers 200 at once.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(StatusCode::OK, Duration::ZERO)
    }

    /// Starts one that answers with `status` after `delay`.
    #[must_use]
    pub fn start_with(status: StatusCode, delay: Duration) -> Self {
        let requests = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&requests);
        let router = Router::new().fallback(async move || {
            count.fetch_add(1, Ordering::Relaxed);
            sleep(delay).await;
            status
        });
        let (listener, address) = listener();
        Self { address, requests, _task: spawn(serve(listener, router, Shutdown::new())) }
    }

    /// Returns how many requests it has received.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
