//! The access log: a line for each request for work, or for a sample of the requests.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderValue, StatusCode};
use chassis::{Sampler, probes::per_thread};
use tokio::time::Instant;

/// Logs requests at a limited rate. The lines have the target `access`.
pub(crate) struct AccessLog {
    start: Instant,
    sampler: Sampler,
    /// All requests, and how many there were at the last line.
    requests: per_thread::Counter,
    requests_until_line: AtomicU64,
}

impl AccessLog {
    /// Logs up to `per_second` requests a second, and an even sample of more; none if it is 0.
    pub(crate) fn new(per_second: u32) -> Self {
        let sampler = Sampler::per_second(per_second);
        let (requests, requests_until_line) = Default::default();
        Self { start: Instant::now(), sampler, requests, requests_until_line }
    }

    /// Records an answered request, which began at `from`. `id` is the name that the mesh gives to the request; a
    /// reader finds the request by it in several logs.
    pub(crate) fn record(&self, id: Option<&HeaderValue>, status: StatusCode, from: Instant) {
        let now = Instant::now();
        self.requests.inc();
        if !self.sampler.lets_through(now - self.start) {
            return;
        }
        let requests = self.requests.get();
        let before = self.requests_until_line.swap(requests, Ordering::Relaxed);
        // Less one for this line. Two lines at the same time may be swapped.
        let unlogged = requests.saturating_sub(before + 1);
        let took_us = u64::try_from((now - from).as_micros()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        // Its length is limited, because the server limits the head of a request.
        let request_id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        tracing::info!(target: "access", status, took_us, request_id, unlogged, "POST /");
    }
}
