//! One caller that is scraped, and what it has sent since.

use std::{collections::HashMap, time::Duration};

use super::Series;
use crate::{CounterSeries, timeline::Interval};

/// One caller that is scraped.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) series: HashMap<u64, Series>,
    pub(super) first_scrape: Duration,
    pub(super) last_scrape: Duration,
    /// The requests between its scrapes, which are not in the timeline yet.
    pub(super) pending: Vec<Interval>,
}

impl Caller {
    /// A caller that is scraped for the first time.
    pub(super) fn new(at: Duration) -> Self {
        Self { series: HashMap::new(), first_scrape: at, last_scrape: at, pending: Vec::new() }
    }

    /// Whether a series of the scrape before is missing.
    pub(super) fn has_lost_series(&self, samples: &[(&CounterSeries, f64)]) -> bool {
        let is_current = |series: &&Series| series.scraped == self.last_scrape;
        let before = self.series.values().filter(is_current).count();
        let known = samples.iter().filter_map(|(series, _)| self.series.get(&series.series));
        known.filter(is_current).count() < before
    }

    /// Adds the part of the pending requests that falls into an interval.
    pub(super) fn add_to(&self, interval: &mut Interval) {
        for pending in &self.pending {
            let (from, to) = (pending.from.max(interval.from), pending.to.min(interval.to));
            if from < to {
                let part = to.saturating_sub(from).as_secs_f64() / pending.seconds();
                interval.requests.add_scaled(&pending.requests, part);
                interval.is_complete &= pending.is_complete;
            }
        }
        // Before its first scrape, its requests are unknown.
        interval.is_complete &=
            self.first_scrape <= interval.from || interval.to <= self.first_scrape;
    }
}
