//! The rate in force, which all visitors share, and who requested it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::Requested;
use tokio::{sync::watch, time::Instant};

use crate::{
    auto_stop::{MAX_UNREQUESTED, StopReason},
    load::rate::Rate,
};

/// The rate in force. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    rate: watch::Sender<Rate>,
    last_request: Arc<Mutex<LastRequest>>,
}

/// The last request for a rate.
#[derive(Debug)]
struct LastRequest {
    /// When a visitor sent it; the time of the start before any visitor has.
    at: Instant,
    /// The visitor number; `None` before any visitor has sent one.
    by: Option<u64>,
    /// Why the load has ended by itself since then; `None` if it has not.
    stop_reason: Option<StopReason>,
}

impl Control {
    /// Starts with no load.
    pub(crate) fn new() -> Self {
        let last_request = LastRequest { at: Instant::now(), by: None, stop_reason: None };
        let rate = watch::Sender::new(Rate::ZERO);
        Self { rate, last_request: Arc::new(Mutex::new(last_request)) }
    }

    /// Sets the rate that a visitor requests, for everybody.
    pub(crate) fn request(&self, rate: Rate, by: u64) {
        // The lock is held while the rate changes, so that the rate and its request always agree.
        let mut last_request = self.last_request();
        *last_request = LastRequest { at: Instant::now(), by: Some(by), stop_reason: None };
        let before = self.rate.send_replace(rate);
        if before != rate {
            tracing::info!(from = before.per_second(), to = rate.per_second(), "rate set");
        }
    }

    /// Ends the load, unless somebody has requested a rate after `requested_at`.
    pub(crate) fn stop(&self, reason: StopReason, requested_at: Instant) {
        let mut last_request = self.last_request();
        if last_request.at != requested_at {
            return;
        }
        last_request.stop_reason = Some(reason);
        let before = self.rate.send_replace(Rate::ZERO);
        tracing::warn!(from = before.per_second(), "load stopped: {reason}");
    }

    /// Who last requested a rate.
    pub(crate) fn requested(&self) -> Option<Requested> {
        let last_request = self.last_request();
        let seconds_ago = last_request.at.elapsed().as_secs_f64();
        last_request.by.map(|by| Requested { by, seconds_ago })
    }

    /// When somebody last requested a rate; the time of the start before anybody has.
    pub(crate) fn requested_at(&self) -> Instant {
        self.last_request().at
    }

    /// Why the load has ended by itself; `None` if it goes on, or if somebody has ended it.
    pub(crate) fn stop_reason(&self) -> Option<String> {
        self.last_request().stop_reason.map(|reason| reason.to_string())
    }

    /// The time until the load ends if nobody requests a rate; `None` without load.
    pub(crate) fn stops_in(&self) -> Option<Duration> {
        (self.rate() != Rate::ZERO)
            .then(|| MAX_UNREQUESTED.saturating_sub(self.requested_at().elapsed()))
    }

    /// The rate in force.
    pub(crate) fn rate(&self) -> Rate {
        *self.rate.borrow()
    }

    /// The rate in force, now and whenever it changes.
    pub(crate) fn rates(&self) -> watch::Receiver<Rate> {
        self.rate.subscribe()
    }

    fn last_request(&self) -> MutexGuard<'_, LastRequest> {
        self.last_request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
