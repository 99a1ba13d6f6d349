//! The requests of the last minutes, interval by interval.

mod dispersion;

use std::{collections::VecDeque, ops::Deref, time::Duration};

use crate::{ClusterTraffic, Estimate, evidence::Proof};

/// The scrape interval that is assumed until it is known.
const USUAL_SCRAPE: Duration = Duration::from_secs(15);

/// How long intervals are kept. The longest window of a setting is 10 minutes, so that it fits.
pub(crate) const MEMORY: Duration = Duration::from_secs(15 * 60);

/// The number of intervals that are kept, so that ten a second fill [`MEMORY`].
const MAX_INTERVALS: usize = 10_000;

/// The typical length is the median of so many intervals.
const TYPICAL: usize = 15;

/// A longer interval is an outage, as far as the typical length goes; unless [`LONG_IN_A_ROW`] follow one another.
const LONG: Duration = Duration::from_secs(150);

/// After so many long intervals, the source is scraped as seldom.
const LONG_IN_A_ROW: usize = 4;

/// The index of dispersion is estimated anew when one in so many intervals is new: fewer change it little.
const NEW_FOR_AN_ESTIMATE: usize = 16;

/// The requests between two scrapes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) requests: ClusterTraffic,
    /// Whether these are all requests. If not, there were at least these.
    pub(crate) is_complete: bool,
}

impl Interval {
    pub(crate) fn seconds(&self) -> f64 {
        self.to.saturating_sub(self.from).as_secs_f64()
    }
}

/// An interval whose length and rate are computed once, because every window asks for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    interval: Interval,
    pub(crate) seconds: f64,
    pub(crate) count: f64,
    pub(crate) rate: f64,
}

impl Measured {
    fn new(interval: Interval) -> Self {
        let (seconds, count) = (interval.seconds(), interval.requests.total());
        Self { interval, seconds, count, rate: count / seconds }
    }
}

impl Deref for Measured {
    type Target = Interval;

    fn deref(&self) -> &Interval {
        &self.interval
    }
}

/// The intervals, oldest first. Where one does not begin at the end of the one before, there is a gap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    intervals: VecDeque<Measured>,
    /// Whether the counts cannot show their dispersion.
    has_unknown_dispersion: bool,
    /// The index of dispersion of the present intervals; `None` without an interval.
    dispersion: Option<f64>,
    /// Since when the intervals have been complete, without a gap; `None` if the last one is not.
    complete_since: Option<Duration>,
    /// The median length of the last intervals; `None` with fewer than two.
    typical_length: Option<Duration>,
    /// How many of the newest intervals are longer than [`LONG`].
    long_in_a_row: usize,
    /// The end of the last interval with a failure, or with requests to no known cluster.
    last_failure: Option<Duration>,
    /// The number of intervals since the last estimate of it.
    pushed_since_estimate: usize,
}

impl Timeline {
    /// Adds an interval after all others.
    pub(crate) fn push(&mut self, interval: Interval) {
        if interval.to <= interval.from || self.end().is_some_and(|end| interval.from < end) {
            return;
        }
        let is_next = self.end() == Some(interval.from);
        let since = self.complete_since.filter(|_| is_next).unwrap_or(interval.from);
        self.complete_since = interval.is_complete.then_some(since);
        if interval.requests.has_failures() {
            self.last_failure = Some(interval.to);
        }
        self.intervals.push_back(Measured::new(interval));
        let start = interval.to.saturating_sub(MEMORY);
        while self.intervals.front().is_some_and(|first| first.to <= start)
            || MAX_INTERVALS < self.intervals.len()
        {
            self.intervals.pop_front();
        }
        let is_long = LONG < interval.to.saturating_sub(interval.from);
        self.long_in_a_row = if is_long { self.long_in_a_row + 1 } else { 0 };
        self.typical_length = self.measure_typical_length();
        self.pushed_since_estimate += 1;
        if self.dispersion.is_none()
            || self.intervals.len() < self.pushed_since_estimate * NEW_FOR_AN_ESTIMATE
        {
            self.pushed_since_estimate = 0;
            self.dispersion = Some(dispersion::estimate(&self.intervals));
        }
    }

    /// From now on, the counts do not show their dispersion: it is 1.
    pub(crate) fn assume_independent_visitors(&mut self) {
        self.has_unknown_dispersion = true;
    }

    /// An estimate from the window of a proof.
    pub(crate) fn estimate_of(&self, Proof { rate, seconds }: Proof) -> Estimate {
        let deviation = (self.dispersion() * rate / seconds).sqrt();
        Estimate { rate, deviation, seconds }
    }

    /// Since when all requests are known, without a gap; `None` without an interval.
    pub(crate) fn known_since(&self) -> Option<Duration> {
        let oldest = self.intervals.front()?.from;
        self.complete_since.map(|since| since.max(oldest))
    }

    /// Forgets all intervals.
    pub(crate) fn clear(&mut self) {
        self.intervals.clear();
        self.dispersion = None;
        self.typical_length = None;
        self.long_in_a_row = 0;
        self.complete_since = None;
    }

    /// The end of the last interval in which a request failed, or was of no known cluster.
    pub(crate) fn last_failure(&self) -> Option<Duration> {
        self.last_failure
    }

    /// The end of the last interval.
    pub(crate) fn end(&self) -> Option<Duration> {
        self.intervals.back().map(|interval| interval.to)
    }

    /// The intervals from the newest back to the first gap.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Measured> {
        let mut begins = None;
        self.intervals.iter().rev().take_while(move |interval| {
            let is_next = begins.is_none_or(|begins| interval.to == begins);
            begins = Some(interval.from);
            is_next
        })
    }

    /// All intervals from the newest back, over gaps.
    pub(crate) fn all_newest_first(&self) -> impl Iterator<Item = &Measured> {
        self.intervals.iter().rev()
    }

    /// The intervals that begin at `time` or later, oldest first, over gaps.
    pub(crate) fn since(&self, time: Duration) -> impl Iterator<Item = &Measured> {
        let first = self.intervals.partition_point(|interval| interval.from < time);
        self.intervals.range(first..)
    }

    /// The median length of the last intervals; `None` with fewer than two.
    pub(crate) fn typical_length(&self) -> Option<Duration> {
        self.typical_length
    }

    fn measure_typical_length(&self) -> Option<Duration> {
        let mut lengths = [Duration::ZERO; TYPICAL];
        let newest = self.intervals.iter().rev();
        let mut count = 0;
        for (length, interval) in lengths.iter_mut().zip(newest) {
            *length = interval.to.saturating_sub(interval.from);
            count += 1;
        }
        let lengths = &mut lengths[..count];
        lengths.sort_unstable();
        let short = lengths.partition_point(|length| *length <= LONG);
        let known = self.typical_length.filter(|known| *known <= LONG);
        match short {
            0 | 1 if known.is_some() && self.long_in_a_row < LONG_IN_A_ROW => known,
            // Of two, the shorter one: after a long outage, the other is the outage.
            0 | 1 => (1 < count).then(|| lengths[(count - 1) / 2]),
            _ => Some(lengths[(short - 1) / 2]),
        }
    }

    /// The distance of the scrapes, or the usual one until it is known.
    pub(crate) fn scrape_interval(&self) -> Duration {
        self.typical_length().unwrap_or(USUAL_SCRAPE)
    }

    /// The requests of the last intervals that cover `length` at least, and the time that they
    /// cover; `None` if there are none. It does not look over a gap.
    pub(crate) fn last(&self, length: Duration) -> Option<(ClusterTraffic, f64)> {
        let (mut requests, mut seconds) = (ClusterTraffic::default(), 0.0);
        for interval in self.newest_first() {
            requests.add_scaled(&interval.requests, 1.0);
            seconds += interval.seconds;
            if length.as_secs_f64() <= seconds + 1e-9 {
                break;
            }
        }
        (0.0 < seconds).then_some((requests, seconds))
    }

    /// The index of dispersion of the counts: the variance of a count by its mean. It is near 0 for
    /// evenly paced requests, near 1 for independent visitors, and larger for bursts.
    pub(crate) fn dispersion(&self) -> f64 {
        if self.has_unknown_dispersion { 1.0 } else { self.dispersion.unwrap_or(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(counts: impl IntoIterator<Item = f64>) -> Timeline {
        let mut timeline = Timeline::default();
        for (index, count) in counts.into_iter().enumerate() {
            let at = |index: usize| Duration::from_secs(5 * index as u64);
            let mut requests = ClusterTraffic::default();
            requests.primary.total = count;
            let (from, to) = (at(index), at(index + 1));
            timeline.push(Interval { from, to, requests, is_complete: true });
        }
        timeline
    }

    #[test]
    fn dispersion_tells_even_load_from_independent_visitors() {
        let even = timeline((0..100).map(|index| 70.0 + f64::from(index % 2)));
        assert!(even.dispersion() < 0.1, "{}", even.dispersion());
        let step = timeline((0..100).map(|index| if index < 97 { 25.0 } else { 100.0 }));
        assert!(step.dispersion() < 0.1, "a step is no noise: {}", step.dispersion());
        let tried = |index: usize| [25.0, 25.0, 25.0, 60.0, 100.0, 100.0, 100.0, 50.0][index % 8];
        let tried = timeline((0..100).map(tried));
        assert!(tried.dispersion() <= 0.5, "rates that somebody tries: {}", tried.dispersion());
        let idle = [0.0, 0.0, 0.0, 0.0, 0.0, 6.0, 81.0, 100.0, 100.0];
        let first = timeline(idle);
        assert!(
            first.dispersion() < 0.6,
            "the first load after an idle time: {}",
            first.dispersion()
        );
        // Sums of coin flips have half the variance of independent visitors: 140 of them, half heads.
        let mut state = 1_u32;
        let mut flips = || {
            (0..140).fold(0.0, |sum, _| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sum + f64::from(state >> 31)
            })
        };
        let noisy = timeline((0..150).map(|_| flips()));
        assert!((0.35..1.0).contains(&noisy.dispersion()), "{}", noisy.dispersion());
        assert_eq!(Timeline::default().dispersion(), 1.0, "independent visitors are assumed");
    }

    #[test]
    fn windows_end_at_a_gap() {
        let mut timeline = timeline([10.0, 20.0]);
        let (from, to) = (Duration::from_secs(60), Duration::from_secs(65));
        let requests = ClusterTraffic::default();
        timeline.push(Interval { from, to, requests, is_complete: true });
        assert_eq!(timeline.newest_first().count(), 1);
        assert_eq!(timeline.all_newest_first().count(), 3);
        assert_eq!(timeline.last(Duration::from_secs(30)).unwrap().1, 5.0);
        timeline.push(Interval { from, to, requests, is_complete: true });
        assert_eq!(timeline.all_newest_first().count(), 3, "an interval is counted once");
    }
}
