//! The weights of burst that were needed within the stabilization window.

use std::{collections::VecDeque, time::Duration};

use crate::Estimate;

/// The weight of burst that a rate needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) at: Duration,
    pub(super) percent: u32,
    pub(super) estimate: Estimate,
}

/// The largest needs, falling: at most one of each percentage.
#[derive(Debug, Default)]
pub(super) struct Needs(VecDeque<Need>);

impl Needs {
    /// Keeps a need until the stabilization window ends, or a need that is as large comes.
    pub(super) fn record(&mut self, need: Need) {
        while self.0.back().is_some_and(|last| last.percent <= need.percent) {
            self.0.pop_back();
        }
        self.0.push_back(need);
    }

    /// Forgets those from before the window, but for the last one.
    pub(super) fn forget(&mut self, now: Duration, window: Duration) {
        while 1 < self.0.len() && self.0[0].at + window <= now {
            self.0.pop_front();
        }
    }

    /// The largest one; `None` before the first.
    pub(super) fn largest(&self) -> Option<Need> {
        self.0.front().copied()
    }
}
