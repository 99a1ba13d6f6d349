//! The policies that run, each in a task of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contract::WatcherStatus;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{conditions::Refusal, policies::Key};
use crate::status::Status;

/// The running policies. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<BTreeMap<Key, Task>>>);

/// What a task was started with: it starts again when this changes.
#[derive(PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: Option<String>,
    pub(super) generation: Option<i64>,
    pub(super) refusal: Option<Refusal>,
}

/// A running policy.
pub(super) struct Task {
    pub(super) version: Version,
    pub(super) annotations: watch::Sender<Arc<BTreeMap<String, String>>>,
    pub(super) registry: Arc<Registry>,
    pub(super) status: Option<Status>,
    pub(super) _task: AbortOnDropHandle<()>,
}

impl Running {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status of a policy; `None` if there is none.
    pub(super) fn status(&self, key: &Key) -> Option<WatcherStatus> {
        Some(self.lock().get(key)?.status.as_ref()?.get())
    }

    /// The metrics of all policies.
    pub(super) fn registries(&self) -> Vec<Arc<Registry>> {
        self.lock().values().map(|task| Arc::clone(&task.registry)).collect()
    }

    /// The numbers of policies at work, and of refused ones.
    pub(super) fn count(&self) -> (usize, usize) {
        let lock = self.lock();
        let at_work = lock.values().filter(|task| task.version.refusal.is_none()).count();
        (at_work, lock.len() - at_work)
    }
}
