//! Whether those who listen are only away for a moment, as after a restart of Redis, which the worker and its
//! listeners come back to one after the other.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// For how long listeners that were there before are waited for, since they last heard something or, if that was
/// before it, since the connection was made. The frontend notices within three seconds that its subscription has
/// fallen silent, and renews it within another two ([`chassis::link`]).
const GRACE: Duration = Duration::from_secs(5);

/// When somebody heard what was published. Clones know the same.
#[derive(Clone, Default)]
pub(super) struct Listeners {
    last_heard: Arc<Mutex<Option<Instant>>>,
}

impl Listeners {
    /// Somebody has heard what was published just now.
    pub(super) fn heard(&self) {
        *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether somebody listened before, and will soon again if they are well: over a connection made at `connected`.
    pub(super) fn are_expected(&self, connected: Instant) -> bool {
        let last_heard = *self.last_heard.lock().unwrap_or_else(PoisonError::into_inner);
        last_heard.is_some_and(|at| at.max(connected).elapsed() < GRACE)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn listeners_are_expected_for_a_while_after_they_or_the_connection_were_there() {
        let listeners = Listeners::default();
        let connected = Instant::now();
        assert!(!listeners.are_expected(connected), "nobody ever listened");
        listeners.heard();
        sleep(GRACE - Duration::from_secs(1)).await;
        assert!(listeners.are_expected(connected));
        sleep(Duration::from_secs(2)).await;
        assert!(!listeners.are_expected(connected), "they have left");
        assert!(listeners.are_expected(Instant::now()), "they were away with the connection");
    }
}
