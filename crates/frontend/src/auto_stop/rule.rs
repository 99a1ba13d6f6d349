//! The rule that ends the load. It knows no clock: time is an argument.

use std::{collections::VecDeque, fmt, time::Duration};

use contract::Ledger;

/// How long the load goes on while nobody watches.
const MAX_UNWATCHED: Duration = Duration::from_secs(30);

/// How long the load goes on after the last request for a rate.
pub(crate) const MAX_UNREQUESTED: Duration = Duration::from_secs(15 * 60);

/// How long the load goes on while almost all requests fail.
const MAX_FAILING: Duration = Duration::from_secs(60);

/// The percentage of the ended requests that counts as almost all.
const FAILING_PERCENT: u64 = 95;

/// Why the load ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    Unwatched,
    Unrequested,
    Failing,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwatched => {
                write!(f, "nobody has watched for {} seconds", MAX_UNWATCHED.as_secs())
            }
            Self::Unrequested => {
                let minutes = MAX_UNREQUESTED.as_secs() / 60;
                write!(f, "nobody has requested a rate for {minutes} minutes")
            }
            Self::Failing => {
                let seconds = MAX_FAILING.as_secs();
                write!(f, "{FAILING_PERCENT} % of the requests have failed for {seconds} seconds")
            }
        }
    }
}

/// Decides from one observation a second whether the load ends.
#[derive(Debug, Default)]
pub(super) struct Rule {
    /// When somebody last watched.
    watched_at: Duration,
    /// The numbers of answered and of failed requests at each observation of the last minute.
    ended: VecDeque<(Duration, u64, u64)>,
}

/// An observation of the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    pub(super) now: Duration,
    /// Whether the rate is not zero.
    pub(super) is_loading: bool,
    /// When somebody last requested a rate.
    pub(super) requested_at: Duration,
    pub(super) viewers: usize,
    pub(super) ledger: Ledger,
}

impl Rule {
    /// Returns why the load ends now; `None` if it goes on.
    pub(super) fn observe(&mut self, observation: Observation) -> Option<StopReason> {
        let Observation { now, is_loading, requested_at, viewers, ledger } = observation;
        // Whoever requests a rate watches, even if they leave before the next observation.
        let watched_at = if 0 < viewers { now } else { requested_at };
        self.watched_at = self.watched_at.max(watched_at);
        if !is_loading {
            self.ended.clear();
            return None;
        }
        self.ended.push_back((now, ledger.answered, ledger.failed.total()));
        while self.ended.get(1).is_some_and(|(at, ..)| *at + MAX_FAILING <= now) {
            self.ended.pop_front();
        }
        if MAX_UNWATCHED <= now.saturating_sub(self.watched_at) {
            return Some(StopReason::Unwatched);
        }
        if MAX_UNREQUESTED <= now.saturating_sub(requested_at) {
            return Some(StopReason::Unrequested);
        }
        let (since, answered, failed) = self.ended.front()?;
        let (answered, failed) = (ledger.answered - answered, ledger.failed.total() - failed);
        let is_failing = 0 < failed && FAILING_PERCENT * (answered + failed) <= 100 * failed;
        (is_failing && MAX_FAILING <= now.saturating_sub(*since)).then_some(StopReason::Failing)
    }
}

#[cfg(test)]
mod tests {
    use contract::Failures;

    use super::*;

    /// Observes once each second until the load ends; returns when and why.
    fn play(
        seconds: std::ops::Range<u64>,
        observe: impl Fn(u64) -> Observation,
    ) -> Option<(u64, StopReason)> {
        let mut rule = Rule::default();
        seconds.into_iter().find_map(|second| Some((second, rule.observe(observe(second))?)))
    }

    fn healthy(second: u64) -> Observation {
        Observation {
            now: Duration::from_secs(second),
            is_loading: true,
            requested_at: Duration::from_secs(second),
            viewers: 1,
            ledger: Ledger { answered: 20 * second, ..Ledger::default() },
        }
    }

    #[test]
    fn a_load_that_is_watched_requested_and_answered_goes_on() {
        assert_eq!(play(0..10_000, healthy), None);
    }

    #[test]
    fn the_load_ends_when_nobody_has_watched_for_30_seconds() {
        let requested_at = Duration::from_secs(100);
        let unrequested = |second| Observation { requested_at, ..healthy(second) };
        let left_at = |left| {
            move |second| Observation { viewers: usize::from(second < left), ..unrequested(second) }
        };
        assert_eq!(play(0..1000, left_at(101)), Some((130, StopReason::Unwatched)));
        let back_in_time =
            |second| Observation { viewers: usize::from(second % 30 == 0), ..unrequested(second) };
        assert_eq!(play(0..1000, back_in_time), None);
        // Somebody requests a rate and leaves between two observations.
        let requested_at = Duration::from_millis(100_500);
        let passing = |second| Observation { viewers: 0, requested_at, ..healthy(second) };
        assert_eq!(play(101..1000, passing), Some((131, StopReason::Unwatched)));
    }

    #[test]
    fn the_load_ends_15_minutes_after_the_last_request_for_a_rate() {
        let requested =
            |second| Observation { requested_at: Duration::from_secs(100), ..healthy(second) };
        assert_eq!(play(0..5000, requested), Some((1000, StopReason::Unrequested)));
    }

    #[test]
    fn the_load_ends_when_almost_all_requests_have_failed_for_a_minute() {
        let failing = |answered_in_20: u64| {
            move |second: u64| {
                let failing_seconds = second.saturating_sub(100);
                let connect = (20 - answered_in_20) * failing_seconds;
                let failed = Failures { connect, ..Failures::default() };
                let answered = 20 * second.min(100) + answered_in_20 * failing_seconds;
                let ledger = Ledger { answered, failed, ..Ledger::default() };
                Observation { ledger, ..healthy(second) }
            }
        };
        let expected = Some((157, StopReason::Failing));
        assert_eq!(play(0..1000, failing(0)), expected, "95 % of the last minute");
        assert_eq!(play(0..1000, failing(1)), Some((160, StopReason::Failing)));
        assert_eq!(play(0..1000, failing(2)), None);
        let silent = |second| Observation { ledger: Ledger::default(), ..healthy(second) };
        assert_eq!(play(0..1000, silent), None, "no request has ended, so none has failed");
    }
}
