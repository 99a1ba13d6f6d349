//! How things stand: for browsers, for `GET /api/stats`, and second by second for `GET /api/history.csv`.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chassis::probes::Dependency;
use contract::{ByPrefix, Feed, Percentiles, Stats};
use tokio::time::Instant;

use crate::{control::Control, load::SharedTally};

/// How many reports are made in a second.
pub(crate) const REPORTS_A_SECOND: usize = 4;

/// Seconds of history that are kept: ten minutes.
const MAX_HISTORY: usize = 600;

/// The columns of the history.
const HEADER: &str = "unix_time,asked,sent,missed,shed,answered,failed,in_flight,corrected_p50_ms,corrected_p99_ms,\
    lateness_p99_ms,trip_p99_ms,viewers,answered_primary,results_primary,corrected_p99_primary_ms,trip_p99_primary_ms,\
    answered_burst,results_burst,corrected_p99_burst_ms,trip_p99_burst_ms\n";

/// Where a snapshot is taken from. Clones are the same.
#[derive(Clone)]
pub(crate) struct Snapshots {
    control: Control,
    tally: SharedTally,
    redis: Dependency,
    past: Arc<Mutex<Past>>,
}

/// What a snapshot needs to know of the past.
#[derive(Default)]
struct Past {
    /// The count of requests sent at each report of the last second.
    sent: VecDeque<(Instant, u64)>,
    reports: usize,
    /// The last snapshot that became a row of the history.
    last: Option<Stats>,
    rows: VecDeque<String>,
}

impl Snapshots {
    pub(crate) fn new(control: Control, tally: SharedTally, redis: Dependency) -> Self {
        Self { control, tally, redis, past: Arc::default() }
    }

    /// How things stand now.
    pub(crate) fn take(&self) -> Stats {
        let achieved = self.past().achieved();
        let (freq, viewers) = (self.control.rate().per_second(), self.control.viewers());
        let feed = match self.redis.lacks() {
            None => Feed::Live,
            Some(reason) => Feed::Away { reason },
        };
        let (asked, stopped) = (self.control.asked(), self.control.stopped());
        let stops_in = self.control.stops_in().map(|time| time.as_secs_f64());
        let now = self.tally.now();
        // The last lock that is taken, and none is taken while it is held.
        let mut tally = self.tally.lock();
        Stats {
            at: unix_time().as_secs_f64(),
            freq,
            achieved,
            asked,
            stopped,
            stops_in,
            viewers,
            ledger: tally.ledger(),
            latencies: tally.latencies(now),
            by_prefix: tally.by_prefix(now),
            results: tally.results(now),
            feed,
        }
    }

    /// Notes that a quarter of a second has passed.
    pub(crate) fn tick(&self) {
        let sent = self.tally.lock().ledger().sent;
        let is_second = {
            let mut past = self.past();
            past.sent.push_back((Instant::now(), sent));
            if REPORTS_A_SECOND + 1 < past.sent.len() {
                past.sent.pop_front();
            }
            past.reports += 1;
            past.reports.is_multiple_of(REPORTS_A_SECOND)
        };
        if is_second {
            let stats = self.take();
            self.past().add_row(stats);
        }
    }

    /// The last ten minutes as CSV, a line a second.
    pub(crate) fn history(&self) -> String {
        let past = self.past();
        let length = past.rows.iter().map(String::len).sum::<usize>();
        let mut csv = String::with_capacity(HEADER.len() + length);
        csv.push_str(HEADER);
        past.rows.iter().for_each(|row| csv.push_str(row));
        csv
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// Requests sent in the last second.
    fn achieved(&self) -> f64 {
        match (self.sent.front(), self.sent.back()) {
            (Some((then, before)), Some((now, sent))) if then < now => {
                (sent - before) as f64 / (*now - *then).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    fn add_row(&mut self, stats: Stats) {
        if let Some(last) = &self.last {
            self.rows.push_back(row(last, &stats));
            if MAX_HISTORY < self.rows.len() {
                self.rows.pop_front();
            }
        }
        self.last = Some(stats);
    }
}

/// Since 1970.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What has happened between two snapshots.
fn row(before: &Stats, now: &Stats) -> String {
    let (old, new) = (&before.ledger, &now.ledger);
    let latencies = &now.latencies;
    let mut row = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        row,
        "{:.3},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
        now.at,
        now.freq,
        new.sent - old.sent,
        new.missed - old.missed,
        new.shed - old.shed,
        new.answered - old.answered,
        new.failed.total() - old.failed.total(),
        new.in_flight,
        known(latencies.corrected, latencies.corrected.p50),
        known(latencies.corrected, latencies.corrected.p99),
        known(latencies.lateness, latencies.lateness.p99),
        known(latencies.trip, latencies.trip.p99),
        now.viewers,
        of_cluster(before, now, str::is_empty),
        of_cluster(before, now, |prefix| !prefix.is_empty() && prefix != "other"),
    );
    row
}

/// What has happened with the prefixes of one cluster. Of several, the highest latencies.
fn of_cluster(before: &Stats, now: &Stats, is_its: impl Fn(&str) -> bool) -> String {
    let results = |stats: &Stats| -> u64 {
        let of = stats.results.by_prefix.iter().filter(|(prefix, _)| is_its(prefix));
        of.map(|(_, count)| count).sum()
    };
    let answered = |stats: &Stats| -> u64 {
        let of = stats.by_prefix.iter().filter(|(prefix, _)| is_its(prefix));
        of.map(|(_, of)| of.answered).sum()
    };
    let highest = |latency: fn(&ByPrefix) -> Percentiles| {
        let of = now.by_prefix.iter().filter(|(prefix, _)| is_its(prefix));
        let highest =
            of.map(|(_, of)| latency(of)).max_by(|one, other| one.p99.total_cmp(&other.p99));
        highest.map_or_else(String::new, |of| known(of, of.p99))
    };
    format!(
        "{},{},{},{}",
        answered(now) - answered(before),
        results(now) - results(before),
        highest(|of| of.corrected),
        highest(|of| of.trip),
    )
}

/// A latency in milliseconds; nothing if there was none.
fn known(of: Percentiles, ms: f64) -> String {
    if of.count == 0 { String::new() } else { format!("{ms:.3}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::{Shutdown, probes::Readiness};

    use super::*;

    fn snapshots() -> Snapshots {
        let redis = Readiness::new(Shutdown::new()).register("redis");
        Snapshots::new(Control::new(), SharedTally::new(), redis)
    }

    #[test]
    fn the_achieved_rate_is_that_of_the_last_second() {
        let mut past = Past::default();
        let start = Instant::now();
        for quarter in 0..20 {
            past.sent
                .push_back((start + Duration::from_millis(250) * quarter, 5 * u64::from(quarter)));
            if REPORTS_A_SECOND + 1 < past.sent.len() {
                past.sent.pop_front();
            }
        }
        assert!((past.achieved() - 20.0).abs() < 1e-9);
    }

    #[test]
    fn the_history_has_a_line_a_second_and_a_limit() {
        let snapshots = snapshots();
        for _ in 0..MAX_HISTORY + 50 {
            let stats = snapshots.take();
            snapshots.past().add_row(stats);
        }
        let csv = snapshots.history();
        assert_eq!(csv.lines().count(), MAX_HISTORY + 1);
        let columns = HEADER.trim_end().split(',').count();
        assert!(csv.lines().all(|line| line.split(',').count() == columns), "{csv}");
    }
}
