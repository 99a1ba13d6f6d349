//! Takes what browsers ask for to the control, or says why not.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::events::Answer;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{access::ControlToken, control::Control, load::rate::Rate, stops::ChangeLimit};

/// Judges what is asked. Clones count together.
#[derive(Clone)]
pub(crate) struct Asks {
    control: Control,
    max_rate: u32,
    token: Option<ControlToken>,
    /// The wrong tokens of everybody: one who guesses can be many visitors.
    guesses: Arc<Mutex<ChangeLimit>>,
    start: Instant,
    counts: Family<AskLabels, Counter>,
}

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Visitor {
    number: u64,
    changes: ChangeLimit,
}

impl Visitor {
    /// The visitor of a number, who has not asked for anything yet.
    pub(crate) fn new(number: u64) -> Self {
        Self { number, changes: ChangeLimit::default() }
    }
}

/// How a request for a rate was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AskLabels {
    result: &'static str,
}

impl Asks {
    /// Rates up to `max_rate` requests per second are accepted, from those who know the token if there is one.
    pub(crate) fn new(control: Control, max_rate: u32, token: Option<ControlToken>) -> Self {
        let (guesses, counts) = (Arc::default(), Family::default());
        Self { control, max_rate, token, guesses, start: Instant::now(), counts }
    }

    /// The time now, since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// How many times something was asked, by result.
    pub(crate) fn counts(&self) -> Family<AskLabels, Counter> {
        self.counts.clone()
    }

    /// Somebody asks for a rate.
    pub(crate) fn ask(&self, payload: &Value, visitor: &mut Visitor, now: Duration) -> Answer {
        let judged = self.judge(payload, &mut visitor.changes, now);
        let result = judged.as_ref().map_or_else(|(result, _)| *result, |_| "accepted");
        self.counts.get_or_create(&AskLabels { result }).inc();
        match judged {
            Ok(rate) => {
                self.control.ask(rate, visitor.number);
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
        if !changes.allows(now) {
            let error = "freq: too many changes; accepted: five in a second";
            return Err(("too_often", error.to_owned()));
        }
        self.check_token(payload.get("token"), now)?;
        Ok(rate)
    }

    fn check_token(
        &self,
        token: Option<&Value>,
        now: Duration,
    ) -> Result<(), (&'static str, String)> {
        let Some(expected) = &self.token else { return Ok(()) };
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = match token.map(|token| token.as_str().ok_or(())) {
            None | Some(Ok("")) => "it is missing",
            Some(Err(())) => "it is no text",
            // Not looked at, or guesses would be as many as there is time for.
            Some(Ok(_)) if guesses.is_reached(now) => {
                "there have been too many wrong ones, wait a second"
            }
            Some(Ok(token)) if expected.is(token) => return Ok(()),
            Some(Ok(_)) => {
                guesses.note(now);
                tracing::warn!("somebody asked for a rate with a wrong token");
                "it is not the right one"
            }
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
        match (asks.ask(&payload, &mut Visitor::new(1), Duration::ZERO), expected) {
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
        check(&asks, json!({"freq": 6, "token": ["correct-horse"]}), Err("token: it is no text"));
        check(&asks, json!({"freq": 0}), Err("token: it is missing"));
    }

    #[test]
    fn guessing_is_limited_too() {
        let asks = asks(Some("correct-horse"));
        // Each by another visitor.
        let ask = |token: &str, second: u64| {
            let payload = json!({"freq": 6, "token": token});
            asks.ask(&payload, &mut Visitor::new(1), Duration::from_secs(second))
        };
        for guess in 0..5 {
            let Answer::Refused { error } = ask(&guess.to_string(), 0) else { panic!("{guess}") };
            assert!(error.contains("not the right one"), "{error}");
        }
        let Answer::Refused { error } = ask("correct-horse", 0) else { panic!("accepted") };
        assert!(error.contains("too many wrong ones"), "{error}");
        assert_eq!(ask("correct-horse", 1), Answer::Accepted { freq: 6.0 });
    }
}
