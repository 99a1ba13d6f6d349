//! Finds out which decisions are news, because the log does not repeat itself every second.

use std::collections::HashMap;

use policy::{Decision, Weights};

/// A load near a limit alternates between two reasons. A routine hold is news once in so many decisions.
const QUIET_FOR: u64 = 60;

/// The decision that was logged last.
#[derive(Debug, Default)]
pub(super) struct DecisionLog {
    last: Option<Topic>,
    /// Whether the last decision was written.
    was_written: bool,
    /// The number of decisions.
    decisions: u64,
    /// When each routine hold was last news, by its name.
    routine_holds: HashMap<&'static str, u64>,
}

/// What makes two decisions the same news: the name of the reason, its detail, and the weights.
#[derive(Debug, Default, PartialEq)]
struct Topic {
    reason: &'static str,
    detail: String,
    weights: Option<Weights>,
}

impl DecisionLog {
    /// Takes a decision; returns whether it is news.
    pub(super) fn is_news(&mut self, decision: &Decision, is_written: bool) -> bool {
        let Decision { weights, is_write, reason } = decision;
        self.decisions += 1;
        if reason.is_routine_hold() {
            let last = self.routine_holds.get(reason.name());
            if last.is_some_and(|last| self.decisions < last + QUIET_FOR) {
                return false;
            }
            self.routine_holds.insert(reason.name(), self.decisions);
        }
        let is_calm = !is_write && reason.is_calm();
        let topic = if is_calm {
            // All reasons for no change are the same news.
            Topic::default()
        } else {
            Topic {
                reason: reason.name(),
                detail: reason.detail().to_owned(),
                // While the weights are held, the desired weights move with the load.
                weights: (!reason.is_hold()).then_some(*weights),
            }
        };
        let is_repeated = self.last.as_ref() == Some(&topic);
        // After a write, a calm decision goes without saying.
        let is_expected = self.was_written && is_calm;
        self.last = Some(topic);
        self.was_written = is_written;
        is_written || !(is_repeated || is_expected)
    }
}

#[cfg(test)]
mod tests {
    use contract::Cluster;
    use policy::{Estimate, Reason};

    use super::*;

    fn estimate(rate: f64) -> Estimate {
        Estimate { rate, ..Estimate::default() }
    }

    fn decision(is_write: bool, reason: Reason) -> Decision {
        Decision { weights: Weights::all_to(Cluster::Burst), is_write, reason }
    }

    #[test]
    fn a_decision_is_news_once() {
        let mut log = DecisionLog::default();
        let calm = |rate| decision(false, Reason::NoChange { estimate: estimate(rate) });
        assert!(log.is_news(&calm(5.0), false), "the first");
        assert!(!log.is_news(&calm(6.0), false), "another rate is no news");
        let high = decision(true, Reason::High { estimate: estimate(20.0), above: 15.0 });
        assert!(log.is_news(&high, true), "a write");
        assert!(!log.is_news(&calm(20.0), false), "calm after a write");
        assert!(log.is_news(&decision(false, Reason::Paused { by: "a" }), false), "a hold");
        assert!(!log.is_news(&decision(false, Reason::Paused { by: "a" }), false), "the same hold");
        assert!(log.is_news(&calm(20.0), false), "the end of the hold");
    }

    #[test]
    fn a_load_near_a_limit_is_news_once_a_minute() {
        let mut log = DecisionLog::default();
        let calm = decision(false, Reason::NoChange { estimate: estimate(15.0) });
        let hold = decision(false, Reason::HighUnproven { estimate: estimate(15.1), above: 15.0 });
        log.is_news(&calm, false);
        let news = (0..300)
            .filter(|second| log.is_news(if second % 2 == 0 { &hold } else { &calm }, false));
        assert_eq!(news.count(), 10, "the hold and its end, five times");
    }

    #[test]
    fn a_failed_write_is_news_once() {
        let mut log = DecisionLog::default();
        let high = decision(true, Reason::High { estimate: estimate(20.0), above: 15.0 });
        assert!(log.is_news(&high, false));
        assert!(!log.is_news(&high, false));
        assert!(log.is_news(&high, true), "its success is");
    }
}
