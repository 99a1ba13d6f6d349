//! Parsers of values, each with its range in its error.

use std::{ops::RangeInclusive, time::Duration};

use chassis::settings::duration;

pub(super) fn object_name(text: &str) -> Result<String, String> {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("accepted: the name of an object, of a to z, 0 to 9, - and .".to_owned())
    }
}

pub(super) fn query(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("accepted: a PromQL expression".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Returns a parser of times between two, which are written as its error repeats them.
pub(super) fn time(
    least: &'static str,
    most: &'static str,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value = duration(text)?;
        if (duration(least)?..=duration(most)?).contains(&value) {
            Ok(value)
        } else {
            Err(format!("accepted: {least} to {most}"))
        }
    }
}

/// Returns a parser of numbers in a range.
pub(super) fn number(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("accepted: a number, {} to {}", range.start(), range.end()))
    }
}
