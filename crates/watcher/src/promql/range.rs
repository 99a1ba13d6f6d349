//! Finds the selectors with a range in a PromQL expression.

use std::time::Duration;

/// A selector with its range, such as `http_requests_total{code="200"}[30s]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeSelector {
    /// The metric with its matchers, without the range.
    pub(crate) selector: String,
    /// The range.
    pub(crate) range: Duration,
}

/// Returns the selectors with a range, in order. Subqueries and malformed selectors are left out.
pub(crate) fn range_selectors(expression: &str) -> Vec<RangeSelector> {
    let outside = outside_of_strings(expression);
    let mut found = Vec::new();
    for (open, _) in expression.match_indices('[').filter(|(at, _)| outside[*at]) {
        let Some(length) = expression[open..].find(']') else { break };
        let range = expression[open + 1..open + length].trim();
        let before = expression[..open].trim_end();
        let metric_and_matchers = if before.ends_with('}') {
            let brace = before.rmatch_indices('{').find(|(at, _)| outside[*at]);
            brace.map(|(brace, _)| name_before(expression, brace))
        } else {
            Some(name_before(expression, before.len()))
        };
        let start = metric_and_matchers.filter(|start| *start < before.len());
        if let (Some(start), Some(range)) = (start, parse_duration(range)) {
            found.push(RangeSelector { selector: before[start..].to_owned(), range });
        }
    }
    found
}

/// Returns an expression without its comments: from `#` to the end of the line, outside of strings.
pub(crate) fn without_comments(expression: &str) -> String {
    let mut kept = String::with_capacity(expression.len());
    let mut rest = expression;
    loop {
        let outside = outside_of_strings(rest);
        let Some((start, _)) = rest.match_indices('#').find(|(at, _)| outside[*at]) else {
            return kept + rest;
        };
        kept += &rest[..start];
        rest = rest[start..].find('\n').map_or("", |end| &rest[start + end..]);
    }
}

/// Returns for each byte whether it is outside of a quoted string.
pub(crate) fn outside_of_strings(expression: &str) -> Vec<bool> {
    let mut quote = None;
    let mut is_escaped = false;
    let step = |byte| {
        let was_outside = quote.is_none();
        match (quote, byte) {
            _ if is_escaped => is_escaped = false,
            (Some(b'"' | b'\''), b'\\') => is_escaped = true,
            (Some(open), byte) if open == byte => quote = None,
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            _ => {}
        }
        was_outside && quote.is_none()
    };
    expression.bytes().map(step).collect()
}

/// Returns where the metric name that ends at `end` begins; `end` if there is none.
fn name_before(expression: &str, end: usize) -> usize {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_:.".contains(byte);
    let text = expression[..end].trim_end();
    let length = text.bytes().rev().take_while(is_name).count();
    if length == 0 { end } else { text.len() - length }
}

/// Parses a duration of PromQL: `30s`, `1m30s`, `500ms`.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let milliseconds = match unit {
            "ms" => 1,
            // Prometheus 3 takes plain seconds.
            "" if rest.len() == digits => 1000,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(milliseconds)?))?;
        rest = after;
    }
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out_and_strings_are_kept() {
        let check = |expression, expected| assert_eq!(without_comments(expression), expected);
        check("a{b=\"c\"} # d", "a{b=\"c\"} ");
        check("# don't\na # it's\n+ b", "\na \n+ b");
        check("a{b=\"#c\",d='#', e=`#`}", "a{b=\"#c\",d='#', e=`#`}");
        check("#", "");
        check("", "");
    }

    #[track_caller]
    fn check(expression: &str, expected: &[(&str, u64)]) {
        let found = range_selectors(expression);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.selector.as_str(), found.range.as_millis() as u64))
            .collect();
        assert_eq!(found, expected, "{expression}");
    }

    #[test]
    fn finds_selectors_with_their_ranges() {
        check("sum(rate(a_total{x=\"1\"}[30s]))", &[("a_total{x=\"1\"}", 30_000)]);
        check("sum(rate(a_total[1m30s]))", &[("a_total", 90_000)]);
        check("rate(a[30])", &[("a", 30_000)]);
        check("rate(a[1w])", &[("a", 604_800_000)]);
        check("rate({__name__=\"a\"} [500ms])", &[("{__name__=\"a\"}", 500)]);
        check("rate(job:a:sum {x='}['} [5m])", &[("job:a:sum {x='}['}", 300_000)]);
        check(
            "rate(a[1m]) / rate(b{c=~`d{2}`}[2h])",
            &[("a", 60_000), ("b{c=~`d{2}`}", 7_200_000)],
        );
        check(r#"rate(a{b="\"[5s]"}[1d])"#, &[(r#"a{b="\"[5s]"}"#, 86_400_000)]);
    }

    #[test]
    fn leaves_out_everything_else() {
        for text in ["", "1", "a", "a[", "a[]", "a[x]", "a[0s]", "[5m]", "\"a[5m]\"", "}[5m]"] {
            check(text, &[]);
        }
        check("max_over_time(rate(a[1m])[5m:1s])", &[("a", 60_000)]);
        check("a[99999999999999999999s]", &[]);
    }
}
