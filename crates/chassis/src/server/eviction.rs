//! Makes room for a new connection: the one that has waited longest for a request is closed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::stage::{SharedStage, Stage};

/// The connections that may be evicted. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Eviction(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// By their order: the first has waited longest.
    places: BTreeMap<u64, Place>,
    next: u64,
}

#[derive(Debug)]
struct Place {
    stage: SharedStage,
    is_evicted: bool,
    waker: Option<Waker>,
}

impl Eviction {
    /// Evicts the connection that has waited longest; returns whether there is one.
    pub(super) fn evict(&self) -> bool {
        let mut waiting = self.lock();
        // A connection that has received the rest of its head no longer waits.
        let is_waiting = |place: &Place| {
            let waits = matches!(place.stage.get(), Stage::New | Stage::Idle | Stage::Head);
            waits && !place.is_evicted
        };
        let Some(place) = waiting.places.values_mut().find(|place| is_waiting(place)) else {
            return false;
        };
        place.is_evicted = true;
        if let Some(waker) = place.waker.take() {
            waker.wake();
        }
        true
    }

    pub(super) fn waiter(&self, stage: SharedStage) -> Waiter {
        Waiter { eviction: self.clone(), stage, place: None }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, which may have a place among those that may be evicted.
pub(super) struct Waiter {
    eviction: Eviction,
    stage: SharedStage,
    place: Option<u64>,
}

impl Waiter {
    /// Takes the last place. A connection that has a place keeps it.
    pub(super) fn register(&mut self) {
        if self.place.is_none() {
            let mut waiting = self.eviction.lock();
            let place = waiting.next;
            waiting.next += 1;
            let stage = self.stage.clone();
            waiting.places.insert(place, Place { stage, is_evicted: false, waker: None });
            self.place = Some(place);
        }
    }

    /// Gives the place up.
    pub(super) fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.eviction.lock().places.remove(&place);
        }
    }

    /// Ready when the connection should end.
    pub(super) fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(place) = self.place else { return Poll::Pending };
        match self.eviction.lock().places.get_mut(&place) {
            Some(place) if !place.is_evicted => {
                place.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}
