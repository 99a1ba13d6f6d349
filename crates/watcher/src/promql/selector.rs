//! A selector of series, matched against labels by the watcher itself.

use std::collections::BTreeMap;

use regex::Regex;

/// The label that holds the name of a metric.
const NAME: &str = "__name__";

/// A PromQL selector without a range, such as `http_requests_total{code=~"5.."}`.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// The name of the metric.
    name: String,
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug)]
struct Matcher {
    label: String,
    condition: Condition,
    /// Whether series match that fulfill the condition; otherwise those that do not.
    is_positive: bool,
}

#[derive(Clone, Debug)]
enum Condition {
    Equals(String),
    Matches(Regex),
}

impl Selector {
    /// Parses a selector. It must name one metric.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) = match text.trim().split_once('{') {
            Some((name, rest)) => (name.trim(), rest.trim()),
            None => (text.trim(), "}"),
        };
        let mut matchers = Vec::new();
        let mut rest = rest;
        while !rest.starts_with('}') {
            let (matcher, after) = parse_matcher(rest)?;
            matchers.push(matcher);
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.starts_with('}') => {}
                None => return Err(format!("a comma or }} is missing before {rest:?}")),
            }
        }
        if rest.trim() != "}" {
            return Err(format!("{:?} follows the selector", &rest[1..]));
        }
        let is_name = |matcher: &Matcher| matcher.label == NAME && matcher.is_positive;
        let of_matcher = matchers.iter().position(is_name).map(|index| matchers.remove(index));
        match (name, of_matcher.map(|matcher| matcher.condition)) {
            ("", Some(Condition::Equals(name))) => Ok(Self { name, matchers }),
            (name, None) if !name.is_empty() => Ok(Self { name: name.to_owned(), matchers }),
            _ => Err("it must name one metric".to_owned()),
        }
    }

    /// The name of the metric.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it matches a series of its metric. A label that is missing is empty.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.get(&matcher.label).map_or("", String::as_str);
            let is_fulfilled = match &matcher.condition {
                Condition::Equals(expected) => expected == value,
                Condition::Matches(regex) => regex.is_match(value),
            };
            is_fulfilled == matcher.is_positive
        })
    }
}

/// Parses a matcher at the beginning of a text, and returns what follows it.
fn parse_matcher(text: &str) -> Result<(Matcher, &str), String> {
    let length =
        text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (label, rest) = text.split_at(length);
    let rest = rest.trim_start();
    let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| rest.starts_with(operator));
    let Some(operator) = operator.filter(|_| !label.is_empty()) else {
        return Err(format!("{text:?} does not begin with a matcher"));
    };
    let (value, rest) = parse_string(rest[operator.len()..].trim_start())?;
    let condition = if operator.ends_with('~') {
        // PromQL's expressions match a whole value.
        let regex = Regex::new(&format!("^(?s:{value})$")).map_err(|error| error.to_string())?;
        Condition::Matches(regex)
    } else {
        Condition::Equals(value)
    };
    let is_positive = !operator.starts_with('!');
    Ok((Matcher { label: label.to_owned(), condition, is_positive }, rest))
}

/// Parses a quoted string at the beginning of a text, and returns what follows it.
fn parse_string(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|quote| "\"'`".contains(*quote));
    let quote = quote.ok_or_else(|| format!("{text:?} does not begin with a quoted string"))?;
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            letter if letter == quote => return Ok((value, &text[at + 1..])),
            '\\' if quote != '`' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) if "\\\"'".contains(escaped) => value.push(escaped),
                Some((_, other)) => return Err(format!("\\{other} is not an escape")),
                None => break,
            },
            letter => value.push(letter),
        }
    }
    Err(format!("{text:?} does not end its string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(selector: &str, expected: &[(&[(&str, &str)], bool)]) {
        let selector = Selector::parse(selector).unwrap();
        assert_eq!(selector.name(), "a_total");
        for (labels, expected) in expected {
            let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let labels: BTreeMap<_, _> = labels.collect();
            assert_eq!(selector.matches(&labels), *expected, "{labels:?}");
        }
    }

    #[test]
    fn matchers_are_those_of_prometheus() {
        let none: &[(&str, &str)] = &[];
        check("a_total", &[(none, true), (&[("b", "c")], true)]);
        check("a_total {}", &[(none, true)]);
        check("{__name__=\"a_total\", b='c',}", &[(&[("b", "c")], true), (none, false)]);
        check("a_total{b=\"c\"}", &[(&[("b", "c")], true), (&[("b", "d")], false), (none, false)]);
        check("a_total{b!=\"c\"}", &[(&[("b", "c")], false), (none, true)]);
        check("a_total{b=~\"c|d.*\"}", &[(&[("b", "dx")], true), (&[("b", "xd")], false)]);
        check("a_total{b!~`\\d+`}", &[(&[("b", "12")], false), (&[("b", "x")], true)]);
        check("a_total{b=\"}\\\"\\n,{\"}", &[(&[("b", "}\"\n,{")], true)]);
        check(
            "a_total{b=\"\",c=\"1\"}",
            &[(&[("c", "1")], true), (&[("b", "x"), ("c", "1")], false)],
        );
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "",
            "{}",
            "{b=\"c\"}",
            "a{b}",
            "a{b=c}",
            "a{b=\"c}",
            "a{b=\"c\"",
            "a{b=\"c\" d=\"e\"}",
            "a{b=~\"(\"}",
            "a{b=\"c\"} + 1",
            "a{b=\"\\x\"}",
            "a{__name__=\"b\"}",
            "{__name__=~\"b\"}",
        ] {
            assert!(Selector::parse(text).is_err(), "{text:?}");
        }
    }
}
