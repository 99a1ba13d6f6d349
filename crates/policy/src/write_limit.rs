//! Limits how often the watcher writes the weights.

use std::{collections::VecDeque, time::Duration};

use crate::Reason;

const MINUTE: Duration = Duration::from_secs(60);

/// The longest time that the API server is left alone.
const MAX_DELAY: Duration = Duration::from_secs(5 * 60);

/// A limit on the attempts of any 60 seconds.
#[derive(Debug)]
pub(crate) struct WriteLimit {
    per_minute: u32,
    /// The times of the attempts of the last minute; no more than `per_minute`, and urgent ones.
    attempts: VecDeque<Duration>,
    /// After a write that failed, the next attempt waits until then.
    retry_at: Duration,
}

impl WriteLimit {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute, attempts: VecDeque::new(), retry_at: Duration::ZERO }
    }

    /// Records an attempt, whether or not it succeeds.
    pub(crate) fn record_write(&mut self, now: Duration) {
        self.attempts.push_back(now);
    }

    /// Records that an attempt failed. Attempts are then so far apart that they alone never use up the
    /// limit. If the API server asked to be left alone for longer, that is granted for [`MAX_DELAY`].
    pub(crate) fn record_failure(&mut self, now: Duration, retry_after: Option<Duration>) {
        let spacing = MINUTE / self.per_minute.max(1);
        let delay = retry_after.map_or(spacing, |asked| asked.clamp(spacing, MAX_DELAY));
        self.retry_at = now + delay;
    }

    /// Returns why nothing may be written now; `None` if a write is allowed. What is urgent has twice the limit.
    pub(crate) fn check(&mut self, now: Duration, is_urgent: bool) -> Option<Reason> {
        while self.attempts.front().is_some_and(|at| *at + MINUTE <= now) {
            self.attempts.pop_front();
        }
        if now < self.retry_at {
            return Some(Reason::RetryLater { left: self.retry_at - now });
        }
        let is_used_up = self.per_minute as usize <= self.attempts.len();
        let is_urgent_used_up = 2 * self.per_minute as usize <= self.attempts.len();
        let is_held = if is_urgent { is_urgent_used_up } else { is_used_up };
        is_held.then_some(Reason::WriteLimit { per_minute: self.per_minute })
    }
}
