//! Checks the watcher's own query against the server: the mistakes that leave it blind are made there.

use std::{fmt, time::Duration};

use super::{Answer, Prometheus, Unknown, answer::Samples};
use crate::promql::{RangeSelector, range_selectors};

/// Over how long it looks for samples, as PromQL says it and as a time: five of the slowest usual scrapes.
const LOOK_BACK: &str = "5m";
const LOOK_BACK_SECONDS: f64 = 300.0;

/// What is wrong with the query, and what to change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Nothing: so many samples are in the range.
    Fine { samples: u32, range: Duration },
    /// `QUERY` has no selector with a range, so that nothing can be checked.
    NoRange,
    /// `reporter="destination"` is asked for.
    ReporterIsDestination,
    /// No reporter is asked for.
    NoReporter,
    /// There is no series of that metric.
    NoMetric { metric: String },
    /// There are series of the metric, but none with these labels.
    NoSuchLabels { metric: String },
    /// Two samples have not been seen of any series yet.
    TooYoung,
    /// The range holds fewer than two samples.
    RangeTooShort { range: Duration, scrape: Duration },
    /// The range holds two samples, so that one missed scrape empties it.
    RangeTight { range: Duration, scrape: Duration },
    /// Prometheus did not say.
    NotChecked { why: String },
}

impl Finding {
    /// Its name, as the metric and the status have it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fine { .. } => "fine",
            Self::NoRange => "no_range",
            Self::ReporterIsDestination => "reporter_is_destination",
            Self::NoReporter => "no_reporter",
            Self::NoMetric { .. } => "no_metric",
            Self::NoSuchLabels { .. } => "no_such_labels",
            Self::TooYoung => "too_young",
            Self::RangeTooShort { .. } => "range_too_short",
            Self::RangeTight { .. } => "range_tight",
            Self::NotChecked { .. } => "not_checked",
        }
    }

    /// Whether there may be more to say as soon as there is traffic, or Prometheus answers.
    pub(crate) fn is_preliminary(&self) -> bool {
        let absent = matches!(self, Self::NoMetric { .. } | Self::NoSuchLabels { .. });
        absent || matches!(self, Self::TooYoung | Self::NotChecked { .. })
    }

    /// Whether there is something to be changed.
    pub(crate) fn is_problem(&self) -> bool {
        !matches!(self, Self::Fine { .. } | Self::TooYoung | Self::NoMetric { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine { samples, range } => {
                write!(f, "QUERY is fine: its {range:?} hold {samples} samples")
            }
            Self::NoRange => f.write_str(
                "QUERY shows no selector with a range, so that it cannot be checked; WINDOW says over how long it averages",
            ),
            Self::ReporterIsDestination => f.write_str(
                "QUERY asks for reporter=\"destination\": that goes blind once the traffic has left primary; ask for reporter=\"source\"",
            ),
            Self::NoReporter => f.write_str(
                "QUERY asks for no reporter: what stays in primary is counted twice; ask for reporter=\"source\"",
            ),
            Self::NoMetric { metric } => write!(
                f,
                "QUERY: there is no series of {metric} yet; if there is traffic, see whether the sidecars are scraped"
            ),
            Self::NoSuchLabels { metric } => write!(
                f,
                "QUERY: there are series of {metric}, but none with these labels; if there is traffic, compare the labels"
            ),
            Self::TooYoung => {
                write!(f, "QUERY: no series has two samples within {LOOK_BACK} yet")
            }
            Self::RangeTooShort { range, scrape } => write!(
                f,
                "QUERY: rate() needs two samples, and its range of {range:?} holds fewer at a scrape every {scrape:?}; use a range of {:?} or more, or scrape more often",
                *scrape * 4
            ),
            Self::RangeTight { range, scrape } => write!(
                f,
                "QUERY: its range of {range:?} holds only two samples at a scrape every {scrape:?}: one that is missed leaves the rate unknown; use {:?} or more",
                *scrape * 4
            ),
            Self::NotChecked { why } => write!(f, "QUERY could not be checked: {why}"),
        }
    }
}

impl Prometheus {
    /// Checks the query.
    pub(crate) async fn check(&self) -> Finding {
        let selectors = range_selectors(&self.settings.query);
        let Some(first) = selectors.first() else { return Finding::NoRange };
        if let Some(finding) = selectors.iter().find_map(reporter) {
            return finding;
        }
        match self.samples(&format!("{}[{LOOK_BACK}]", first.selector)).await {
            Err(unknown) => Finding::NotChecked { why: unknown.to_string() },
            Ok(samples) if samples.is_empty() => self.why_absent(first).await,
            Ok(samples) => judge(samples, first.range),
        }
    }

    async fn why_absent(&self, selector: &RangeSelector) -> Finding {
        let metric = selector.selector.split('{').next().unwrap_or_default().trim().to_owned();
        let absent = Finding::NoMetric { metric: metric.clone() };
        if metric.is_empty() || metric == selector.selector {
            return absent;
        }
        match self.ask(&format!("count({metric})")).await.and_then(|vector| vector.rate()) {
            Ok(_) => Finding::NoSuchLabels { metric },
            Err(Unknown::Empty) => absent,
            Err(unknown) => Finding::NotChecked { why: unknown.to_string() },
        }
    }

    async fn samples(&self, query: &str) -> Result<Samples, Unknown> {
        Answer::parse(&self.get(query).await?)?.samples()
    }
}

/// What is wrong with the reporter that is asked for; only Istio's own metrics have one.
fn reporter(selector: &RangeSelector) -> Option<Finding> {
    let text: String = selector.selector.chars().filter(|it| !it.is_whitespace()).collect();
    if !text.starts_with("istio_requests_total") && !text.contains("\"istio_requests_total\"") {
        return None;
    }
    let text = text.replace('\'', "\"");
    if text.contains("reporter=\"destination\"") {
        Some(Finding::ReporterIsDestination)
    } else if text.contains("reporter=") || text.contains("reporter!") {
        None
    } else {
        Some(Finding::NoReporter)
    }
}

fn judge(samples: Samples, range: Duration) -> Finding {
    let mut gaps: Vec<f64> = samples
        .iter()
        .flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]))
        .filter(|gap| 0.0 < *gap && *gap <= LOOK_BACK_SECONDS)
        .collect();
    gaps.sort_by(f64::total_cmp);
    let Some(gap) = gaps.get(gaps.len() / 2) else { return Finding::TooYoung };
    // A scrape comes some milliseconds early or late.
    let scrape = Duration::from_secs_f64((gap * 10.0).round().max(1.0) / 10.0);
    match (range.as_secs_f64() / scrape.as_secs_f64()).floor() as u32 {
        0 | 1 => Finding::RangeTooShort { range, scrape },
        2 => Finding::RangeTight { range, scrape },
        samples => Finding::Fine { samples, range },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scrape: f64, range: u64, expected: &str) {
        let times = (0..20_u32).map(|n| 1000.0 + f64::from(n) * scrape + f64::from(n % 3) * 0.01);
        let finding = judge(vec![times.collect(), vec![5.0]], Duration::from_secs(range));
        assert_eq!(finding.name(), expected, "{finding}");
    }

    #[test]
    fn a_range_must_hold_two_samples() {
        check(15.0, 15, "range_too_short");
        check(15.0, 29, "range_too_short");
        check(15.0, 30, "range_tight");
        check(15.0, 60, "fine");
        check(5.0, 15, "fine");
        check(5.0, 30, "fine");
        check(0.05, 10, "fine");
        assert_eq!(judge(vec![vec![0.0, 1e300]], Duration::from_secs(30)), Finding::TooYoung);
        assert_eq!(judge(vec![vec![1.0]], Duration::from_secs(30)), Finding::TooYoung);
        let text = judge(vec![vec![0.0, 15.0, 30.0]], Duration::from_secs(15)).to_string();
        assert!(text.contains("a range of 60s or more"), "{text}");
    }

    #[test]
    fn the_reporter_is_the_source() {
        let check = |selector: &str, expected: Option<&str>| {
            let selector =
                RangeSelector { selector: selector.to_owned(), range: Duration::from_secs(30) };
            assert_eq!(reporter(&selector).map(|it| it.name()), expected, "{selector:?}");
        };
        check("istio_requests_total{reporter=\"source\"}", None);
        check("istio_requests_total{reporter = 'source'}", None);
        check("istio_requests_total{reporter=\"destination\"}", Some("reporter_is_destination"));
        check("istio_requests_total{app=\"a\"}", Some("no_reporter"));
        check("istio_requests_total", Some("no_reporter"));
        check("{__name__=\"istio_requests_total\"}", Some("no_reporter"));
        check("http_requests_total{app=\"a\"}", None);
    }
}
