//! The rate of the load, and the rates that a visitor may request.

mod number;

use serde_json::Value;

/// Thousandths of a request per second. A rate is a whole number of them, so a schedule never
/// drifts.
const UNIT: f64 = 1000.0;

/// The lowest rate, in requests per second. The load ends 15 minutes after the last request for a
/// rate; until then this rate sends nine requests.
const MIN_RATE: f64 = 0.01;

/// A rate of requests, exact to a thousandth of a request per second. Zero means no load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rate(u32);

impl Rate {
    /// No load.
    pub(crate) const ZERO: Self = Self(0);

    /// Parses a visitor's request: `{"freq": 20}` or `{"freq": "20"}`, from 0 to `max` requests per
    /// second. The error says what is accepted.
    pub(crate) fn parse(payload: &Value, max: u32) -> Result<Self, String> {
        let freq = payload.get("freq");
        let number = match freq {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => number::parse(text),
            _ => None,
        };
        number
            .and_then(|number| Self::from_per_second(number, max))
            .ok_or_else(|| refusal(freq, max))
    }

    /// A rate of 0, or of [`MIN_RATE`] to `max` requests per second; `None` for any other.
    pub(crate) fn from_per_second(per_second: f64, max: u32) -> Option<Self> {
        let millis = per_second * UNIT;
        match millis {
            0.0 => Some(Self::ZERO),
            // The range excludes truncation and negative numbers.
            _ if MIN_RATE * UNIT <= millis && millis <= f64::from(max) * UNIT => {
                Some(Self(millis.round() as u32))
            }
            _ => None,
        }
    }

    /// A rate in thousandths of a request per second.
    #[cfg(test)]
    pub(crate) const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// The rate in thousandths of a request per second.
    pub(crate) fn millis(self) -> u32 {
        self.0
    }

    /// The rate in requests per second.
    pub(crate) fn per_second(self) -> f64 {
        f64::from(self.0) / UNIT
    }
}

fn refusal(freq: Option<&Value>, max: u32) -> String {
    let problem = match freq {
        None | Some(Value::Null) => "it is missing".to_owned(),
        Some(Value::String(text)) if text.trim().is_empty() => "it is empty".to_owned(),
        Some(other) => {
            // A long value does not fit into a sentence.
            let text: String = other.to_string().chars().take(40).collect();
            format!("{text} is not accepted")
        }
    };
    format!("freq: {problem}; accepted: 0 to stop, or {MIN_RATE} to {max} requests per second")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(payload: Value, expected: Result<u32, &str>) {
        match (Rate::parse(&payload, 1000), expected) {
            (Ok(rate), Ok(millis)) => assert_eq!(rate.millis(), millis),
            (Err(error), Err(part)) => {
                assert!(error.contains(part), "{error} does not say {part:?}");
                assert!(error.contains("accepted: 0 to stop, or 0.01 to 1000"), "{error}");
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?} for {payload}"),
        }
    }

    #[test]
    fn accepts_numbers_and_strings_of_numbers() {
        check(json!({"freq": 20}), Ok(20_000));
        check(json!({"freq": "20"}), Ok(20_000));
        check(json!({"freq": 2.5}), Ok(2_500));
        check(json!({"freq": " 2.5 "}), Ok(2_500));
        check(json!({"freq": 0.01}), Ok(10));
        check(json!({"freq": "2,5"}), Ok(2_500));
        check(json!({"freq": "٢٠"}), Ok(20_000));
        check(json!({"freq": 1000}), Ok(1_000_000));
        check(json!({"freq": 0}), Ok(0));
        check(json!({"freq": "0"}), Ok(0));
        check(json!({"freq": -0.0}), Ok(0));
    }

    #[test]
    fn refuses_everything_else() {
        check(json!({"freq": -1}), Err("-1 is not accepted"));
        check(json!({"freq": 1000.001}), Err("1000.001 is not accepted"));
        check(json!({"freq": 1e300}), Err("is not accepted"));
        check(json!({"freq": 0.009}), Err("0.009 is not accepted"));
        check(json!({"freq": "1,000"}), Err("\"1,000\" is not accepted"));
        check(json!({"freq": "abc"}), Err("\"abc\" is not accepted"));
        check(json!({"freq": "5abc"}), Err("is not accepted"));
        check(json!({"freq": "0x10"}), Err("is not accepted"));
        check(json!({"freq": "NaN"}), Err("is not accepted"));
        check(json!({"freq": "inf"}), Err("is not accepted"));
        check(json!({"freq": ""}), Err("it is empty"));
        check(json!({"freq": null}), Err("it is missing"));
        check(json!({"freq": true}), Err("is not accepted"));
        check(json!({"freq": [5]}), Err("is not accepted"));
        check(json!({}), Err("it is missing"));
        check(json!(5), Err("it is missing"));
        check(json!(null), Err("it is missing"));
    }
}
