//! Estimates the present rate, and how far chance may have moved the estimate.

use std::time::Duration;

use crate::{
    evidence::{Suffix, diverges, is_rise_corroborated, poisson_divergence},
    timeline::Timeline,
};

/// The shortest window of an estimate.
const MIN_WINDOW: Duration = Duration::from_secs(5);

/// The fewest intervals of a window.
const MIN_INTERVALS: usize = 3;

/// The number of independent requests that a window should hold: their count deviates by 6 percent. More
/// make spill later, and fewer make it send more to burst than it must (docs/policies.md has the days).
const WANTED_REQUESTS: f64 = 300.0;

/// The divergence from which on the newest intervals count as a new rate. A wrong guess costs a write,
/// so this is less than a proof: one in a thousand.
const CHANGE: f64 = 6.9;

/// An estimate of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Requests per second.
    pub rate: f64,
    /// One standard deviation of the rate.
    pub deviation: f64,
    /// The length of the window, in seconds.
    pub seconds: f64,
}

/// Estimates the rate at the end of a timeline; `None` without an interval.
///
/// The window is as long as it takes for [`WANTED_REQUESTS`]: few requests are little evidence. If
/// newer intervals show another rate, only they count.
pub(crate) fn estimate(timeline: &Timeline) -> Option<Estimate> {
    let dispersion = timeline.dispersion();
    // Mostly they fit, so that nothing is moved.
    let mut suffixes = Vec::with_capacity(64);
    let mut suffix = Suffix::default();
    for interval in timeline.newest_first() {
        suffix.add(interval);
        suffixes.push(suffix);
        let is_long =
            MIN_WINDOW.as_secs_f64() <= suffix.seconds + 1e-9 && MIN_INTERVALS <= suffix.intervals;
        if is_long && WANTED_REQUESTS * dispersion <= suffix.count {
            break;
        }
    }
    let window = *suffixes.last()?;
    let least_intervals = if is_rise_corroborated(timeline) { 1 } else { 2 };
    let newer = suffixes.iter().filter(|newer| least_intervals <= newer.intervals);
    let with_divergence = newer.filter_map(|newer| {
        let older = (window.count - newer.count) / (window.seconds - newer.seconds);
        let expected = older * newer.seconds;
        if !older.is_finite() {
            return None;
        }
        // One interval alone is no new rate.
        let is_fall = newer.count < expected;
        let is_lone = least_intervals < 2 && newer.intervals == 1;
        let count = if is_fall || is_lone { newer.count } else { newer.without_lone_peak() };
        let is_new = diverges(count, expected.max(1.0), CHANGE * dispersion)
            && (count < expected) == (newer.count < expected);
        is_new.then(|| (newer, poisson_divergence(count, expected.max(1.0))))
    });
    let newest = with_divergence.max_by(|(_, one), (_, other)| one.total_cmp(other));
    let chosen = newest.map_or(window, |(newer, _)| *newer);
    // A lone peak in a short window must not move everything.
    let count = match chosen.intervals {
        1 => chosen.count,
        _ if chosen.count > 2.0 * chosen.without_lone_peak().max(1.0) => chosen.without_lone_peak(),
        _ => chosen.count,
    };
    Some(Estimate {
        rate: count / chosen.seconds,
        deviation: (dispersion * count).sqrt() / chosen.seconds,
        seconds: chosen.seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterTraffic, timeline::Interval};

    fn estimate_of(parts: &[(usize, f64)]) -> Estimate {
        let mut timeline = Timeline::default();
        let mut from = Duration::ZERO;
        for (number, rate) in parts {
            for _ in 0..*number {
                let to = from + Duration::from_secs(5);
                let mut requests = ClusterTraffic::default();
                requests.primary.total = rate * 5.0;
                timeline.push(Interval { from, to, requests, is_complete: true });
                from = to;
            }
        }
        estimate(&timeline).unwrap()
    }

    #[test]
    fn a_new_rate_counts_alone_and_a_lone_peak_does_not() {
        assert_eq!(estimate_of(&[(40, 14.0)]).rate, 14.0);
        assert_eq!(estimate_of(&[(40, 5.0), (2, 20.0)]).rate, 20.0);
        assert_eq!(estimate_of(&[(40, 20.0), (2, 5.0)]).rate, 5.0);
        let peak = estimate_of(&[(40, 5.0), (1, 790.0)]).rate;
        assert!(peak < 10.0, "{peak}");
        let peak = estimate_of(&[(40, 5.0), (1, 790.0), (1, 5.0)]).rate;
        assert!(peak < 10.0, "{peak}");
    }

    #[test]
    fn few_requests_are_averaged_over_a_longer_time() {
        assert!(estimate_of(&[(40, 14.0)]).seconds < 30.0);
        assert!(estimate_of(&[(170, 0.2)]).seconds >= 15.0);
        let few = estimate_of(&[(60, 1.0), (60, 1.8), (50, 1.4)]);
        assert!(few.deviation < 0.4, "{few:?}");
    }
}
