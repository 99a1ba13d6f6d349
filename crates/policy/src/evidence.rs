//! What counts prove: tests with a bounded rate of false alarms.
//!
//! A count of n requests, where μ are expected, has the Poisson divergence `n ln(n/μ) - n + μ`. By
//! Chernoff's bound, chance alone makes it larger than h with a probability of at most `e^-h`. For
//! counts with an index of dispersion D, the divergence is divided by D.

use std::time::Duration;

use crate::timeline::{Measured, Timeline};

/// The divergence from which on something is taken as proven: chance alone reaches it in one of a
/// million windows. At a scrape every [`PROOF_INTERVAL`] that is less than once a day.
pub(crate) const PROOF: f64 = 13.8;

/// The time between two tries for which [`PROOF`] holds.
const PROOF_INTERVAL: Duration = Duration::from_secs(5);

/// The Poisson divergence of a proof by the requests of a timeline, which grows with their index of
/// dispersion. More tries an hour must each prove more, so that there are no more false alarms.
fn proof(timeline: &Timeline) -> f64 {
    let tries = PROOF_INTERVAL.as_secs_f64() / timeline.scrape_interval().as_secs_f64();
    (PROOF + tries.max(1.0).ln()) * timeline.dispersion()
}

/// The divergence of one test in twenty, for what is expected anyway.
pub(crate) const LIKELY: f64 = 3.0;

/// The Poisson divergence of `count` from `expected`.
pub(crate) fn poisson_divergence(count: f64, expected: f64) -> f64 {
    if count <= 0.0 {
        return expected;
    }
    if expected <= 0.0 {
        return f64::MAX;
    }
    (count * (count / expected).ln() - count + expected).max(0.0)
}

/// Whether the Poisson divergence of `count` from `expected` is `needed` at least. Mostly that is clear without a
/// logarithm: with `count = (1 + u) * expected`, the divergence is at most `expected * u²`, and half of that if
/// u is positive.
pub(crate) fn diverges(count: f64, expected: f64, needed: f64) -> bool {
    let bound = (count - expected).powi(2) / if expected < count { 2.0 } else { 1.0 };
    needed * expected <= bound && needed <= poisson_divergence(count, expected)
}

/// The divergence of `failed` of `total` from the ratio `ratio`, which lies between 0 and 1.
pub(crate) fn binomial_divergence(failed: f64, total: f64, ratio: f64) -> f64 {
    if total <= 0.0 {
        return 0.0;
    }
    let actual = (failed / total).clamp(0.0, 1.0);
    let term = |actual: f64, expected: f64| {
        if actual <= 0.0 { 0.0 } else { actual * (actual / expected.max(1e-12)).ln() }
    };
    (total * (term(actual, ratio) + term(1.0 - actual, 1.0 - ratio))).max(0.0)
}

/// A rate that a window of the timeline proves to be above or below a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Proof {
    /// Requests per second in the window.
    pub(crate) rate: f64,
    /// The length of the window, in seconds.
    pub(crate) seconds: f64,
}

/// Proves that the rate is above a limit, from the shortest window that does.
///
/// The newest two intervals must be above the limit, too, so that the past alone proves nothing; or
/// the newest alone, if a rise in the one before corroborates it. One interval alone proves nothing:
/// see [`Suffix::without_lone_peak`].
pub(crate) fn prove_above(timeline: &Timeline, limit: f64) -> Option<Proof> {
    let needed = proof(timeline);
    let is_corroborated = || is_rise_corroborated(timeline);
    let newest = Suffix::of_intervals(timeline, 1)?.rate();
    let recent = Suffix::of_intervals(timeline, 2)?.rate();
    if newest <= limit || (recent <= limit && !is_corroborated()) {
        return None;
    }
    let proves = |count: f64, seconds: f64| {
        limit * seconds < count && diverges(count, limit * seconds, needed)
    };
    let mut suffix = Suffix::default();
    for interval in timeline.newest_first() {
        suffix.add(interval);
        if !proves(suffix.count, suffix.seconds) {
            continue;
        }
        let without_peak = suffix.without_lone_peak();
        let is_proven = 1 < suffix.intervals && proves(without_peak, suffix.seconds);
        if is_proven || is_corroborated() {
            return Some(Proof { rate: suffix.rate(), seconds: suffix.seconds });
        }
    }
    None
}

/// Proves that the rate is below a limit, from a window of `hold` at least.
///
/// All intervals of the window must be complete. Within `hold`, every [`CHUNK`] must be below the
/// limit, so that a rate that has only just fallen is not taken for one that has been low.
pub(crate) fn prove_below(timeline: &Timeline, limit: f64, hold: Duration) -> Option<Proof> {
    let hold = hold.as_secs_f64();
    let needed = proof(timeline);
    let (mut suffix, mut chunk) = (Suffix::default(), Suffix::default());
    for interval in timeline.newest_first().take_while(|interval| interval.is_complete) {
        let is_in_hold = suffix.intervals < 2 || suffix.seconds + 1e-9 < hold;
        suffix.add(interval);
        chunk.add(interval);
        if is_in_hold && CHUNK.as_secs_f64() <= chunk.seconds {
            if limit <= chunk.rate() {
                return None;
            }
            chunk = Suffix::default();
        }
        if suffix.intervals < 2 || suffix.seconds + 1e-9 < hold {
            continue;
        }
        let expected = limit * suffix.seconds;
        if suffix.count < expected && diverges(suffix.count, expected, needed) {
            return Some(Proof { rate: suffix.rate(), seconds: suffix.seconds });
        }
    }
    None
}

/// Proves that the mean rate is below a limit, from a window of `hold` at least, whose intervals are all
/// complete.
pub(crate) fn prove_mean_below(timeline: &Timeline, limit: f64, hold: Duration) -> bool {
    let needed = proof(timeline);
    let mut suffix = Suffix::default();
    for interval in timeline.newest_first().take_while(|interval| interval.is_complete) {
        suffix.add(interval);
        let expected = limit * suffix.seconds;
        // One interval alone may be one wrong sample.
        let is_long = 1 < suffix.intervals && hold.as_secs_f64() <= suffix.seconds + 1e-9;
        if is_long && suffix.count < expected && diverges(suffix.count, expected, needed) {
            return true;
        }
    }
    false
}

/// The parts of a hold that must each be below the limit: five seconds, but for some milliseconds by which
/// scrapes deviate.
const CHUNK: Duration = Duration::from_millis(4500);

/// Whether the newest two intervals both prove a rise above the time before. Then neither is a
/// single wrong sample.
pub(crate) fn is_rise_corroborated(timeline: &Timeline) -> bool {
    let mut intervals = timeline.newest_first();
    let newest: Vec<_> = intervals.by_ref().take(2).collect();
    let before = intervals.take(12).fold(Suffix::default(), |mut suffix, interval| {
        suffix.add(interval);
        suffix
    });
    let [newest, second] = newest[..] else { return false };
    let needed = proof(timeline);
    let is_rise = |interval: &Measured| {
        let expected = before.rate() * interval.seconds;
        let count = interval.count;
        expected < count && diverges(count, expected.max(1.0), needed)
    };
    1 < before.intervals && is_rise(newest) && is_rise(second)
}

/// The newest intervals, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Suffix {
    pub(crate) intervals: usize,
    pub(crate) seconds: f64,
    pub(crate) count: f64,
    /// The interval with the highest rate: its rate and its length.
    peak: (f64, f64),
    /// The second-highest rate.
    second_peak: f64,
}

impl Suffix {
    /// The newest `number` of intervals; `None` if there are fewer, or a gap is between them.
    pub(crate) fn of_intervals(timeline: &Timeline, number: usize) -> Option<Self> {
        let mut suffix = Self::default();
        timeline.newest_first().take(number).for_each(|interval| suffix.add(interval));
        (suffix.intervals == number).then_some(suffix)
    }

    pub(crate) fn add(&mut self, interval: &Measured) {
        let (rate, seconds) = (interval.rate, interval.seconds);
        self.intervals += 1;
        self.seconds += seconds;
        self.count += interval.count;
        if self.intervals == 1 || self.peak.0 < rate {
            self.second_peak = self.peak.0;
            self.peak = (rate, seconds);
        } else {
            self.second_peak = self.second_peak.max(rate);
        }
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        if 0.0 < self.seconds { self.count / self.seconds } else { 0.0 }
    }

    /// The count if the highest interval were only as high as the second-highest.
    pub(crate) fn without_lone_peak(&self) -> f64 {
        let (rate, seconds) = self.peak;
        (self.count - (rate - self.second_peak) * seconds).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterTraffic, timeline::Interval};

    fn timeline(length: f64, rates: &[f64]) -> Timeline {
        let mut timeline = Timeline::default();
        for (index, rate) in rates.iter().enumerate() {
            let at = |index: usize| Duration::from_secs_f64(length * index as f64);
            let mut requests = ClusterTraffic::default();
            requests.primary.total = rate * length;
            let (from, to) = (at(index), at(index + 1));
            timeline.push(Interval { from, to, requests, is_complete: true });
        }
        timeline
    }

    fn rates(parts: &[(usize, f64)]) -> Vec<f64> {
        parts.iter().flat_map(|(number, rate)| vec![*rate; *number]).collect()
    }

    #[test]
    fn two_intervals_of_even_load_prove_a_rise() {
        let is_above =
            |parts: &[(usize, f64)]| prove_above(&timeline(5.0, &rates(parts)), 15.0).is_some();
        assert!(is_above(&[(20, 5.0), (2, 20.0)]));
        assert!(is_above(&[(20, 5.0), (1, 14.0), (1, 20.0)]), "the first was cut by the rise");
        assert!(!is_above(&[(20, 5.0), (1, 20.0)]));
        assert!(is_above(&[(20, 5.0), (20, 16.0)]));
        assert!(!is_above(&[(20, 5.0), (100, 15.0)]));
        assert!(!is_above(&[(20, 40.0), (2, 5.0)]), "the past alone proves nothing");
    }

    #[test]
    fn one_sample_alone_proves_nothing() {
        for baseline in [1.0, 5.0, 8.0, 13.0, 14.9] {
            let mut parts = vec![(60, baseline), (1, 790.0)];
            assert_eq!(prove_above(&timeline(5.0, &rates(&parts)), 15.0), None, "{baseline}");
            parts.push((1, baseline));
            assert_eq!(prove_above(&timeline(5.0, &rates(&parts)), 15.0), None, "{baseline}");
        }
        assert_eq!(prove_above(&timeline(5.0, &[790.0]), 15.0), None);
        assert_eq!(prove_above(&timeline(5.0, &[5.0, 790.0]), 15.0), None);
    }

    #[test]
    fn low_is_proven_by_a_full_hold_only() {
        let is_below = |parts: &[(usize, f64)], hold: u64| {
            let timeline = timeline(5.0, &rates(parts));
            prove_below(&timeline, 10.0, Duration::from_secs(hold)).is_some()
        };
        assert!(is_below(&[(20, 20.0), (2, 5.0)], 10));
        assert!(!is_below(&[(20, 20.0), (1, 5.0)], 10));
        assert!(!is_below(&[(20, 20.0), (2, 5.0)], 15));
        assert!(!is_below(&[(20, 5.0), (2, 12.0)], 10), "the newest must be low, too");
        assert!(!is_below(&[(20, 20.0), (20, 10.0)], 10));
        assert!(is_below(&[(20, 20.0), (2, 0.0)], 0));
        let mut incomplete = timeline(5.0, &rates(&[(20, 20.0), (1, 5.0)]));
        let (from, to) = (Duration::from_secs(105), Duration::from_secs(110));
        let requests = ClusterTraffic::default();
        incomplete.push(Interval { from, to, requests, is_complete: false });
        assert_eq!(prove_below(&incomplete, 10.0, Duration::from_secs(10)), None);
    }

    #[test]
    fn a_divergence_is_reached_with_and_without_a_logarithm() {
        for count in 0..60 {
            for expected in 1..40 {
                for needed in [0.1, 1.0, 6.9, PROOF] {
                    let (count, expected) = (f64::from(count), f64::from(expected));
                    let divergence = poisson_divergence(count, expected);
                    assert_eq!(diverges(count, expected, needed), needed <= divergence);
                }
            }
        }
    }

    #[test]
    fn divergences_are_zero_where_nothing_deviates() {
        assert!(poisson_divergence(75.0, 75.0).abs() < 1e-9);
        assert_eq!(poisson_divergence(0.0, 3.0), 3.0);
        assert!(binomial_divergence(20.0, 100.0, 0.2).abs() < 1e-9);
        assert!((binomial_divergence(10.0, 10.0, 0.2) - 16.09).abs() < 0.01);
        assert_eq!(binomial_divergence(0.0, 0.0, 0.2), 0.0);
    }
}
