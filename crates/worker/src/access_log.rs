//! The access log: a line for each request for work, or for a sample of the requests.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderValue, StatusCode};
use chassis::Sampler;
use tokio::time::{Duration, Instant};

/// Logs requests at a limited rate. The lines have the target `access`.
pub(crate) struct AccessLog {
    start: Instant,
    sampler: Sampler,
    /// Requests since the last line.
    unlogged: AtomicU64,
}

impl AccessLog {
    /// Logs up to `per_second` requests a second, and an even sample of more; none if it is 0.
    pub(crate) fn new(per_second: u32) -> Self {
        let sampler = Sampler::per_second(per_second);
        Self { start: Instant::now(), sampler, unlogged: AtomicU64::new(0) }
    }

    /// Records an answered request. `id` is the name that the mesh gives to the request; a reader
    /// finds the request by it in several logs.
    pub(crate) fn record(&self, id: Option<&HeaderValue>, status: StatusCode, duration: Duration) {
        if !self.sampler.lets_through(self.start.elapsed()) {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unlogged = self.unlogged.swap(0, Ordering::Relaxed);
        let took_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        // Its length is limited, because the server limits the head of a request.
        let request_id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        tracing::info!(target: "access", status, took_us, request_id, unlogged, "POST /");
    }
}
