//! The one rate that all visitors share, the visitors, and when load ends without them.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use contract::Asked;
use tokio::{
    sync::watch,
    time::{Instant, interval},
};

use crate::{
    load::{SharedTally, rate::Rate},
    stops::{FORGOTTEN, Look, Stop, Stops},
};

/// How often it is looked at whether load is to end.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The rate in force, and who is watching. Clones are the same control.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    rate: watch::Sender<Rate>,
    viewers: watch::Sender<Viewers>,
    story: Arc<Mutex<Story>>,
}

/// Those who watch, and all who ever have.
#[derive(Debug, Default)]
struct Viewers {
    now: usize,
    ever: u64,
}

/// How the rate in force came about.
#[derive(Debug)]
struct Story {
    /// When somebody last asked for a rate; before anybody has, when this began.
    asked: Instant,
    /// The visitor's number.
    by: Option<u64>,
    /// Why load has ended since, if it has.
    stopped: Option<Stop>,
}

impl Control {
    /// No load, and nobody watching.
    pub(crate) fn new() -> Self {
        let story = Story { asked: Instant::now(), by: None, stopped: None };
        let (rate, viewers) = (watch::Sender::new(Rate::ZERO), watch::Sender::default());
        Self { rate, viewers, story: Arc::new(Mutex::new(story)) }
    }

    /// A visitor asks for a rate, for everybody.
    pub(crate) fn ask(&self, rate: Rate, by: u64) {
        *self.story() = Story { asked: Instant::now(), by: Some(by), stopped: None };
        let before = self.rate.send_replace(rate);
        if before != rate {
            tracing::info!(from = before.per_second(), to = rate.per_second(), "rate set");
        }
    }

    fn stop(&self, why: Stop) {
        self.story().stopped = Some(why);
        let before = self.rate.send_replace(Rate::ZERO);
        tracing::warn!(from = before.per_second(), "load ends: {why}");
    }

    /// Who last asked for a rate.
    pub(crate) fn asked(&self) -> Option<Asked> {
        let story = self.story();
        story.by.map(|by| Asked { by, ago: story.asked.elapsed().as_secs_f64() })
    }

    /// Why load has ended by itself; `None` if it goes on, or somebody has ended it.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.story().stopped.map(|why| why.to_string())
    }

    /// How long load will go on if nobody asks for a rate; `None` without load.
    pub(crate) fn stops_in(&self) -> Option<Duration> {
        (self.rate() != Rate::ZERO).then(|| FORGOTTEN.saturating_sub(self.story().asked.elapsed()))
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.viewers.borrow().now
    }

    /// Somebody starts to watch, unless `limit` already do.
    pub(crate) fn enter(&self, limit: usize) -> Option<Viewer> {
        let mut number = None;
        self.viewers.send_if_modified(|viewers| {
            if viewers.now < limit {
                viewers.now += 1;
                viewers.ever += 1;
                number = Some(viewers.ever);
            }
            number.is_some()
        });
        number.map(|number| Viewer { number, viewers: self.viewers.clone() })
    }

    /// Ends load whenever it is to end by itself.
    pub(crate) async fn end_in_time(self, tally: SharedTally) -> Infallible {
        let start = Instant::now();
        let mut stops = Stops::default();
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let look = self.look(start, &tally);
            if let Some(why) = stops.look(look) {
                self.stop(why);
            }
        }
    }

    fn look(&self, start: Instant, tally: &SharedTally) -> Look {
        // One lock after the other, never two at once.
        let asked = self.story().asked.saturating_duration_since(start);
        let ledger = tally.lock().ledger();
        Look {
            now: start.elapsed(),
            is_loading: self.rate() != Rate::ZERO,
            asked,
            viewers: self.viewers(),
            ledger,
        }
    }
}

/// Somebody who watches, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// Which one it is of all since the start, from 1.
    pub(crate) number: u64,
    viewers: watch::Sender<Viewers>,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.viewers.send_modify(|viewers| viewers.now -= 1);
    }
}

#[cfg(test)]
mod tests {
    use chassis::{Shutdown, probes::Readiness};
    use tokio::time::sleep;

    use super::*;
    use crate::snapshot::Snapshots;

    #[tokio::test(start_paused = true)]
    async fn load_ends_by_itself_and_goes_on_when_it_is_asked_for() {
        let control = Control::new();
        let rate = Rate::from_millis(20_000);
        tokio::spawn(control.clone().end_in_time(SharedTally::new()));

        let viewer = control.enter(1).unwrap();
        control.ask(rate, 1);
        sleep(Duration::from_secs(14 * 60)).await;
        assert_eq!(control.rate(), rate, "not while somebody watches");
        assert_eq!(control.stops_in(), Some(Duration::from_secs(60)));
        sleep(Duration::from_secs(62)).await;
        assert_eq!(control.rate(), Rate::ZERO);
        assert_eq!(control.stopped().unwrap(), "nobody has asked for a rate for 15 minutes");

        control.ask(rate, 1);
        assert_eq!((control.rate(), control.stopped()), (rate, None));
        drop(viewer);
        sleep(Duration::from_secs(29)).await;
        assert_eq!(control.rate(), rate);
        sleep(Duration::from_secs(3)).await;
        assert_eq!(control.rate(), Rate::ZERO);
        assert_eq!(control.stopped().unwrap(), "nobody has watched for 30 seconds");
    }

    #[test]
    fn looking_and_reporting_never_wait_for_each_other() {
        let (control, tally) = (Control::new(), SharedTally::new());
        let redis = Readiness::new(Shutdown::new()).register("redis");
        let snapshots = Snapshots::new(control.clone(), tally.clone(), redis);
        let (done, finished) = std::sync::mpsc::channel();
        let looking = done.clone();
        std::thread::spawn(move || {
            for _ in 0..20_000 {
                let _ = control.look(Instant::now(), &tally);
            }
            looking.send(()).unwrap();
        });
        std::thread::spawn(move || {
            for _ in 0..2_000 {
                let _ = snapshots.take();
            }
            done.send(()).unwrap();
        });
        for _ in 0..2 {
            finished.recv_timeout(Duration::from_secs(60)).expect("they wait for each other");
        }
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
