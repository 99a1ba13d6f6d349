//! Flaps: traffic that came home and soon returned to burst. Each makes the stabilization window longer.

use std::{collections::VecDeque, time::Duration};

/// For how long a flap counts.
const MEMORY: Duration = Duration::from_secs(3600);

/// The number of flaps that are kept. More of them would not lengthen the window further.
const MAX_FLAPS: usize = 64;

/// Each flap at or above the budget makes the stabilization window this many times as long.
const FACTOR: u32 = 2;

/// The longest that flaps make the stabilization window, as a multiple of it.
const MAX_FACTOR: u32 = 8;

/// The longest stabilization window, which the timeline must remember.
const MAX_WINDOW: Duration = Duration::from_secs(600);

/// The flaps of the last hour.
#[derive(Debug, Default)]
pub(super) struct Flaps(VecDeque<Duration>);

impl Flaps {
    /// Records a flap.
    pub(super) fn record(&mut self, now: Duration) {
        self.0.push_back(now);
    }

    /// Forgets those that no longer count.
    pub(super) fn forget(&mut self, now: Duration) {
        let is_over = |at: &Duration| *at + MEMORY <= now;
        while self.0.front().is_some_and(is_over) || MAX_FLAPS < self.0.len() {
            self.0.pop_front();
        }
    }

    /// The stabilization window, which is `window` without flaps.
    pub(super) fn lengthened(&self, window: Duration, budget: u32) -> Duration {
        let flaps = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let beyond = (flaps + 1).saturating_sub(budget);
        let longer = FACTOR.saturating_pow(if flaps == 0 { 0 } else { beyond }).min(MAX_FACTOR);
        window.saturating_mul(longer).min(MAX_WINDOW)
    }
}
