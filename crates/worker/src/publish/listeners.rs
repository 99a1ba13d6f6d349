//! Whether listeners are expected back.
//!
//! After a restart of Redis, the worker and its listeners reconnect one after the other. The worker
//! may be first, and then nobody hears its calculations for a moment.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long listeners are expected back, counted from the last time that one heard a calculation,
/// or from the connection if that is later. The frontend notices within three seconds that its
/// subscription is silent, and renews it within another two ([`chassis::link`]).
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// When a listener last heard a calculation. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Listeners {
    last_heard: Arc<Mutex<Option<Instant>>>,
}

impl Listeners {
    /// Records that a listener has just heard a calculation.
    pub(super) fn record_heard(&self) {
        *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a listener was there before, and is expected back on a connection that was made at
    /// `connected`.
    pub(super) fn are_expected(&self, connected: Instant) -> bool {
        let last_heard = *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner);
        last_heard.is_some_and(|at| at.max(connected).elapsed() < GRACE_PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn listeners_are_expected_for_five_seconds_after_they_heard_or_the_worker_connected() {
        let listeners = Listeners::default();
        let connected = Instant::now();
        assert!(!listeners.are_expected(connected), "nobody ever listened");
        listeners.record_heard();
        sleep(GRACE_PERIOD - Duration::from_secs(1)).await;
        assert!(listeners.are_expected(connected));
        sleep(Duration::from_secs(2)).await;
        assert!(!listeners.are_expected(connected), "they have left");
        assert!(listeners.are_expected(Instant::now()), "they lost the connection, too");
    }
}
