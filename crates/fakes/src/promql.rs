//! The part of PromQL that the watcher uses: sums of rates, the time of the newest sample, samples,
//! and counts.
//!
//! [`rate`] follows Prometheus 3 (`extrapolatedRate` in promql/functions.go). It takes the samples of a
//! range that is open on the left, and extrapolates them to the ends of the range. Where the series
//! seems to begin or end inside the range, it extrapolates by half the distance of the samples. It
//! never extrapolates below zero. The counters of the fakes never reset, so it does not handle resets.

use std::time::Duration;

use crate::request_counts::{METRIC, Series};

/// A sample: its time, since a start that the caller chooses, and the count.
pub type Sample = (Duration, u64);

/// A parsed expression.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// `sum by (labels) (rate(selector[range]))`; without labels `sum(rate(selector[range]))`.
    SumOfRate { by: Vec<String>, selector: Selector, range: Duration },
    /// `max(timestamp(selector))`
    Newest(Selector),
    /// `count(selector)`
    Count(Selector),
    /// `selector[range]`
    Samples { selector: Selector, range: Duration },
}

/// The labels that a series must have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selector(Vec<(String, String)>);

impl Expression {
    /// Parses an expression of one of these forms.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        Self::try_parse(query.trim()).ok_or_else(|| {
            format!(
                "accepted here: sum(rate({METRIC}{{label=\"value\",…}}[10s])), sum by (label) (rate(…)), \
                 max(timestamp({METRIC}{{…}})), count({METRIC}{{…}}) and {METRIC}{{…}}[10s], with equality only"
            )
        })
    }

    fn try_parse(query: &str) -> Option<Self> {
        if let Some(inner) = inside("max(timestamp(", query, "))") {
            return Selector::parse(inner).map(Self::Newest);
        }
        if let Some(inner) = inside("count(", query, ")") {
            return Selector::parse(inner).map(Self::Count);
        }
        if let Some(inner) = inside("sum(rate(", query, "))") {
            let (selector, range) = with_range(inner)?;
            return Some(Self::SumOfRate { by: Vec::new(), selector, range });
        }
        if let Some(inner) = inside("sum by (", query, ")") {
            let (labels, rate) = inner.split_once(')')?;
            let by = labels.split(',').map(|label| label.trim().to_owned()).collect();
            let (selector, range) = with_range(inside("(rate(", rate.trim(), ")")?)?;
            return Some(Self::SumOfRate { by, selector, range });
        }
        let (selector, range) = with_range(query)?;
        Some(Self::Samples { selector, range })
    }
}

impl Selector {
    fn parse(text: &str) -> Option<Self> {
        let labels = match text.trim().strip_prefix(METRIC)?.trim() {
            "" => "",
            labels => inside("{", labels, "}")?,
        };
        let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
        let matcher = |label: &str| {
            let (name, value) = label.split_once('=')?;
            // Anything else before the sign is another operator.
            let is_name = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            Some((is_name.then(|| name.to_owned())?, inside("\"", value, "\"")?.to_owned()))
        };
        labels.map(matcher).collect::<Option<_>>().map(Self)
    }

    /// Whether it selects a series. A missing label counts as empty.
    pub(crate) fn selects(&self, series: &Series) -> bool {
        self.0.iter().all(|(name, value)| series.label(name).unwrap_or_default() == *value)
    }
}

fn inside<'a>(open: &str, text: &'a str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

fn with_range(text: &str) -> Option<(Selector, Duration)> {
    let (selector, range) = text.strip_suffix(']')?.split_once('[')?;
    let seconds: u64 = match range.split_at_checked(range.len().checked_sub(1)?)? {
        (number, "s") => number.parse().ok()?,
        (number, "m") => number.parse::<u64>().ok()?.checked_mul(60)?,
        _ => return None,
    };
    (0 < seconds).then_some((Selector::parse(selector)?, Duration::from_secs(seconds)))
}

/// The rate of a counter over the range that ends at `now`, per second; `None` with fewer than two
/// samples in it.
#[must_use]
pub fn rate(samples: impl Iterator<Item = Sample>, now: Duration, range: Duration) -> Option<f64> {
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

    #[track_caller]
    fn parse_sum(query: &str) -> (Vec<String>, Selector, Duration) {
        match Expression::parse(query).unwrap() {
            Expression::SumOfRate { by, selector, range } => (by, selector, range),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parses_what_the_watcher_asks_and_nothing_it_would_answer_wrongly() {
        let query =
            "sum(rate(istio_requests_total{reporter=\"source\",response_code=\"200\"}[10s]))";
        let (by, selector, range) = parse_sum(query);
        assert_eq!((by.len(), range), (0, Duration::from_secs(10)));
        let series = |response_code| Series { cluster: Cluster::Burst, response_code };
        assert!(selector.selects(&series(200)));
        assert!(!selector.selects(&series(503)));
        let (.., range) = parse_sum("sum(rate(istio_requests_total[2m]))");
        assert_eq!(range.as_secs(), 120);

        let (by, ..) = parse_sum(
            "sum by (destination_cluster, response_code) (rate(istio_requests_total[30s]))",
        );
        assert_eq!(by, ["destination_cluster", "response_code"]);
        for query in [
            "max(timestamp(istio_requests_total{reporter=\"source\"}))",
            "count(istio_requests_total)",
            "istio_requests_total[5m]",
        ] {
            assert!(Expression::parse(query).is_ok(), "{query}");
        }

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
            "max(istio_requests_total)",
        ] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
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
