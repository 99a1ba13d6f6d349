//! The runtimes that serve connections, and how many each has.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{runtime::Handle, sync::OwnedSemaphorePermit};

/// A runtime, the service that answers its requests, and its connections.
pub(super) struct Core<S> {
    pub(super) runtime: Handle,
    pub(super) service: S,
    open: Arc<AtomicUsize>,
}

impl<S> Core<S> {
    pub(super) fn new(runtime: Handle, service: S) -> Self {
        Self { runtime, service, open: Arc::default() }
    }

    /// The one of these that has the fewest connections; `None` if there are none of these.
    pub(super) fn least_busy(cores: &[Self]) -> Option<&Self> {
        cores.iter().min_by_key(|core| core.open.load(Ordering::Relaxed))
    }

    /// Takes a place for a connection, which has this permit.
    pub(super) fn take_place(&self, permit: OwnedSemaphorePermit) -> Place {
        self.open.fetch_add(1, Ordering::Relaxed);
        Place { open: Arc::clone(&self.open), _permit: permit }
    }
}

/// The place of a connection among those of its core, and among all.
pub(super) struct Place {
    open: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_connection_goes_to_the_core_with_the_fewest() {
        let cores = ["a", "b"].map(|name| Core::new(Handle::current(), name));
        let places = Arc::new(Semaphore::new(4));
        let take = || {
            let core = Core::least_busy(&cores).unwrap();
            (core.service, core.take_place(Arc::clone(&places).try_acquire_owned().unwrap()))
        };
        let (first, _first) = take();
        let (second, second_place) = take();
        assert_eq!((first, second), ("a", "b"));
        drop(second_place);
        let (third, _third) = take();
        assert_eq!(third, "b");
    }
}
