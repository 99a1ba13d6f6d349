//! What keeps the watcher from writing too often, and from fighting with somebody else.

use std::{collections::VecDeque, time::Duration};

use crate::reason::Reason;

const MINUTE: Duration = Duration::from_secs(60);

/// So many foreign changes of the weights within [`FIGHT_MEMORY`] are a fight.
const FIGHT: usize = 3;

/// For how long a foreign change counts.
const FIGHT_MEMORY: Duration = Duration::from_secs(30 * 60);

/// For how long the weights are left to the other side after its last change.
const FIGHT_REST: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
pub(super) struct Brakes {
    per_minute: u32,
    /// When the weights were written, of the last minute; no more than `per_minute`.
    writes: VecDeque<Duration>,
    /// When somebody else changed them; no more than [`FIGHT`].
    drifts: VecDeque<Duration>,
    /// Who did last.
    manager: String,
}

impl Brakes {
    pub(super) fn new(per_minute: u32) -> Self {
        let (writes, drifts) = (VecDeque::new(), VecDeque::new());
        Self { per_minute, writes, drifts, manager: String::new() }
    }

    /// The weights were written, or may have been.
    pub(super) fn wrote(&mut self, now: Duration) {
        self.writes.push_back(now);
    }

    /// Somebody else has changed the weights.
    pub(super) fn drifted(&mut self, now: Duration, manager: &str) {
        manager.clone_into(&mut self.manager);
        self.drifts.push_back(now);
        if FIGHT < self.drifts.len() {
            self.drifts.pop_front();
        }
    }

    /// Why nothing may be written now for this reason; `None` if it may.
    pub(super) fn hold(&mut self, now: Duration, reason: &Reason) -> Option<Reason> {
        while self.writes.front().is_some_and(|at| *at + MINUTE <= now) {
            self.writes.pop_front();
        }
        while self.drifts.front().is_some_and(|at| *at + FIGHT_MEMORY <= now) {
            self.drifts.pop_front();
        }
        // What somebody has ordered, and what keeps requests from failing, is worth a fight.
        let is_urgent =
            matches!(reason, Reason::Forced { .. } | Reason::Fails { .. } | Reason::Rests { .. });
        let is_fight = self.drifts.len() == FIGHT && !is_urgent;
        let rest_ends = self.drifts.back().map(|at| *at + FIGHT_REST);
        if let Some(until) = rest_ends.filter(|until| is_fight && now < *until) {
            return Some(Reason::Fight { manager: self.manager.clone(), left: until - now });
        }
        let is_full = self.per_minute as usize <= self.writes.len();
        is_full.then_some(Reason::WriteLimit { per_minute: self.per_minute })
    }
}
