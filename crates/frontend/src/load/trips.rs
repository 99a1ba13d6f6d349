//! Trips: measures the time of each request from its sending to the arrival of its result on Redis.
//!
//! The hash matches the two: the worker's answer contains it, and so does the result. Either may
//! come first. Nothing here knows a clock: time is an argument.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use contract::{Trips as Counts, calculation::HASH_LENGTH};

/// How long an answer and its result wait for each other, and how long a duplicate is recognized.
const WAIT: Duration = Duration::from_secs(5);

/// How many hashes are remembered: more than come in that time at the highest rate of a page. Beyond
/// it, the oldest are forgotten early.
const MAX_REMEMBERED: usize = 65_536;

type Hash = [u8; HASH_LENGTH];

/// The state of one hash.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The request is answered; its result has not arrived.
    Answered { sent: Duration },
    /// The result has arrived; its request is not answered.
    Arrived { at: Duration },
    /// Both.
    Matched,
}

/// The trips that have not ended, and the number of those that have.
#[derive(Debug, Default)]
pub(crate) struct Trips {
    remembered: HashMap<Hash, State>,
    /// The hashes in the order in which they are forgotten, each with its time.
    order: VecDeque<(Duration, Hash)>,
    counts: Counts,
}

impl Trips {
    /// Records the answer to a request, with its calculation. Returns the time of the trip if the
    /// result has already arrived.
    pub(crate) fn record_answer(
        &mut self,
        now: Duration,
        calculation: &str,
        sent: Duration,
    ) -> Option<Duration> {
        let hash = hash(calculation)?;
        self.expire(now);
        match self.remembered.get(&hash) {
            Some(State::Arrived { at }) => {
                let trip = at.saturating_sub(sent);
                self.record_match(hash);
                Some(trip)
            }
            // The same random string was sent twice.
            Some(_) => None,
            None => {
                self.remember(now, hash, State::Answered { sent });
                None
            }
        }
    }

    /// Records a result that has arrived. Returns the time of the trip if its request is already
    /// answered.
    pub(crate) fn record_result(&mut self, now: Duration, calculation: &str) -> Option<Duration> {
        let Some(hash) = hash(calculation) else {
            self.counts.foreign += 1;
            return None;
        };
        self.expire(now);
        match self.remembered.get(&hash) {
            Some(State::Answered { sent }) => {
                let trip = now.saturating_sub(*sent);
                self.record_match(hash);
                Some(trip)
            }
            Some(_) => {
                self.counts.doubled += 1;
                None
            }
            None => {
                self.remember(now, hash, State::Arrived { at: now });
                None
            }
        }
    }

    /// The number of trips that have ended, by their end.
    pub(crate) fn counts(&mut self, now: Duration) -> Counts {
        self.expire(now);
        self.counts
    }

    fn record_match(&mut self, hash: Hash) {
        self.remembered.insert(hash, State::Matched);
        self.counts.matched += 1;
    }

    fn remember(&mut self, now: Duration, hash: Hash, state: State) {
        if self.order.len() == MAX_REMEMBERED {
            self.forget_oldest();
        }
        self.remembered.insert(hash, state);
        self.order.push_back((now + WAIT, hash));
    }

    fn expire(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, hash)) = self.order.pop_front() else { return };
        match self.remembered.remove(&hash) {
            Some(State::Answered { .. }) => self.counts.lost += 1,
            Some(State::Arrived { .. }) => self.counts.foreign += 1,
            Some(State::Matched) | None => {}
        }
    }
}

fn hash(calculation: &str) -> Option<Hash> {
    calculation.as_bytes().last_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn calculation(number: usize) -> String {
        format!("bursty-{number:0HASH_LENGTH$}")
    }

    #[test]
    fn an_answer_and_its_result_match_whichever_comes_first() {
        let mut trips = Trips::default();
        assert_eq!(trips.record_answer(ms(10), &calculation(1), ms(4)), None);
        assert_eq!(trips.record_result(ms(11), &calculation(1)), Some(ms(7)));
        assert_eq!(trips.record_result(ms(20), &calculation(2)), None);
        assert_eq!(trips.record_answer(ms(21), &calculation(2), ms(15)), Some(ms(5)));
        let counts = Counts { matched: 2, ..Counts::default() };
        assert_eq!(trips.counts(ms(100_000)), counts);
    }

    #[test]
    fn results_are_lost_foreign_or_doubled() {
        let mut trips = Trips::default();
        trips.record_answer(ms(0), &calculation(1), ms(0));
        trips.record_result(ms(0), &calculation(2));
        trips.record_result(ms(0), "no calculation");
        trips.record_answer(ms(0), &calculation(3), ms(0));
        trips.record_result(ms(1), &calculation(3));
        trips.record_result(ms(2), &calculation(3));
        assert_eq!(trips.counts(ms(4999)), Counts { matched: 1, lost: 0, doubled: 1, foreign: 1 });
        assert_eq!(trips.counts(ms(5000)), Counts { matched: 1, lost: 1, doubled: 1, foreign: 2 });
    }

    #[test]
    fn the_memory_is_limited() {
        let mut trips = Trips::default();
        for number in 0..2 * MAX_REMEMBERED {
            trips.record_result(ms(0), &calculation(number));
        }
        assert_eq!(trips.remembered.len(), MAX_REMEMBERED);
        assert_eq!(trips.counts(ms(0)).foreign, MAX_REMEMBERED as u64);
    }
}
