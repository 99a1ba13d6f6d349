//! Parsers of values that only the watcher has.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::promql::{outside_of_strings, without_comments};

/// A query without its comments.
pub(super) fn query(text: &str) -> Result<String, String> {
    Ok(without_comments(text).trim().to_owned())
}

/// A selector of series without a range; empty where a setting may be.
pub(super) fn selector(text: &str) -> Result<String, String> {
    let text = &query(text)?;
    let outside = outside_of_strings(text);
    let count = |letter: char| text.match_indices(letter).filter(|(at, _)| outside[*at]).count();
    if 0 < count('[') + count('(') || 1 < count('{') || count('{') != count('}') {
        Err("accepted: a PromQL selector without a range, such as requests_total{app=\"a\"}"
            .to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// What [`label_value`] accepts, in words, and as a rule of CEL.
pub(super) const LABEL_VALUE: &str = "1 to 253 printable ASCII characters without spaces";
/// See [`LABEL_VALUE`].
pub(super) const LABEL_VALUE_RULE: &str = "self.matches('^[!-~]+$')";

/// The value of a label, or the name of a subset.
pub(super) fn label_value(text: &str) -> Result<String, String> {
    if (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!("accepted: {LABEL_VALUE}"))
    }
}

/// Reads a query of a `BurstPolicy`.
pub(super) fn parsed_query<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    query(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads a selector of a `BurstPolicy`.
pub(super) fn parsed_selector<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The path of a field is not known here, so the value shows which one it is.
    selector(&text).map_err(|error| D::Error::custom(format!("{text:?} is not accepted; {error}")))
}
