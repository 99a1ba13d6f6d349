//! The policies that run, each in a task of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::WatcherStatus;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{conditions::Refusal, policies::Key};
use crate::status::Status;

/// The least time between two starts of a policy's task that panics.
pub(super) const BEGIN_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The running policies. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Running {
    tasks: Arc<Mutex<BTreeMap<Key, Task>>>,
    /// The tasks that have panicked.
    pub(super) panics: Counter,
}

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
    pub(super) started_at: Instant,
    /// It ends only when it panics.
    pub(super) task: AbortOnDropHandle<()>,
}

impl Task {
    /// Whether the task has panicked, and may begin again.
    pub(super) fn must_begin_again(&self) -> bool {
        self.task.is_finished() && BEGIN_AGAIN_AFTER <= self.started_at.elapsed()
    }
}

impl Running {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::future::{Future, pending};

    use tokio::time::sleep;

    use super::*;

    fn task(run: impl Future<Output = ()> + Send + 'static) -> Task {
        Task {
            version: Version { uid: None, generation: None, refusal: None },
            annotations: watch::Sender::default(),
            registry: Arc::default(),
            status: None,
            started_at: Instant::now(),
            task: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_task_that_panicked_begins_again_and_not_at_once() {
        let (working, panicked) = (task(pending()), task(async { panic!("on purpose") }));
        sleep(BEGIN_AGAIN_AFTER / 2).await;
        assert!(!panicked.must_begin_again());
        sleep(BEGIN_AGAIN_AFTER).await;
        assert!(panicked.must_begin_again());
        assert!(!working.must_begin_again());
    }
}
