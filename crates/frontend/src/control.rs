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
    viewers: Arc<Mutex<Viewers>>,
    last_ask: Arc<Mutex<LastAsk>>,
}

/// Those who watch, and all who ever have.
#[derive(Debug, Default)]
struct Viewers {
    now: usize,
    ever: u64,
}

/// How the rate in force came about.
#[derive(Debug)]
struct LastAsk {
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
        let last_ask = LastAsk { asked: Instant::now(), by: None, stopped: None };
        let rate = watch::Sender::new(Rate::ZERO);
        Self { rate, viewers: Arc::default(), last_ask: Arc::new(Mutex::new(last_ask)) }
    }

    /// A visitor asks for a rate, for everybody.
    pub(crate) fn ask(&self, rate: Rate, by: u64) {
        // Held while the rate changes, so that who asked for it, and why it ended, are of the same rate.
        let mut last_ask = self.last_ask();
        *last_ask = LastAsk { asked: Instant::now(), by: Some(by), stopped: None };
        let before = self.rate.send_replace(rate);
        if before != rate {
            tracing::info!(from = before.per_second(), to = rate.per_second(), "rate set");
        }
    }

    /// Ends load, unless somebody has asked again since it was looked at.
    fn stop(&self, why: Stop, asked: Instant) {
        let mut last_ask = self.last_ask();
        if last_ask.asked != asked {
            return;
        }
        last_ask.stopped = Some(why);
        let before = self.rate.send_replace(Rate::ZERO);
        tracing::warn!(from = before.per_second(), "load ends: {why}");
    }

    /// Who last asked for a rate.
    pub(crate) fn asked(&self) -> Option<Asked> {
        let last_ask = self.last_ask();
        last_ask.by.map(|by| Asked { by, ago: last_ask.asked.elapsed().as_secs_f64() })
    }

    /// Why load has ended by itself; `None` if it goes on, or somebody has ended it.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.last_ask().stopped.map(|why| why.to_string())
    }

    /// How long load will go on if nobody asks for a rate; `None` without load.
    pub(crate) fn stops_in(&self) -> Option<Duration> {
        (self.rate() != Rate::ZERO)
            .then(|| FORGOTTEN.saturating_sub(self.last_ask().asked.elapsed()))
    }

    fn last_ask(&self) -> MutexGuard<'_, LastAsk> {
        lock(&self.last_ask)
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
        lock(&self.viewers).now
    }

    /// Somebody starts to watch, unless `limit` already do.
    pub(crate) fn enter(&self, limit: usize) -> Option<Viewer> {
        let mut viewers = lock(&self.viewers);
        if limit <= viewers.now {
            return None;
        }
        viewers.now += 1;
        viewers.ever += 1;
        Some(Viewer { number: viewers.ever, viewers: Arc::clone(&self.viewers) })
    }

    /// Ends load whenever it is to end by itself.
    pub(crate) async fn end_in_time(self, tally: SharedTally) -> Infallible {
        let start = Instant::now();
        let mut stops = Stops::default();
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let asked = self.last_ask().asked;
            let look = self.look(start, asked, &tally);
            if let Some(why) = stops.look(look) {
                self.stop(why, asked);
            }
        }
    }

    fn look(&self, start: Instant, asked: Instant, tally: &SharedTally) -> Look {
        // One lock after the other, never two at once.
        let ledger = tally.lock().ledger();
        Look {
            now: start.elapsed(),
            is_loading: self.rate() != Rate::ZERO,
            asked: asked.saturating_duration_since(start),
            viewers: self.viewers(),
            ledger,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody who watches, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// Which one it is of all since the start, from 1.
    pub(crate) number: u64,
    viewers: Arc<Mutex<Viewers>>,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        lock(&self.viewers).now -= 1;
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
                let asked = control.last_ask().asked;
                let _ = control.look(Instant::now(), asked, &tally);
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
