//! Validates the rates that visitors request, and passes them to the control.

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

use crate::{
    control::Control, control_token::ControlToken, load::rate::Rate, rate_limit::RateLimit,
};

/// Takes requests for a rate. Clones share their counts and limits.
#[derive(Clone)]
pub(crate) struct RateRequests {
    control: Control,
    max_rate: u32,
    token: Option<ControlToken>,
    /// Limits the wrong tokens of all visitors together: one attacker can be many visitors.
    wrong_tokens: Arc<Mutex<RateLimit>>,
    start: Instant,
    counts: Family<ResultLabels, Counter>,
}

/// A visitor, who may request rates.
#[derive(Debug)]
pub(crate) struct Visitor {
    number: u64,
    changes: RateLimit,
}

impl Visitor {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, changes: RateLimit::default() }
    }
}

/// The result of a request for a rate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabels {
    result: &'static str,
}

/// Why a request for a rate is refused: as the metric's label, and as a sentence.
type Refusal = (&'static str, String);

impl RateRequests {
    /// Accepts rates up to `max_rate` requests per second, from visitors who know the token if
    /// there is one.
    pub(crate) fn new(control: Control, max_rate: u32, token: Option<ControlToken>) -> Self {
        let (wrong_tokens, counts) = (Arc::default(), Family::default());
        Self { control, max_rate, token, wrong_tokens, start: Instant::now(), counts }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The number of requests for a rate, by result.
    pub(crate) fn counts(&self) -> Family<ResultLabels, Counter> {
        self.counts.clone()
    }

    /// Answers a visitor's request for a rate.
    pub(crate) fn answer(&self, payload: &Value, visitor: &mut Visitor, now: Duration) -> Answer {
        let validated = self.validate(payload, &mut visitor.changes, now);
        let result = validated.as_ref().map_or_else(|(result, _)| *result, |_| "accepted");
        self.counts.get_or_create(&ResultLabels { result }).inc();
        match validated {
            Ok(rate) => {
                self.control.request(rate, visitor.number);
                Answer::Accepted { freq: rate.per_second() }
            }
            Err((_, error)) => Answer::Refused { error },
        }
    }

    fn validate(
        &self,
        payload: &Value,
        changes: &mut RateLimit,
        now: Duration,
    ) -> Result<Rate, Refusal> {
        let rate = Rate::parse(payload, self.max_rate).map_err(|error| ("malformed", error))?;
        if !changes.allow(now) {
            let error = "freq: too many changes; accepted: five in a second";
            return Err(("too_often", error.to_owned()));
        }
        self.check_token(payload.get("token"), now)?;
        Ok(rate)
    }

    fn check_token(&self, token: Option<&Value>, now: Duration) -> Result<(), Refusal> {
        let Some(expected) = &self.token else { return Ok(()) };
        let mut wrong_tokens = self.wrong_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = match token.map(|token| token.as_str().ok_or(())) {
            None | Some(Ok("")) => "it is missing",
            Some(Err(())) => "it is not a string",
            // The token is not even compared, or an attacker could try as many as time allows.
            Some(Ok(_)) if wrong_tokens.is_reached(now) => "too many wrong tokens, wait a second",
            Some(Ok(token)) if expected.matches(token) => return Ok(()),
            Some(Ok(_)) => {
                wrong_tokens.record(now);
                tracing::warn!("a visitor requested a rate with a wrong token");
                "it is not the right one"
            }
        };
        let error = format!("token: {problem}; accepted: the CONTROL_TOKEN of this frontend");
        Err(("unauthorized", error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rate_requests(token: Option<&str>) -> RateRequests {
        RateRequests::new(Control::new(), 1000, token.map(|token| token.parse().unwrap()))
    }

    #[track_caller]
    fn check(requests: &RateRequests, payload: Value, expected: Result<f64, &str>) {
        let before = requests.control.rate();
        match (requests.answer(&payload, &mut Visitor::new(1), Duration::ZERO), expected) {
            (Answer::Accepted { freq }, Ok(expected)) => {
                assert_eq!(freq, expected);
                assert_eq!(requests.control.rate().per_second(), expected);
            }
            (Answer::Refused { error }, Err(part)) => {
                assert!(error.contains(part), "{error} does not say {part:?}");
                assert_eq!(requests.control.rate(), before);
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?} for {payload}"),
        }
    }

    #[test]
    fn without_a_token_every_visitor_may_change_the_rate() {
        check(&rate_requests(None), json!({"freq": 5}), Ok(5.0));
        check(&rate_requests(None), json!({"freq": 5, "token": "whatever"}), Ok(5.0));
        check(&rate_requests(None), json!({"freq": 1001}), Err("freq: 1001 is not accepted"));
    }

    #[test]
    fn with_a_token_only_visitors_who_know_it_may_change_the_rate() {
        let requests = rate_requests(Some("correct-horse"));
        let payload = |token: Value| json!({"freq": 6, "token": token});
        check(&requests, json!({"freq": 5, "token": "correct-horse"}), Ok(5.0));
        check(&requests, json!({"freq": 6}), Err("token: it is missing"));
        check(&requests, payload("".into()), Err("token: it is missing"));
        check(&requests, payload("correct-hors".into()), Err("token: it is not the right"));
        check(&requests, payload(json!(["correct-horse"])), Err("token: it is not a string"));
        check(&requests, json!({"freq": 0}), Err("token: it is missing"));
    }

    #[test]
    fn after_five_wrong_tokens_no_token_is_checked_for_a_second() {
        let requests = rate_requests(Some("correct-horse"));
        // Each request comes from another visitor.
        let answer = |token: &str, second: u64| {
            let payload = json!({"freq": 6, "token": token});
            requests.answer(&payload, &mut Visitor::new(1), Duration::from_secs(second))
        };
        for guess in 0..5 {
            let answer = answer(&guess.to_string(), 0);
            let Answer::Refused { error } = answer else { panic!("{guess}") };
            assert!(error.contains("not the right one"), "{error}");
        }
        let Answer::Refused { error } = answer("correct-horse", 0) else { panic!("accepted") };
        assert!(error.contains("too many wrong tokens"), "{error}");
        assert_eq!(answer("correct-horse", 1), Answer::Accepted { freq: 6.0 });
    }
}
