//! Takes what browsers ask for to the control, or says why not.

use std::time::Duration;

use contract::events::Answer;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use serde_json::Value;

use crate::{access::ControlToken, control::Control, load::rate::Rate, stops::ChangeLimit};

/// Judges what is asked. Clones count together.
#[derive(Clone)]
pub(crate) struct Asks {
    control: Control,
    max_rate: u32,
    token: Option<ControlToken>,
    counts: Family<AskLabels, Counter>,
}

/// How a request for a rate was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AskLabels {
    result: &'static str,
}

impl Asks {
    /// Rates up to `max_rate` requests per second are accepted, from those who know the token if there is one.
    pub(crate) fn new(control: Control, max_rate: u32, token: Option<ControlToken>) -> Self {
        Self { control, max_rate, token, counts: Family::default() }
    }

    /// How many times something was asked, by result.
    pub(crate) fn counts(&self) -> Family<AskLabels, Counter> {
        self.counts.clone()
    }

    /// Somebody whose changes are limited asks for a rate.
    pub(crate) fn ask(&self, payload: &Value, changes: &mut ChangeLimit, now: Duration) -> Answer {
        let judged = self.judge(payload, changes, now);
        let result = judged.as_ref().map_or_else(|(result, _)| *result, |_| "accepted");
        self.counts.get_or_create(&AskLabels { result }).inc();
        match judged {
            Ok(rate) => {
                self.control.ask(rate);
                Answer::Accepted { freq: rate.per_second() }
            }
            Err((_, error)) => Answer::Refused { error },
        }
    }

    fn judge(
        &self,
        payload: &Value,
        changes: &mut ChangeLimit,
        now: Duration,
    ) -> Result<Rate, (&'static str, String)> {
        let rate = Rate::asked(payload, self.max_rate).map_err(|error| ("malformed", error))?;
        // Before the token, so that it cannot be guessed any faster.
        if !changes.allows(now) {
            let error = "freq: too many changes; accepted: five in a second";
            return Err(("too_often", error.to_owned()));
        }
        let Some(expected) = &self.token else { return Ok(rate) };
        let wrong = match payload.get("token").and_then(Value::as_str) {
            Some(token) if expected.is(token) => return Ok(rate),
            None | Some("") => "it is missing",
            Some(_) => "it is not the right one",
        };
        let error = format!("token: {wrong}; accepted: the CONTROL_TOKEN of this frontend");
        Err(("unauthorized", error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asks(token: Option<&str>) -> Asks {
        Asks::new(Control::new(), 1000, token.map(|token| token.parse().unwrap()))
    }

    #[track_caller]
    fn check(asks: &Asks, payload: Value, expected: Result<f64, &str>) {
        let before = asks.control.rate();
        match (asks.ask(&payload, &mut ChangeLimit::default(), Duration::ZERO), expected) {
            (Answer::Accepted { freq }, Ok(expected)) => {
                assert_eq!(freq, expected);
                assert_eq!(asks.control.rate().per_second(), expected);
            }
            (Answer::Refused { error }, Err(part)) => {
                assert!(error.contains(part), "{error} does not say {part:?}");
                assert_eq!(asks.control.rate(), before);
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?} for {payload}"),
        }
    }

    #[test]
    fn without_a_token_anybody_may_drive() {
        check(&asks(None), json!({"freq": 5}), Ok(5.0));
        check(&asks(None), json!({"freq": 5, "token": "whatever"}), Ok(5.0));
        check(&asks(None), json!({"freq": 1001}), Err("freq: 1001 is not accepted"));
    }

    #[test]
    fn with_a_token_only_those_who_know_it() {
        let asks = asks(Some("correct-horse"));
        check(&asks, json!({"freq": 5, "token": "correct-horse"}), Ok(5.0));
        check(&asks, json!({"freq": 6}), Err("token: it is missing"));
        check(&asks, json!({"freq": 6, "token": ""}), Err("token: it is missing"));
        check(
            &asks,
            json!({"freq": 6, "token": "correct-hors"}),
            Err("token: it is not the right"),
        );
        check(&asks, json!({"freq": 6, "token": ["correct-horse"]}), Err("token: it is missing"));
        check(&asks, json!({"freq": 0}), Err("token: it is missing"));
    }

    #[test]
    fn guessing_is_limited_too() {
        let asks = asks(Some("correct-horse"));
        let mut changes = ChangeLimit::default();
        let mut ask = |token: &str| {
            asks.ask(&json!({"freq": 6, "token": token}), &mut changes, Duration::ZERO)
        };
        for guess in 0..5 {
            let Answer::Refused { error } = ask(&guess.to_string()) else { panic!("{guess}") };
            assert!(error.contains("not the right one"), "{error}");
        }
        let Answer::Refused { error } = ask("correct-horse") else { panic!("accepted") };
        assert!(error.contains("too many changes"), "{error}");
    }
}
