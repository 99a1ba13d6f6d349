//! Parsers of values that only the watcher has.

use crate::promql::{outside_of_strings, without_comments};

pub(super) fn object_name(text: &str) -> Result<String, String> {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err("accepted: the name of an object, of a to z, 0 to 9, - and .".to_owned())
    }
}

/// A query without its comments.
pub(super) fn query(text: &str) -> Result<String, String> {
    Ok(without_comments(text).trim().to_owned())
}

/// A selector of series without a range; empty where a setting may be.
pub(super) fn selector(text: &str) -> Result<String, String> {
    let text = &query(text)?;
    let outside = outside_of_strings(text);
    let count = |letter: char| text.match_indices(letter).filter(|(at, _)| outside[*at]).count();
    if 0 < count('[') + count('(') || 1 < count('{') {
        Err("accepted: a PromQL selector without a range, such as requests_total{app=\"a\"}"
            .to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// The value of a label, or the name of a subset.
pub(super) fn label_value(text: &str) -> Result<String, String> {
    if (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("accepted: 1 to 253 printable ASCII characters without spaces".to_owned())
    }
}
