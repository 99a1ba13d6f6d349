//! Takes snapshots of the load and its results, for browsers and for `GET /api/stats`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chassis::probes::Dependency;
use contract::{Feed, Stats};
use tokio::time::Instant;

use crate::{control::Control, load::SharedTally, viewers::Viewers};

/// The number of reports that browsers receive in a second.
pub(crate) const REPORTS_PER_SECOND: usize = 4;

/// Takes snapshots. Clones share their state.
#[derive(Clone)]
pub(crate) struct Snapshots {
    control: Control,
    viewers: Viewers,
    tally: SharedTally,
    redis: Dependency,
    recently_sent: Arc<Mutex<RecentlySent>>,
}

/// The number of sent requests at each report of the last second.
#[derive(Default)]
struct RecentlySent(VecDeque<(Instant, u64)>);

impl Snapshots {
    pub(crate) fn new(
        control: Control,
        viewers: Viewers,
        tally: SharedTally,
        redis: Dependency,
    ) -> Self {
        Self { control, viewers, tally, redis, recently_sent: Arc::default() }
    }

    /// Takes a snapshot.
    pub(crate) fn take(&self) -> Stats {
        let achieved = self.recently_sent().per_second();
        let (freq, viewers) = (self.control.rate().per_second(), self.viewers.count());
        let feed = match self.redis.not_ready_reason() {
            None => Feed::Live,
            Some(reason) => Feed::Away { reason },
        };
        let (requested, stop_reason) = (self.control.requested(), self.control.stop_reason());
        let stops_in_seconds = self.control.stops_in().map(|time| time.as_secs_f64());
        let now = self.tally.now();
        // No other lock is taken while this one is held.
        let mut tally = self.tally.lock();
        Stats {
            at: unix_time().as_secs_f64(),
            freq,
            achieved,
            requested,
            stop_reason,
            stops_in_seconds,
            viewers,
            ledger: tally.ledger(),
            latencies: tally.latencies(now),
            by_prefix: tally.by_prefix(now),
            results: tally.results(now),
            feed,
        }
    }

    /// Records that a report is due.
    pub(crate) fn record_report(&self) {
        let sent = self.tally.lock().ledger().sent;
        self.recently_sent().record(Instant::now(), sent);
    }

    fn recently_sent(&self) -> MutexGuard<'_, RecentlySent> {
        self.recently_sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecentlySent {
    fn record(&mut self, now: Instant, sent: u64) {
        self.0.push_back((now, sent));
        if REPORTS_PER_SECOND + 1 < self.0.len() {
            self.0.pop_front();
        }
    }

    /// The number of requests sent in the last second.
    fn per_second(&self) -> f64 {
        match (self.0.front(), self.0.back()) {
            (Some((then, before)), Some((now, sent))) if then < now => {
                (sent - before) as f64 / (*now - *then).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

/// The time since 1970.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_achieved_rate_is_that_of_the_last_second() {
        let mut recently_sent = RecentlySent::default();
        let start = Instant::now();
        for quarter in 0..20 {
            let now = start + Duration::from_millis(250) * quarter;
            recently_sent.record(now, 5 * u64::from(quarter));
        }
        assert!((recently_sent.per_second() - 20.0).abs() < 1e-9);
    }
}
