//! Reads the text that a caller's metrics are exposed in: Prometheus' text format, or `OpenMetrics`.
//!
//! It reads only the lines of one metric, because a proxy may send thousands of others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use policy::RequestClass;

use crate::{
    config::QuerySettings,
    labels::{Labels, class, cluster_name, hash},
    promql::Selector,
};

/// What the labels of a series say.
#[derive(Debug, PartialEq)]
pub(super) struct Series {
    /// Identifies the series of one caller.
    pub(super) hash: u64,
    pub(super) class: RequestClass,
    /// The name of its cluster, if that is neither primary nor burst.
    pub(super) unknown_cluster: Option<String>,
}

/// One series of a caller, with its count.
#[derive(Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) series: Arc<Series>,
    pub(super) count: f64,
}

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRead {
    #[error("its answer is not the text of metrics")]
    NotMetrics,
    #[error("its answer ends in the middle of a line")]
    Truncated,
    #[error("a line of the metric is malformed")]
    Malformed,
    #[error("it has more than {MAX_SAMPLES} series")]
    TooMany,
}

/// The number of series of one caller.
const MAX_SAMPLES: usize = 1_000;

/// The size of all texts of labels that a reader knows, in bytes. Beyond it, the reader forgets all.
const MAX_KNOWN: usize = 4 * 1024 * 1024;

/// Reads the series that a selector matches. It knows the labels that it has read before, because the same
/// ones come every second, and from many callers.
pub(super) struct Reader {
    selector: Selector,
    settings: QuerySettings,
    known: Mutex<Known>,
}

/// Texts of labels, with what they say; `None` if the selector does not match them.
#[derive(Default)]
struct Known {
    series: HashMap<Box<str>, Option<Arc<Series>>>,
    bytes: usize,
}

impl Reader {
    pub(super) fn new(selector: Selector, settings: QuerySettings) -> Self {
        Self { selector, settings, known: Mutex::default() }
    }

    /// Returns the series of a text that the selector matches.
    pub(super) fn read(&self, text: &str) -> Result<Vec<Sample>, NotRead> {
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(NotRead::Truncated);
        }
        let mut samples = Vec::new();
        for (number, line) in text.lines().enumerate() {
            // A page of HTML may answer for a proxy that is away.
            if number == 0 && !is_of_metrics(line) {
                return Err(NotRead::NotMetrics);
            }
            let Some(rest) = line.strip_prefix(self.selector.name()) else { continue };
            if !rest.starts_with(['{', ' ', '\t']) {
                continue;
            }
            let (labels, rest) = split_labels(rest).ok_or(NotRead::Malformed)?;
            let count = rest.split_ascii_whitespace().next().and_then(|count| count.parse().ok());
            let count = count.ok_or(NotRead::Malformed)?;
            let Some(series) = self.series(labels)? else { continue };
            if MAX_SAMPLES <= samples.len() {
                return Err(NotRead::TooMany);
            }
            samples.push(Sample { series, count });
        }
        Ok(samples)
    }

    /// What a text of labels says; `None` if the selector does not match them.
    fn series(&self, text: &str) -> Result<Option<Arc<Series>>, NotRead> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.series.get(text) {
            return Ok(series.clone());
        }
        let labels = parse_labels(text).ok_or(NotRead::Malformed)?;
        let series = self.selector.matches(&labels).then(|| Arc::new(self.describe(&labels)));
        if MAX_KNOWN < known.bytes + text.len() {
            *known = Known::default();
        }
        known.bytes += text.len();
        known.series.insert(text.into(), series.clone());
        Ok(series)
    }

    fn describe(&self, labels: &Labels) -> Series {
        let class = class(labels, &self.settings);
        let is_of_nobody = |name: &&str| class.cluster.is_none() && !["", "unknown"].contains(name);
        let name = cluster_name(labels, &self.settings).filter(is_of_nobody);
        Series { hash: hash(labels.iter()), class, unknown_cluster: name.map(str::to_owned) }
    }
}

fn is_of_metrics(line: &str) -> bool {
    let begins_with = |letter: char| letter.is_ascii_alphabetic() || "_:#".contains(letter);
    line.trim().is_empty() || line.starts_with(begins_with)
}

/// Splits what follows the name in a line: the labels with their braces, and the rest.
fn split_labels(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('{') {
        return Some(("", text));
    }
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return Some(text.split_at(at + 1)),
            _ => {}
        }
    }
    None
}

/// Parses labels with their braces, or the empty text of a series without labels.
fn parse_labels(text: &str) -> Option<Labels> {
    let mut labels = Labels::new();
    let Some(after) = text.strip_prefix('{') else { return Some(labels) };
    let mut rest = after.trim_start();
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = parse_value(after.trim_start().strip_prefix('"')?)?;
        labels.insert(name.trim().to_owned(), value);
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(labels)
}

/// Parses a label's value up to its closing quote, and returns what follows it.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use chassis::settings::from_arguments;

    use super::*;
    use crate::Config;

    /// Labels, and a count.
    type Expected<'a> = (&'a [(&'a str, &'a str)], f64);

    fn reader() -> Reader {
        let settings = from_arguments::<Config>(&[]).unwrap().watch.signal.query;
        Reader::new(Selector::parse("a_total{b!=\"x\"}").unwrap(), settings)
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&[Expected], NotRead>) {
        let reader = reader();
        let expected = expected.map(|samples| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let hash =
                |labels: &[(&str, &str)]| hash(labels.iter().map(owned).collect::<Labels>().iter());
            samples.iter().map(|(labels, count)| (hash(labels), *count)).collect::<Vec<_>>()
        });
        // The second time, the reader knows the labels.
        for _ in 0..2 {
            let samples = reader.read(text).map(|samples| {
                samples.iter().map(|sample| (sample.series.hash, sample.count)).collect::<Vec<_>>()
            });
            assert_eq!(samples, expected, "{text}");
        }
    }

    #[test]
    fn reads_the_series_of_one_metric() {
        check("", Ok(&[]));
        check("# TYPE a_total counter\na_total 3\n", Ok(&[(&[], 3.0)]));
        check("a_total{b=\"1\"} 3\na_total{b=\"x\"} 4\na_total_x 5\n", Ok(&[(&[("b", "1")], 3.0)]));
        check(
            "a_total{c=\"d\",b=\"e\\\"}\\\\\\n\"} 1.5e3 1700000000000\n",
            Ok(&[(&[("c", "d"), ("b", "e\"}\\\n")], 1500.0)]),
        );
        check("a_total{b=\"1\",} 3 # {trace=\"x\"} 1\n# EOF\n", Ok(&[(&[("b", "1")], 3.0)]));
    }

    #[test]
    fn what_is_not_whole_is_not_read() {
        check("<html>\n", Err(NotRead::NotMetrics));
        check("a_total 3\na_total{b=\"1\"} 1", Err(NotRead::Truncated));
        for line in
            ["a_total\t", "a_total{b=\"1} 3", "a_total{b=1} 3", "a_total{b=\"1\"} x", "a_total{b"]
        {
            check(&format!("{line}\n"), Err(NotRead::Malformed));
        }
        let many: String = (0..=MAX_SAMPLES).map(|n| format!("a_total{{b=\"{n}\"}} 1\n")).collect();
        check(&many, Err(NotRead::TooMany));
    }

    #[test]
    fn what_a_reader_knows_is_bounded() {
        let reader = reader();
        for number in 0..5000 {
            let value = "v".repeat(1000);
            reader.read(&format!("a_total{{b=\"{number}{value}\"}} 1\n")).unwrap();
        }
        assert!(reader.known.lock().unwrap().bytes <= MAX_KNOWN);
    }

    #[test]
    fn a_cluster_that_no_setting_names_is_reported() {
        let samples = reader().read("a_total{destination_cluster=\"east\"} 1\n").unwrap();
        assert_eq!(samples[0].series.unknown_cluster.as_deref(), Some("east"));
        let samples = reader().read("a_total{destination_cluster=\"burst\"} 1\n").unwrap();
        assert_eq!(samples[0].series.unknown_cluster, None);
    }
}
