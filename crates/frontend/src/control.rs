//! The one rate that all visitors share, and the visitors.

use std::{convert::Infallible, time::Duration};

use tokio::{sync::watch, time::timeout};

use crate::load::rate::Rate;

/// How long load goes on when nobody watches.
const UNWATCHED: Duration = Duration::from_secs(30);

/// The rate in force, and who is watching. Clones are the same control.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    rate: watch::Sender<Rate>,
    viewers: watch::Sender<usize>,
}

impl Control {
    /// No load, and nobody watching.
    pub(crate) fn new() -> Self {
        Self { rate: watch::Sender::new(Rate::ZERO), viewers: watch::Sender::new(0) }
    }

    /// Sets the rate for everybody.
    pub(crate) fn set_rate(&self, rate: Rate) {
        let before = self.rate.send_replace(rate);
        if before != rate {
            tracing::info!(from = before.per_second(), to = rate.per_second(), "rate set");
        }
    }

    /// The rate in force.
    pub(crate) fn rate(&self) -> Rate {
        *self.rate.borrow()
    }

    /// The rate in force, now and whenever it changes.
    pub(crate) fn rates(&self) -> watch::Receiver<Rate> {
        self.rate.subscribe()
    }

    /// How many are watching.
    pub(crate) fn viewers(&self) -> usize {
        *self.viewers.borrow()
    }

    /// Somebody starts to watch, unless `limit` already do.
    pub(crate) fn enter(&self, limit: usize) -> Option<Viewer> {
        let may = self.viewers.send_if_modified(|viewers| {
            let may = *viewers < limit;
            *viewers += usize::from(may);
            may
        });
        may.then(|| Viewer(self.viewers.clone()))
    }

    /// Ends the load whenever nobody has watched for 30 seconds.
    pub(crate) async fn stop_when_unwatched(self) -> Infallible {
        let mut viewers = self.viewers.subscribe();
        loop {
            // Never an error: the sender is ours.
            let _ = viewers.wait_for(|viewers| *viewers == 0).await;
            let somebody = viewers.wait_for(|viewers| 0 < *viewers);
            if timeout(UNWATCHED, somebody).await.is_err() {
                if self.rate() != Rate::ZERO {
                    tracing::info!(after = ?UNWATCHED, "nobody is watching: load ends");
                    self.set_rate(Rate::ZERO);
                }
                let _ = viewers.wait_for(|viewers| 0 < *viewers).await;
            }
        }
    }
}

/// Somebody who watches, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Viewer(watch::Sender<usize>);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.send_modify(|viewers| *viewers -= 1);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn load_ends_when_nobody_has_watched_for_30_seconds() {
        let control = Control::new();
        let rate = Rate::asked(&json!({"freq": 20}), 1000).unwrap();
        tokio::spawn(control.clone().stop_when_unwatched());

        let viewer = control.enter(1).unwrap();
        control.set_rate(rate);
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(control.rate(), rate, "not while somebody watches");

        drop(viewer);
        sleep(Duration::from_secs(29)).await;
        let viewer = control.enter(1).unwrap();
        sleep(Duration::from_secs(60)).await;
        assert_eq!(control.rate(), rate, "not if somebody comes back in time");

        let start = Instant::now();
        drop(viewer);
        let mut rates = control.rates();
        let _ = rates.wait_for(|rate| *rate == Rate::ZERO).await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[test]
    fn viewers_have_a_limit() {
        let control = Control::new();
        let (first, _second) = (control.enter(2), control.enter(2).unwrap());
        assert!(control.enter(2).is_none());
        drop(first);
        let _third = control.enter(2).unwrap();
        assert_eq!(control.viewers(), 2);
    }
}
