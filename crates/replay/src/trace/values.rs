//! The values of a line: a rate, and a time.

use jiff::Timestamp;

/// The largest rate, in requests per second.
const MAX_RATE: f64 = 1e9;

/// The last second of the year 9999, which a date can name.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Parses a rate; an empty text and `NaN` are unknown. The error has its column.
pub(super) fn parse_rate(text: &str, offset: usize) -> Result<Option<f64>, (usize, String)> {
    let column = offset + text.chars().take_while(|letter| letter.is_whitespace()).count() + 1;
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("nan") {
        return Ok(None);
    }
    let rate = text.parse::<f64>().ok().filter(|rate| (0.0..=MAX_RATE).contains(rate));
    rate.map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        (column, format!("{shown:?} is not accepted; accepted: a number, 0 to {MAX_RATE}"))
    })
}

/// Parses a time: seconds since 1970, or a date and a time with their distance from UTC.
pub(super) fn parse_time(text: &str) -> Result<f64, String> {
    let text = text.trim().trim_matches('"');
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return match seconds.abs() <= LAST_SECOND {
            true => Ok(seconds),
            false => Err(format!(
                "{text:?} is not accepted; accepted: seconds since 1970, not milliseconds"
            )),
        };
    }
    let time = text.parse::<Timestamp>();
    time.map(|time| time.as_millisecond() as f64 / 1000.0).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!(
            "{shown:?} is not accepted; accepted: seconds since 1970, or a time such as 2026-11-29T18:00:00Z or 2026-11-29T19:00:00+01:00"
        )
    })
}
