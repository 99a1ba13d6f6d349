//! What a check of the query found, in words and as a name in the metric.

use std::{fmt, time::Duration};

use super::FIRST_RANGE;

/// The result of a check: what is wrong, and what to change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// Nothing is wrong: so many series have a sample every so often.
    Fine { series: usize, scrape: Duration },
    /// Nothing is wrong with `QUERY`: its range holds so many samples.
    FineQuery { samples: u32, range: Duration },
    /// `QUERY` has no selector with a range, so the check cannot examine it.
    NoRange,
    /// The selector has `reporter="destination"`.
    ReporterIsDestination,
    /// The selector has no reporter.
    NoReporter,
    /// Prometheus has no series of the metric.
    NoMetric { metric: String },
    /// Prometheus has series of the metric, but none with these labels.
    NoSuchLabels { metric: String },
    /// No series has two samples yet.
    TooYoung,
    /// The range of `QUERY` holds fewer than two samples.
    RangeTooShort { range: Duration, scrape: Duration },
    /// The range of `QUERY` holds two samples, so one missed scrape leaves the rate unknown.
    RangeTight { range: Duration, scrape: Duration },
    /// Requests went to clusters that the settings do not name.
    UnknownClusters { names: Vec<String> },
    /// Two targets count the same requests.
    ScrapedTwice { targets: String },
    /// `UP_SERIES` has none of the callers that have counted requests, or matches nothing at all.
    UpOfOthers { is_absent: bool },
    /// Prometheus did not answer.
    NotChecked { why: String },
    /// With `SOURCE=callers`: nothing is wrong.
    FineCallers,
    /// With `SOURCE=callers`: no caller has counted a request that the selector matches.
    NothingCounted,
    /// With `SOURCE=callers`: some callers or all cannot be read.
    CallersNotRead { why: String },
}

impl Finding {
    /// The name of the finding in the metric.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fine { .. } | Self::FineQuery { .. } | Self::FineCallers => "fine",
            Self::NoRange => "no_range",
            Self::ReporterIsDestination => "reporter_is_destination",
            Self::NoReporter => "no_reporter",
            Self::NoMetric { .. } => "no_metric",
            Self::NoSuchLabels { .. } => "no_such_labels",
            Self::TooYoung => "too_young",
            Self::RangeTooShort { .. } => "range_too_short",
            Self::RangeTight { .. } => "range_tight",
            Self::UnknownClusters { .. } => "unknown_clusters",
            Self::ScrapedTwice { .. } => "scraped_twice",
            Self::UpOfOthers { .. } => "up_of_others",
            Self::NotChecked { .. } => "not_checked",
            Self::NothingCounted => "nothing_counted",
            Self::CallersNotRead { .. } => "callers_not_read",
        }
    }

    /// Whether a check after the first traffic may find more.
    pub(crate) fn is_preliminary(&self) -> bool {
        let absent = matches!(self, Self::NoMetric { .. } | Self::NoSuchLabels { .. });
        absent || matches!(self, Self::TooYoung | Self::NotChecked { .. })
    }

    /// Whether an operator should change something.
    pub(crate) fn is_problem(&self) -> bool {
        self.name() != "fine"
            && !matches!(self, Self::TooYoung | Self::NoMetric { .. } | Self::NothingCounted)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine { series, scrape } => {
                write!(f, "SERIES is fine: {series} series with a sample every {scrape:?}")
            }
            Self::FineQuery { samples, range } => {
                write!(f, "QUERY is fine: its {range:?} hold {samples} samples")
            }
            Self::NoRange => f.write_str(
                "QUERY has no selector with a range, so the watcher cannot check it; WINDOW says over how long it averages",
            ),
            Self::ReporterIsDestination => f.write_str(
                "the selector has reporter=\"destination\", which does not see traffic that has left primary; select reporter=\"source\"",
            ),
            Self::NoReporter => f.write_str(
                "the selector has no reporter, so it counts requests within primary twice; select reporter=\"source\"",
            ),
            Self::NoMetric { metric } => write!(
                f,
                "Prometheus has no series of {metric} yet; if there is traffic, check that Prometheus scrapes the callers"
            ),
            Self::NoSuchLabels { metric } => write!(
                f,
                "Prometheus has series of {metric}, but none with these labels; if there is traffic, compare the labels"
            ),
            Self::TooYoung => write!(f, "no series has two samples within {FIRST_RANGE} yet"),
            Self::RangeTooShort { range, scrape } => write!(
                f,
                "QUERY: rate() needs two samples, and its range of {range:?} holds fewer at a scrape every {scrape:?}; use a range of {:?} or more, or scrape more often",
                *scrape * 4
            ),
            Self::RangeTight { range, scrape } => write!(
                f,
                "QUERY: its range of {range:?} holds only two samples at a scrape every {scrape:?}, so one missed scrape leaves the rate unknown; use a range of {:?} or more",
                *scrape * 4
            ),
            Self::UnknownClusters { names } => write!(
                f,
                "requests went to the cluster {}, which is neither PRIMARY_CLUSTER nor BURST_CLUSTER; the watcher cannot see whether these clusters fail",
                names.join(", ")
            ),
            Self::ScrapedTwice { targets } => write!(
                f,
                "Prometheus scrapes the same caller twice, as {targets}, so its requests count twice; select one job"
            ),
            Self::UpOfOthers { is_absent } => write!(
                f,
                "UP_SERIES {}, so the watcher does not see that callers are replaced; select up with the job and the instances of SERIES",
                if *is_absent { "matches nothing" } else { "selects none of the callers that SERIES has" }
            ),
            Self::FineCallers => f.write_str("all callers answer, and count requests"),
            Self::NothingCounted => f.write_str(
                "the callers answer, and none has counted a request that the selector matches; if there is traffic, compare CALLERS_SERIES and CALLERS_URL with what a caller answers",
            ),
            Self::CallersNotRead { why } => write!(f, "{why}"),
            Self::NotChecked { why } => write!(f, "the watcher could not check its query: {why}"),
        }
    }
}
