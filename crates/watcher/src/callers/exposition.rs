//! Reads the text that a caller's metrics are exposed in: Prometheus' text format, or `OpenMetrics`.
//!
//! It reads only the lines of one metric, because a proxy may send thousands of others.

use std::collections::BTreeMap;

use crate::promql::Selector;

/// One series of a caller, with its count.
#[derive(Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: BTreeMap<String, String>,
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

/// Returns the series that a selector matches.
pub(super) fn samples(text: &str, selector: &Selector) -> Result<Vec<Sample>, NotRead> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(NotRead::Truncated);
    }
    let mut samples = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // A page of HTML may answer for a proxy that is away.
        if number == 0 && !is_of_metrics(line) {
            return Err(NotRead::NotMetrics);
        }
        let Some(rest) = line.strip_prefix(selector.name()) else { continue };
        if !rest.starts_with(['{', ' ', '\t']) {
            continue;
        }
        let sample = parse(rest).ok_or(NotRead::Malformed)?;
        if selector.matches(&sample.labels) {
            if MAX_SAMPLES <= samples.len() {
                return Err(NotRead::TooMany);
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn is_of_metrics(line: &str) -> bool {
    let begins_with = |letter: char| letter.is_ascii_alphabetic() || "_:#".contains(letter);
    line.trim().is_empty() || line.starts_with(begins_with)
}

/// Parses what follows the name in a line: labels in braces, the value, and perhaps a time.
fn parse(line: &str) -> Option<Sample> {
    let mut labels = BTreeMap::new();
    let mut rest = line;
    if let Some(after) = rest.strip_prefix('{') {
        rest = after.trim_start();
        while !rest.starts_with('}') {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parse_value(after.trim_start().strip_prefix('"')?)?;
            labels.insert(name.trim().to_owned(), value);
            rest = after.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = &rest[1..];
    }
    let count = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { labels, count })
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
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, f64)], NotRead>) {
        let selector = Selector::parse("a_total{b!=\"x\"}").unwrap();
        let samples = samples(text, &selector).map(|samples| {
            let of = |sample: &Sample| {
                (sample.labels.get("b").cloned().unwrap_or_default(), sample.count)
            };
            samples.iter().map(of).collect::<Vec<_>>()
        });
        let expected = expected.map(|samples| {
            samples.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect::<Vec<_>>()
        });
        assert_eq!(samples, expected, "{text}");
    }

    #[test]
    fn reads_the_series_of_one_metric() {
        check("", Ok(&[]));
        check("# TYPE a_total counter\na_total 3\n", Ok(&[("", 3.0)]));
        check("a_total{b=\"1\"} 3\na_total{b=\"x\"} 4\na_total_x 5\n", Ok(&[("1", 3.0)]));
        check(
            "a_total{c=\"d\",b=\"e\\\"}\\\\\\n\"} 1.5e3 1700000000000\n",
            Ok(&[("e\"}\\\n", 1500.0)]),
        );
        check("a_total{b=\"1\",} 3 # {trace=\"x\"} 1\n# EOF\n", Ok(&[("1", 3.0)]));
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
}
