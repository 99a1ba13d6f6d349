//! The one form of expression that the local Prometheus answers: `sum(rate(metric{labels}[range]))`.
//!
//! The rate is computed as Prometheus 3 does it: from the samples in a range that is open on the left,
//! extrapolated to the ends of the range, but not by more than half a sample's distance where the
//! series seems to begin or end there, and not below zero (`extrapolatedRate` in
//! promql/functions.go). Counters here never start anew, so there are no resets to add.

use std::time::Duration;

use crate::telemetry::{METRIC, Series};

/// A sample: when, since a start of the caller's choosing, and what.
pub(crate) type Sample = (Duration, u64);

/// A parsed expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SumOfRate {
    matchers: Vec<(String, String)>,
    pub(crate) range: Duration,
}

impl SumOfRate {
    /// Parses an expression of that form.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        Self::try_parse(query).ok_or_else(|| {
            format!(
                "accepted here: sum(rate({METRIC}{{label=\"value\",…}}[10s])), with equality only"
            )
        })
    }

    fn try_parse(query: &str) -> Option<Self> {
        let inner = query.trim().strip_prefix("sum(rate(")?.strip_suffix("))")?.trim();
        let (selector, range) = inner.strip_suffix(']')?.split_once('[')?;
        let labels = selector.strip_prefix(METRIC)?;
        let labels = match labels {
            "" => "",
            labels => labels.strip_prefix('{')?.strip_suffix('}')?,
        };
        let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
        let matchers = labels.map(|label| {
            let (name, value) = label.split_once('=')?;
            // Anything else before the sign is another operator.
            let is_name = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            let name = is_name.then_some(name)?;
            Some((name.to_owned(), value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
        });
        let seconds: u64 = match range.split_at_checked(range.len().checked_sub(1)?)? {
            (number, "s") => number.parse().ok()?,
            (number, "m") => number.parse::<u64>().ok()?.checked_mul(60)?,
            _ => return None,
        };
        let range = Duration::from_secs(seconds);
        (!range.is_zero()).then_some(Self { matchers: matchers.collect::<Option<_>>()?, range })
    }

    /// Whether a series is selected. A label that a series lacks is as if it were empty.
    pub(crate) fn selects(&self, series: &Series) -> bool {
        self.matchers.iter().all(|(name, value)| series.label(name).unwrap_or_default() == *value)
    }
}

/// The rate of a counter over the range that ends at `now`, per second; `None` with fewer than two
/// samples in it.
pub(crate) fn rate(
    samples: impl Iterator<Item = Sample>,
    now: Duration,
    range: Duration,
) -> Option<f64> {
    let start = now.checked_sub(range);
    let inside = |at: Duration| start.is_none_or(|start| start < at) && at <= now;
    let samples: Vec<_> = samples.filter(|(at, _)| inside(*at)).collect();
    let ((first_at, first), (last_at, last)) = (*samples.first()?, *samples.last()?);
    let (sampled, range) = ((last_at.checked_sub(first_at)?).as_secs_f64(), range.as_secs_f64());
    if sampled == 0.0 {
        return None;
    }
    let increase = last.saturating_sub(first) as f64;
    let distance = sampled / (samples.len() - 1) as f64;
    let to_end = (now - last_at).as_secs_f64();
    let mut to_start = range - to_end - sampled;
    if 0.0 < increase {
        // The counter cannot have been below zero: that is where the extrapolation ends.
        to_start = to_start.min(sampled * first as f64 / increase);
    }
    let limited = |gap: f64| if gap < distance * 1.1 { gap } else { distance / 2.0 };
    let factor = (sampled + limited(to_start) + limited(to_end)) / sampled;
    Some(increase * factor / range)
}

#[cfg(test)]
mod tests {
    use contract::Cluster;

    use super::*;

    #[test]
    fn parses_the_watchers_query_and_nothing_it_would_answer_wrongly() {
        let query =
            "sum(rate(istio_requests_total{reporter=\"source\",response_code=\"200\"}[10s]))";
        let expression = SumOfRate::parse(query).unwrap();
        assert_eq!(expression.range, Duration::from_secs(10));
        let series = |response_code| Series { cluster: Cluster::Burst, response_code };
        assert!(expression.selects(&series(200)));
        assert!(!expression.selects(&series(503)));
        assert_eq!(
            SumOfRate::parse("sum(rate(istio_requests_total[2m]))").unwrap().range.as_secs(),
            120
        );

        let watchers = SumOfRate::parse(watcher::DEFAULT_QUERY).unwrap();
        assert!(watchers.selects(&series(200)) && watchers.selects(&series(503)));

        for wrong in [
            "",
            "1",
            "rate(istio_requests_total[10s])",
            "sum(rate(istio_requests_total{a!=\"b\"}[10s]))",
            "sum(rate(istio_requests_total{a=~\"b\"}[10s]))",
            "sum(rate(istio_requests_total[0s]))",
            "sum(rate(istio_requests_total[10]))",
            "sum(rate(other_total[10s]))",
            "sum(rate(istio_requests_total[10s])) by (x)",
        ] {
            assert!(SumOfRate::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[track_caller]
    fn check(samples: &[(f64, u64)], now: f64, expected: Option<f64>) {
        let samples = samples.iter().map(|(at, count)| (seconds(*at), *count));
        let actual = rate(samples, seconds(now), Duration::from_secs(10));
        let close = match (actual, expected) {
            (Some(actual), Some(expected)) => (actual - expected).abs() < 1e-9,
            (actual, expected) => actual == expected,
        };
        assert!(close, "{actual:?} instead of {expected:?}");
    }

    #[test]
    fn rates_are_those_of_prometheus() {
        check(&[], 10.0, None);
        check(&[(5.0, 100)], 10.0, None);
        // Ten samples a second apart, up to now: 9 s hold 180, and a tenth is extrapolated.
        let steady: Vec<_> =
            (1..=30).map(|second| (f64::from(second), 20 * second as u64)).collect();
        check(&steady, 30.0, Some(20.0));
        // A sample on the left end of the range is outside of it.
        check(&[(20.0, 0), (30.0, 100)], 30.0, None);
        // A series that began 2 s ago, far from the start of the range: half a second is added there,
        // and none at all if it began at zero.
        check(&[(28.0, 100), (29.0, 120), (30.0, 140)], 30.0, Some(40.0 * 2.5 / 2.0 / 10.0));
        check(&[(28.0, 0), (29.0, 20), (30.0, 40)], 30.0, Some(4.0));
        // One that ended 3 s ago.
        check(
            &[(24.0, 100), (25.0, 120), (26.0, 140), (27.0, 160)],
            30.0,
            Some(60.0 * 4.0 / 3.0 / 10.0),
        );
    }
}
