//! Checks what the watcher asks against the server, because a wrong selector leaves the watcher blind.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    FIRST_RANGE, Prometheus, Unknown,
    answer::SampledSeries,
    counters::{have_common_caller, named_caller},
    finding::Finding,
};
use crate::{
    config::QuerySettings,
    labels::{Labels, class, cluster_name},
    promql::{RangeSelector, range_selectors},
};

/// How long the server may take to answer a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of names of clusters that a finding shows.
const MAX_NAMES: usize = 3;

/// Two targets that count the same requests agree in so many samples.
const MIN_EQUAL_SAMPLES: usize = 5;

/// The labels by which two targets differ that count the same requests.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

impl Prometheus {
    /// Checks the selector, or `QUERY`.
    pub(crate) async fn check(&self) -> Finding {
        // No decision waits for it.
        let patient = Self { timeout: self.timeout.max(CHECK_TIMEOUT), ..self.clone() };
        let selectors = if self.settings.has_query() {
            range_selectors(&self.settings.query)
        } else {
            let selector = self.settings.series.clone();
            vec![RangeSelector { selector, range: Duration::ZERO }]
        };
        let Some(first) = selectors.first() else { return Finding::NoRange };
        if let Some(finding) = selectors.iter().find_map(check_reporter) {
            return finding;
        }
        match patient.samples(&format!("{}[{FIRST_RANGE}]", first.selector)).await {
            Err(unknown) => Finding::NotChecked { why: unknown.to_string() },
            Ok(series) if series.is_empty() => patient.why_absent(first).await,
            Ok(series) if self.settings.has_query() => check_range(&series, first.range),
            Ok(series) => match check_series(&series, &self.settings) {
                fine @ Finding::Fine { .. } => patient.check_up(&series).await.unwrap_or(fine),
                other => other,
            },
        }
    }

    /// Finds an `UP_SERIES` that selects none of the callers that have counted.
    async fn check_up(&self, series: &[SampledSeries]) -> Option<Finding> {
        if self.settings.up_series.is_empty() {
            return None;
        }
        let query = format!("{}[{FIRST_RANGE}]", self.settings.up_series);
        match self.samples(&query).await {
            Err(unknown) => Some(Finding::NotChecked { why: unknown.to_string() }),
            Ok(up) => {
                let callers = series.iter().filter_map(named_caller).collect();
                let is_theirs = have_common_caller(&up, &callers);
                (!is_theirs).then_some(Finding::UpOfOthers { is_absent: up.is_empty() })
            }
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
}

/// Finds a wrong reporter. Only Istio's own metrics have one.
fn check_reporter(selector: &RangeSelector) -> Option<Finding> {
    let text: String = selector.selector.chars().filter(|letter| !letter.is_whitespace()).collect();
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

/// Checks the series themselves.
fn check_series(series: &[SampledSeries], settings: &QuerySettings) -> Finding {
    let Some(scrape) = scrape_interval(series) else { return Finding::TooYoung };
    let names: BTreeSet<_> = series
        .iter()
        .filter(|series| class(&series.metric, settings).cluster.is_none())
        .filter_map(|series| cluster_name(&series.metric, settings))
        .filter(|name| !["", "unknown"].contains(name))
        .map(str::to_owned)
        .collect();
    if !names.is_empty() {
        return Finding::UnknownClusters { names: names.into_iter().take(MAX_NAMES).collect() };
    }
    if let Some(targets) = find_scraped_twice(series) {
        return Finding::ScrapedTwice { targets };
    }
    Finding::Fine { series: series.len(), scrape }
}

/// Finds two series that differ only by their target, and have counted the same.
fn find_scraped_twice(series: &[SampledSeries]) -> Option<String> {
    let mut by_labels = BTreeMap::<Labels, &SampledSeries>::new();
    for one in series {
        let mut labels = one.metric.clone();
        TARGET_LABELS.iter().for_each(|name| drop(labels.remove(*name)));
        let Some(other) = by_labels.insert(labels, one) else { continue };
        if has_counted_the_same(one, other) {
            let target = |series: &SampledSeries| {
                let label = |name: &str| series.metric.get(name).map_or("", String::as_str);
                format!("job {:?} and instance {:?}", label("job"), label("instance"))
            };
            return Some(format!("{}, and {}", target(other), target(one)));
        }
    }
    None
}

/// Whether two series have counted the same requests: the counts of one lie between those of the other.
fn has_counted_the_same(one: &SampledSeries, other: &SampledSeries) -> bool {
    let mut both: Vec<(f64, f64)> = one
        .values
        .iter()
        .chain(&other.values)
        .filter_map(|(at, count)| Some((*at, count.parse().ok()?)))
        .collect();
    both.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let is_long = |series: &SampledSeries| MIN_EQUAL_SAMPLES <= series.values.len();
    let grows = both.first().map(|(_, count)| *count) != both.last().map(|(_, count)| *count);
    is_long(one) && is_long(other) && grows && both.is_sorted_by(|(_, a), (_, b)| a <= b)
}

/// The distance of the samples; `None` without two samples of a series.
fn scrape_interval(series: &[SampledSeries]) -> Option<Duration> {
    let mut gaps: Vec<f64> = series
        .iter()
        .flat_map(|series| series.values.windows(2).map(|pair| pair[1].0 - pair[0].0))
        .filter(|gap| 0.0 < *gap && *gap <= 600.0)
        .collect();
    gaps.sort_by(f64::total_cmp);
    let gap = gaps.get(gaps.len() / 2)?;
    // Scrapes deviate by some milliseconds.
    Some(Duration::from_secs_f64((gap * 10.0).round().max(1.0) / 10.0))
}

/// Compares the range of `QUERY` with the distance of the samples.
fn check_range(series: &[SampledSeries], range: Duration) -> Finding {
    let Some(scrape) = scrape_interval(series) else { return Finding::TooYoung };
    match (range.as_secs_f64() / scrape.as_secs_f64()).floor() as u32 {
        0 | 1 => Finding::RangeTooShort { range, scrape },
        2 => Finding::RangeTight { range, scrape },
        samples => Finding::FineQuery { samples, range },
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;

    use super::*;
    use crate::Config;

    fn series(labels: &[(&str, &str)], samples: &[(f64, f64)]) -> SampledSeries {
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let values = samples.iter().map(|(at, count)| (*at, count.to_string())).collect();
        SampledSeries { metric: labels.collect(), values }
    }

    fn every(seconds: f64) -> Vec<(f64, f64)> {
        (0..20_u32)
            .map(|n| (1000.0 + f64::from(n) * seconds + f64::from(n % 3) * 0.01, f64::from(n)))
            .collect()
    }

    #[track_caller]
    fn check_query(scrape: f64, range: u64, expected: &str) {
        let all = [series(&[], &every(scrape)), series(&[], &[(5.0, 1.0)])];
        let finding = check_range(&all, Duration::from_secs(range));
        assert_eq!(finding.name(), expected, "{finding}");
    }

    #[test]
    fn a_range_must_hold_two_samples() {
        check_query(15.0, 15, "range_too_short");
        check_query(15.0, 29, "range_too_short");
        check_query(15.0, 30, "range_tight");
        check_query(15.0, 60, "fine");
        check_query(5.0, 15, "fine");
        check_query(0.05, 10, "fine");
        let young = check_range(&[series(&[], &[(1.0, 1.0)])], Duration::from_secs(30));
        assert_eq!(young, Finding::TooYoung);
        let text = check_range(&[series(&[], &every(15.0))], Duration::from_secs(15)).to_string();
        assert!(text.contains("a range of 60s or more"), "{text}");
    }

    #[test]
    fn clusters_of_other_names_and_callers_scraped_twice_are_found() {
        let settings = from_arguments::<Config>(&[]).unwrap().watch.signal.query;
        let of_cluster = |name: &str, job: &str, shift: f64| {
            let samples: Vec<_> =
                every(5.0).iter().map(|(at, count)| (at + shift, *count)).collect();
            series(&[("destination_cluster", name), ("job", job)], &samples)
        };
        let check = |all: &[SampledSeries], expected: &str| {
            let finding = check_series(all, &settings);
            assert_eq!(finding.name(), expected, "{finding}");
        };
        let primary = || of_cluster("primary", "pods", 0.0);
        check(&[primary(), of_cluster("burst", "pods", 0.0)], "fine");
        check(&[primary(), of_cluster("unknown", "pods", 0.0)], "fine");
        check(&[primary(), of_cluster("cloud-1", "pods", 0.0)], "unknown_clusters");
        check(&[primary(), of_cluster("primary", "envoy", 2.0)], "scraped_twice");
        let other = series(
            &[("destination_cluster", "primary"), ("job", "pods"), ("instance", "b")],
            &every(5.0).iter().map(|(at, count)| (at + 2.0, count * 3.0)).collect::<Vec<_>>(),
        );
        check(&[primary(), other], "fine");
    }

    #[test]
    fn the_reporter_is_the_source() {
        let check = |selector: &str, expected: Option<&str>| {
            let selector =
                RangeSelector { selector: selector.to_owned(), range: Duration::from_secs(30) };
            let name = check_reporter(&selector).map(|finding| finding.name());
            assert_eq!(name, expected, "{selector:?}");
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
