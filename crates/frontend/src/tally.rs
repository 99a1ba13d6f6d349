//! Counts where every planned request is, and every result that is seen.
//!
//! `planned = sent + missed + shed` and `sent = answered + failed + in flight` hold at every instant,
//! because each step of a request is one call here.

use std::collections::BTreeMap;

use contract::{Ledger, Results};

/// How many prefixes are counted apart; results with any other are counted under [`OTHER`].
const MAX_PREFIXES: usize = 8;

/// Stands for every prefix beyond the first few, and for messages that no worker has published.
const OTHER: &str = "other";

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection to the worker.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Reset,
    /// A status other than 200.
    Status(u16),
}

/// The counts, since the frontend started.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ledger: Ledger,
    results: Results,
}

impl Tally {
    /// A slot has come, and its request is sent.
    pub(crate) fn send(&mut self) {
        self.ledger.planned += 1;
        self.ledger.sent += 1;
        self.ledger.in_flight += 1;
    }

    /// A slot has come, but too many requests are in flight.
    pub(crate) fn shed(&mut self) {
        self.ledger.planned += 1;
        self.ledger.shed += 1;
    }

    /// Slots have come too late to be sent.
    pub(crate) fn miss(&mut self, slots: u64) {
        self.ledger.planned += slots;
        self.ledger.missed += slots;
    }

    /// A request that was sent has ended.
    pub(crate) fn end(&mut self, result: Result<(), Failure>) {
        let ledger = &mut self.ledger;
        ledger.in_flight -= 1;
        let count = match result {
            Ok(()) => &mut ledger.answered,
            Err(Failure::Connect) => &mut ledger.failed.connect,
            Err(Failure::Timeout) => &mut ledger.failed.timeout,
            Err(Failure::Reset) => &mut ledger.failed.reset,
            Err(Failure::Status(503)) => &mut ledger.failed.unavailable,
            Err(Failure::Status(500..)) => &mut ledger.failed.server_error,
            Err(Failure::Status(_)) => &mut ledger.failed.refused,
        };
        *count += 1;
    }

    /// A result has been seen, and shown to the browsers or not.
    pub(crate) fn see(&mut self, prefix: Option<&str>, shown: bool) {
        let results = &mut self.results;
        results.total += 1;
        results.unshown += u64::from(!shown);
        *bounded(&mut results.by_prefix, prefix.unwrap_or(OTHER)) += 1;
    }

    /// Results have come faster than they could be read.
    pub(crate) fn drop_results(&mut self, results: u64) {
        self.results.dropped += results;
    }

    /// Where every request is now.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// The results seen so far.
    pub(crate) fn results(&self) -> Results {
        self.results.clone()
    }
}

fn bounded<'a>(counts: &'a mut BTreeMap<String, u64>, prefix: &str) -> &'a mut u64 {
    let known = counts.contains_key(prefix) || counts.len() < MAX_PREFIXES;
    let key = if known { prefix } else { OTHER };
    counts.entry(key.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use contract::Failures;

    use super::*;

    #[track_caller]
    fn check_adds_up(tally: &Tally) {
        let Ledger { planned, sent, missed, shed, answered, failed, in_flight } = tally.ledger();
        assert_eq!(planned, sent + missed + shed);
        assert_eq!(sent, answered + failed.total() + in_flight);
    }

    #[test]
    fn every_request_is_somewhere_at_every_instant() {
        let mut tally = Tally::default();
        let ends = [
            Ok(()),
            Err(Failure::Connect),
            Err(Failure::Timeout),
            Err(Failure::Reset),
            Err(Failure::Status(503)),
            Err(Failure::Status(500)),
            Err(Failure::Status(404)),
        ];
        for (index, end) in ends.into_iter().enumerate() {
            tally.send();
            check_adds_up(&tally);
            tally.shed();
            tally.miss(3);
            check_adds_up(&tally);
            tally.end(end);
            check_adds_up(&tally);
            assert_eq!(tally.ledger().failed.total(), index as u64, "each end is counted once");
        }
        let once = Failures {
            connect: 1,
            timeout: 1,
            reset: 1,
            unavailable: 1,
            server_error: 1,
            refused: 1,
        };
        assert_eq!(tally.ledger().failed, once);
    }

    #[test]
    fn prefixes_are_counted_apart_but_not_without_bound() {
        let mut tally = Tally::default();
        for index in 0..100 {
            tally.see(Some(&format!("prefix-{index}")), true);
        }
        tally.see(Some("prefix-0"), true);
        tally.see(None, false);
        let results = tally.results();
        assert_eq!(results.total, 102);
        assert_eq!(results.unshown, 1);
        assert_eq!(results.by_prefix["prefix-0"], 2);
        assert_eq!(results.by_prefix[OTHER], 93);
        assert_eq!(results.by_prefix.len(), MAX_PREFIXES + 1);
    }
}
