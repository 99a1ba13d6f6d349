//! When load ends by itself: a page that anybody can open must not drive a worker for ever.
//!
//! No clock: time comes in as an argument.

use std::{collections::VecDeque, fmt, time::Duration};

use contract::Ledger;

/// How long load goes on when nobody watches.
const UNWATCHED: Duration = Duration::from_secs(30);

/// How long load goes on after somebody has last asked for a rate.
pub(crate) const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// How long load goes on when almost everything fails.
const FAILING: Duration = Duration::from_secs(60);

/// What almost everything is, in percent of the requests that have ended.
const ALMOST_ALL: u64 = 95;

/// Why load ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Unwatched,
    Forgotten,
    Failing,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwatched => write!(f, "nobody has watched for {} seconds", UNWATCHED.as_secs()),
            Self::Forgotten => {
                write!(f, "nobody has asked for a rate for {} minutes", FORGOTTEN.as_secs() / 60)
            }
            Self::Failing => {
                write!(
                    f,
                    "{ALMOST_ALL} % of the requests have failed for {} seconds",
                    FAILING.as_secs()
                )
            }
        }
    }
}

/// Looks at a load, once a second, while there is one.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    /// When somebody was last watching.
    watched: Duration,
    /// The requests that had been answered, and that had failed, at each look of the last minute.
    ended: VecDeque<(Duration, u64, u64)>,
}

/// What there is to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) now: Duration,
    /// Whether there is load.
    pub(crate) is_loading: bool,
    /// When somebody last asked for a rate.
    pub(crate) asked: Duration,
    pub(crate) viewers: usize,
    pub(crate) ledger: Ledger,
}

impl Stops {
    /// Whether load is to end now, and why.
    pub(crate) fn look(&mut self, look: Look) -> Option<Stop> {
        let Look { now, is_loading, asked, viewers, ledger } = look;
        if 0 < viewers {
            self.watched = now;
        }
        if !is_loading {
            self.ended.clear();
            return None;
        }
        self.ended.push_back((now, ledger.answered, ledger.failed.total()));
        while self.ended.get(1).is_some_and(|(at, ..)| *at + FAILING <= now) {
            self.ended.pop_front();
        }
        if UNWATCHED <= now.saturating_sub(self.watched) {
            return Some(Stop::Unwatched);
        }
        if FORGOTTEN <= now.saturating_sub(asked) {
            return Some(Stop::Forgotten);
        }
        let (since, answered, failed) = self.ended.front()?;
        let (answered, failed) = (ledger.answered - answered, ledger.failed.total() - failed);
        let is_failing = 0 < failed && ALMOST_ALL * (answered + failed) <= 100 * failed;
        (is_failing && FAILING <= now.saturating_sub(*since)).then_some(Stop::Failing)
    }
}

/// At most five in a second: changes of the rate from one visitor, wrong tokens from all.
#[derive(Debug, Default)]
pub(crate) struct ChangeLimit(VecDeque<Duration>);

impl ChangeLimit {
    const CHANGES: usize = 5;

    /// Whether a change is allowed now. If so, it is one of the five.
    pub(crate) fn allows(&mut self, now: Duration) -> bool {
        let allows = !self.is_reached(now);
        if allows {
            self.note(now);
        }
        allows
    }

    /// Whether there have been five in the last second.
    pub(crate) fn is_reached(&mut self, now: Duration) -> bool {
        while self.0.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
            self.0.pop_front();
        }
        Self::CHANGES <= self.0.len()
    }

    /// Notes one more; only while the limit is not reached, or more than five would be kept.
    pub(crate) fn note(&mut self, now: Duration) {
        self.0.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use contract::Failures;

    use super::*;

    /// Looks each second, from the first to the last, until load ends; returns when and why.
    fn play(seconds: std::ops::Range<u64>, look: impl Fn(u64) -> Look) -> Option<(u64, Stop)> {
        let mut stops = Stops::default();
        seconds.into_iter().find_map(|second| Some((second, stops.look(look(second))?)))
    }

    fn healthy(second: u64) -> Look {
        Look {
            now: Duration::from_secs(second),
            is_loading: true,
            asked: Duration::from_secs(second),
            viewers: 1,
            ledger: Ledger { answered: 20 * second, ..Ledger::default() },
        }
    }

    #[test]
    fn a_load_that_is_watched_asked_for_and_answered_goes_on() {
        assert_eq!(play(0..10_000, healthy), None);
    }

    #[test]
    fn load_ends_when_nobody_has_watched_for_30_seconds() {
        let left_at =
            |left| move |second| Look { viewers: usize::from(second < left), ..healthy(second) };
        assert_eq!(play(0..1000, left_at(101)), Some((130, Stop::Unwatched)));
        let back_in_time =
            |second| Look { viewers: usize::from(second % 30 == 0), ..healthy(second) };
        assert_eq!(play(0..1000, back_in_time), None);
    }

    #[test]
    fn load_ends_15_minutes_after_somebody_has_asked_for_it() {
        let asked = |second| Look { asked: Duration::from_secs(100), ..healthy(second) };
        assert_eq!(play(0..5000, asked), Some((1000, Stop::Forgotten)));
    }

    #[test]
    fn load_ends_when_almost_everything_has_failed_for_a_minute() {
        let failing = |answered_of_20: u64| {
            move |second: u64| {
                let bad = second.saturating_sub(100);
                let failed =
                    Failures { connect: (20 - answered_of_20) * bad, ..Failures::default() };
                let answered = 20 * second.min(100) + answered_of_20 * bad;
                Look { ledger: Ledger { answered, failed, ..Ledger::default() }, ..healthy(second) }
            }
        };
        assert_eq!(
            play(0..1000, failing(0)),
            Some((157, Stop::Failing)),
            "95 % of the last minute"
        );
        assert_eq!(play(0..1000, failing(1)), Some((160, Stop::Failing)));
        assert_eq!(play(0..1000, failing(2)), None);
        let silent = |second| Look { ledger: Ledger::default(), ..healthy(second) };
        assert_eq!(play(0..1000, silent), None, "nothing has failed if nothing has ended");
    }

    #[test]
    fn five_changes_a_second_are_allowed() {
        let mut limit = ChangeLimit::default();
        let allowed = |limit: &mut ChangeLimit, ms| limit.allows(Duration::from_millis(ms));
        for ms in [0, 100, 200, 300, 400] {
            assert!(allowed(&mut limit, ms));
        }
        assert!(!allowed(&mut limit, 999));
        assert!(allowed(&mut limit, 1000));
        assert!(!allowed(&mut limit, 1050));
        assert!(allowed(&mut limit, 1100));
    }
}
