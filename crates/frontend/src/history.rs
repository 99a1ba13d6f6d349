//! The history of the load, second by second, for `GET /api/history.csv`.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contract::{ByPrefix, Cluster, Percentiles, Stats};

/// The number of rows: ten minutes.
const MAX_ROWS: usize = 600;

const HEADER: &str = "unix_time,requested,sent,missed,shed,answered,failed,in_flight,corrected_p50_ms,corrected_p99_ms,\
    lateness_p99_ms,trip_p99_ms,viewers,answered_primary,results_primary,corrected_p99_primary_ms,trip_p99_primary_ms,\
    answered_burst,results_burst,corrected_p99_burst_ms,trip_p99_burst_ms\n";

/// The last ten minutes. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Rows>>);

#[derive(Default)]
struct Rows {
    /// The last snapshot that was recorded.
    last: Option<Stats>,
    rows: VecDeque<String>,
}

impl History {
    /// Records the snapshot of a second.
    pub(crate) fn record(&self, stats: Stats) {
        let mut history = self.lock();
        if let Some(last) = &history.last {
            let row = row(last, &stats);
            history.rows.push_back(row);
            if MAX_ROWS < history.rows.len() {
                history.rows.pop_front();
            }
        }
        history.last = Some(stats);
    }

    /// Returns the history as CSV, one row a second.
    pub(crate) fn csv(&self) -> String {
        let history = self.lock();
        let length = history.rows.iter().map(String::len).sum::<usize>();
        let mut csv = String::with_capacity(HEADER.len() + length);
        csv.push_str(HEADER);
        history.rows.iter().for_each(|row| csv.push_str(row));
        csv
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the row of the time between two snapshots.
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
        milliseconds(latencies.corrected, latencies.corrected.p50),
        milliseconds(latencies.corrected, latencies.corrected.p99),
        milliseconds(latencies.lateness, latencies.lateness.p99),
        milliseconds(latencies.trip, latencies.trip.p99),
        now.viewers,
        cluster_columns(before, now, Cluster::Primary),
        cluster_columns(before, now, Cluster::Burst),
    );
    row
}

/// Returns the columns of one cluster. If it has several prefixes, the highest latencies count.
fn cluster_columns(before: &Stats, now: &Stats, cluster: Cluster) -> String {
    let is_here = |prefix: &str| Cluster::of_prefix(prefix) == Some(cluster);
    let answers = |stats: &Stats| -> u64 {
        let by_prefix = stats.by_prefix.iter().filter(|(prefix, _)| is_here(prefix));
        by_prefix.map(|(_, answers)| answers.answered).sum()
    };
    let results = |stats: &Stats| -> u64 {
        let by_prefix = stats.results.by_prefix.iter().filter(|(prefix, _)| is_here(prefix));
        by_prefix.map(|(_, count)| count).sum()
    };
    let highest_p99 = |latency: fn(&ByPrefix) -> Percentiles| {
        let by_prefix = now.by_prefix.iter().filter(|(prefix, _)| is_here(prefix));
        by_prefix
            .map(|(_, answers)| latency(answers))
            .max_by(|one, other| one.p99.total_cmp(&other.p99))
            .map_or_else(String::new, |highest| milliseconds(highest, highest.p99))
    };
    format!(
        "{},{},{},{}",
        answers(now) - answers(before),
        results(now) - results(before),
        highest_p99(|answers| answers.corrected),
        highest_p99(|answers| answers.trip),
    )
}

/// Formats a latency; an empty column if there were no times.
fn milliseconds(times: Percentiles, ms: f64) -> String {
    if times.count == 0 { String::new() } else { format!("{ms:.3}") }
}

#[cfg(test)]
mod tests {
    use chassis::{Shutdown, probes::Readiness};

    use super::*;
    use crate::{control::Control, load::SharedTally, snapshot::Snapshots, viewers::Viewers};

    #[test]
    fn the_history_has_one_row_a_second_and_a_limit() {
        let redis = Readiness::new(Shutdown::new()).register("redis");
        let snapshots =
            Snapshots::new(Control::new(), Viewers::default(), SharedTally::new(), redis);
        let history = History::default();
        for _ in 0..MAX_ROWS + 50 {
            history.record(snapshots.take());
        }
        let csv = history.csv();
        assert_eq!(csv.lines().count(), MAX_ROWS + 1);
        let columns = HEADER.trim_end().split(',').count();
        assert!(csv.lines().all(|line| line.split(',').count() == columns), "{csv}");
    }
}
