//! The browsers that watch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the browsers that watch. Clones share their counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Viewers(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    present: usize,
    since_start: u64,
}

/// A browser that watches, until this is dropped.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// The visitor number, counted from 1 since the start.
    pub(crate) number: u64,
    viewers: Viewers,
}

impl Viewers {
    /// Admits a browser, unless `limit` browsers watch already.
    pub(crate) fn admit(&self, limit: usize) -> Option<Viewer> {
        let mut counts = self.lock();
        if limit <= counts.present {
            return None;
        }
        counts.present += 1;
        counts.since_start += 1;
        Some(Viewer { number: counts.since_start, viewers: self.clone() })
    }

    /// The number of browsers that watch.
    pub(crate) fn count(&self) -> usize {
        self.lock().present
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.viewers.lock().present -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_viewers_is_limited() {
        let viewers = Viewers::default();
        let (first, _second) = (viewers.admit(2), viewers.admit(2).unwrap());
        assert!(viewers.admit(2).is_none());
        drop(first);
        let third = viewers.admit(2).unwrap();
        assert_eq!(viewers.count(), 2);
        assert_eq!(third.number, 3);
    }
}
