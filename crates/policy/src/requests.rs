//! What is known of the requests: the timeline, how fresh it is, and why it is not.

use std::time::Duration;

use crate::{
    CallerStates, ClusterTraffic, Estimate, Observation, Weights,
    counters::Counters,
    estimate,
    obedience::MeasuredSplit,
    shares::Shares,
    timeline::{Interval, Timeline},
};

/// Without a new sample for so many scrapes, the source is stale; a single scrape may be missed.
const STALE_AFTER_SCRAPES: f64 = 2.5;

/// The time for an answer to arrive and to be asked for, beside the scrapes.
const STALE_MARGIN: Duration = Duration::from_secs(2);

/// An average stands for the time since the one before, up to so many windows; or up to as many of the last distance
/// of two samples, if that is no more than [`MAX_AVERAGE_DISTANCE`] windows.
const MAX_AVERAGE_REACH: f64 = 1.5;

/// Samples that are further apart than so many windows show too little of the time between them.
const MAX_AVERAGE_DISTANCE: u32 = 3;

/// The requests of the last minutes.
#[derive(Debug)]
pub struct RequestHistory {
    timeline: Timeline,
    counters: Counters,
    stale_after: Option<Duration>,
    /// The newest sample behind an average: when it arrived, and its time.
    average: Option<(Duration, Duration)>,
    /// The distance of the last two samples behind an average; zero before the second.
    average_distance: Duration,
    /// Why the last answer showed nothing; `None` if it did.
    last_gap: Option<&'static str>,
    /// When the source last showed something new; at first, the start.
    known_until: Duration,
    has_seen_requests: bool,
    /// The estimate of the rate, for the timeline up to this end.
    estimate: Option<(Duration, Estimate)>,
    /// The split by the weights in force; `None` without requests.
    split: Option<MeasuredSplit>,
    movable_share: f64,
}

/// The time between two samples, and what was counted in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountedInterval {
    /// Its start.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
    /// The requests per second; `None` if some of them may be missing.
    pub rate: Option<f64>,
}

impl RequestHistory {
    /// Starts without a sample. The rate is unknown without a new one for `stale_after`; by default for two and
    /// a half scrapes and 2 s.
    #[must_use]
    pub fn new(stale_after: Option<Duration>, now: Duration) -> Self {
        Self {
            timeline: Timeline::default(),
            counters: Counters::default(),
            stale_after,
            average: None,
            average_distance: Duration::ZERO,
            last_gap: Some("not_asked"),
            known_until: now,
            has_seen_requests: false,
            estimate: None,
            split: None,
            movable_share: 1.0,
        }
    }

    /// The estimate of the rate, or the kind of gap if the rate is unknown.
    ///
    /// # Errors
    /// The kind of gap, as metrics name it.
    pub fn estimate(&self, now: Duration) -> Result<Estimate, &'static str> {
        match self.unknown_kind(now) {
            Some(kind) => Err(kind),
            None => self.estimate.map(|(_, estimate)| estimate).ok_or("too_young"),
        }
    }

    pub(crate) fn observe_callers(&mut self, states: &CallerStates) {
        self.counters.observe_callers(states);
    }

    /// Forgets all counts, because another source has other ones.
    pub(crate) fn change_source(&mut self) {
        self.timeline = Timeline::default();
        self.counters = Counters::default();
        self.average = None;
        self.estimate = None;
    }

    /// Takes an answer of the source that arrived at `now`.
    pub fn observe(&mut self, now: Duration, observation: &Observation) {
        self.last_gap = match observation {
            Observation::Counters(series) => {
                self.counters.observe(now, series, &mut self.timeline);
                None
            }
            Observation::NoCounters { zero_until: Some(until) } => {
                self.counters.observe_new_callers(now, *until, &mut self.timeline);
                None
            }
            Observation::NoCounters { zero_until: None } => Some("empty"),
            Observation::Averages { at, window, rate, clusters } => {
                self.observe_average(now, *at, *window, *rate, clusters.as_ref());
                None
            }
            Observation::Unknown(kind) => Some(kind),
        };
        self.has_seen_requests |= self.timeline.end().is_some();
        self.update_estimate();
        if let Some(since) = self.since_new_sample(now) {
            self.known_until = now.saturating_sub(since);
        }
    }

    /// Estimates anew when the timeline has changed.
    fn update_estimate(&mut self) {
        let end = self.timeline.end();
        if self.estimate.map(|(until, _)| until) != end {
            let estimate = estimate::estimate(&self.timeline);
            self.estimate = end.zip(estimate);
        }
    }

    /// Counts an average once for each new sample behind it. Independent visitors are assumed,
    /// because an average does not show how the requests deviate.
    fn observe_average(
        &mut self,
        now: Duration,
        at: Duration,
        window: Duration,
        rate: f64,
        clusters: Option<&ClusterTraffic>,
    ) {
        let before = self.average.map(|(_, at)| at);
        if before.is_some_and(|before| at <= before) {
            return;
        }
        // After an outage, an average shows nothing of the time before its window.
        let reaches = window.max(self.average_distance).mul_f64(MAX_AVERAGE_REACH);
        let reaches = reaches.min(window * MAX_AVERAGE_DISTANCE);
        self.average_distance = before.map_or(Duration::ZERO, |before| at.saturating_sub(before));
        let before = before.filter(|before| at <= *before + reaches);
        self.average = Some((now, at));
        self.timeline.assume_independent_visitors();
        let from = before.unwrap_or_else(|| at.saturating_sub(window));
        let seconds = at.saturating_sub(from).as_secs_f64();
        let by_cluster = clusters.map_or(ClusterTraffic::default(), |clusters| {
            let total = clusters.total();
            if 0.0 < total { clusters.scaled(rate * seconds / total) } else { *clusters }
        });
        let mut requests = by_cluster;
        requests.unattributed.total += (rate * seconds - by_cluster.total()).max(0.0);
        self.timeline.push(Interval { from, to: at, requests, is_complete: true });
    }

    /// Measures the split, and learns which part of the requests the weights divide.
    pub(crate) fn observe_split(&mut self, shares: &Shares, in_force: Weights) {
        self.split = MeasuredSplit::new(&self.timeline, shares, in_force);
        if let Some(movable) = self.split.and_then(|split| split.movable_share()) {
            self.movable_share = movable;
        }
    }

    /// The split by the weights in force; `None` without requests.
    pub(crate) fn split(&self) -> Option<MeasuredSplit> {
        self.split
    }

    /// The share of the requests that the weights divide, 0.5 to 1, as far as it is known. The others go
    /// to primary, whatever the weights are.
    #[must_use]
    pub fn movable_share(&self) -> f64 {
        self.movable_share
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Why the rate is unknown; `None` if it is known.
    pub(crate) fn unknown_kind(&self, now: Duration) -> Option<&'static str> {
        let is_fresh = self.since_new_sample(now).is_some_and(|since| since <= self.stale_after());
        match self.last_gap {
            _ if is_fresh => None,
            Some(kind) => Some(kind),
            None => Some("stale"),
        }
    }

    /// Since when the rate has been unknown.
    pub(crate) fn unknown_since(&self) -> Duration {
        self.known_until
    }

    /// Whether nobody has sent a request yet, as far as the source shows.
    pub(crate) fn has_never_seen_requests(&self, kind: &str) -> bool {
        !self.has_seen_requests && ["empty", "not_asked", "too_young"].contains(&kind)
    }

    /// Without a new sample for this time, the rate is unknown.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.stale_after.unwrap_or_else(|| {
            self.timeline.scrape_interval().mul_f64(STALE_AFTER_SCRAPES) + STALE_MARGIN
        })
    }

    /// The intervals that begin at `time` or later, oldest first. Those of the last 15 minutes are kept.
    pub fn intervals_from(&self, time: Duration) -> impl Iterator<Item = CountedInterval> {
        self.timeline.since(time).map(|interval| CountedInterval {
            from: interval.from,
            to: interval.to,
            rate: interval.is_complete.then_some(interval.rate),
        })
    }

    /// The distance of the samples; `None` while it is unknown.
    #[must_use]
    pub fn scrape_interval(&self) -> Option<Duration> {
        self.timeline.typical_length()
    }

    /// How old the newest sample was when it arrived; `None` without a sample.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        let average = self.average.map(|(arrived, at)| arrived.saturating_sub(at));
        average.or_else(|| self.counters.lag())
    }

    /// How long ago the newest sample arrived; `None` without a sample.
    #[must_use]
    pub fn since_new_sample(&self, now: Duration) -> Option<Duration> {
        let average = self.average.map(|(arrived, _)| now.saturating_sub(arrived));
        average.or_else(|| self.counters.since_new_sample(now))
    }

    /// The requests of the last intervals that cover `length`, per second; `None` if there are none.
    #[must_use]
    pub fn recent(&self, length: Duration) -> Option<ClusterTraffic> {
        let (requests, seconds) = self.timeline.last(length)?;
        Some(requests.scaled(1.0 / seconds))
    }
}
