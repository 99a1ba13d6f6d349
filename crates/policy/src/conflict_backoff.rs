//! Stops the watcher from fighting over the weights with another writer.

use std::{collections::VecDeque, time::Duration};

use crate::Reason;

/// So many foreign changes within [`MEMORY`] are a conflict.
const MAX_FOREIGN_CHANGES: usize = 3;

/// For how long a foreign change counts.
const MEMORY: Duration = Duration::from_secs(30 * 60);

/// For how long the watcher leaves the weights alone after the last foreign change.
const BACKOFF: Duration = Duration::from_secs(5 * 60);

/// The foreign changes of the weights that the watcher would undo.
#[derive(Debug, Default)]
pub(crate) struct ConflictBackoff {
    /// The times of the changes; no more than [`MAX_FOREIGN_CHANGES`].
    changes: VecDeque<Duration>,
    /// The field manager that made the last change.
    manager: String,
}

impl ConflictBackoff {
    /// Records that another writer changed the weights.
    pub(crate) fn record_foreign_change(&mut self, now: Duration, manager: &str) {
        manager.clone_into(&mut self.manager);
        self.changes.push_back(now);
        if MAX_FOREIGN_CHANGES < self.changes.len() {
            self.changes.pop_front();
        }
    }

    /// Returns why nothing may be written now for this reason; `None` if a write is allowed.
    pub(crate) fn check(&mut self, now: Duration, reason: &Reason) -> Option<Reason> {
        while self.changes.front().is_some_and(|at| *at + MEMORY <= now) {
            self.changes.pop_front();
        }
        if self.changes.len() < MAX_FOREIGN_CHANGES || reason.is_urgent() {
            return None;
        }
        let until = *self.changes.back()? + BACKOFF;
        (now < until)
            .then(|| Reason::ConflictBackoff { manager: self.manager.clone(), left: until - now })
    }
}
