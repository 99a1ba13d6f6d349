//! Follows each request the whole way: from its sending to the arrival of its result on Redis.
//!
//! The two meet by the hash, which the worker's answer names and the result ends with; either may come
//! first. No clock: time comes in as an argument.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use contract::{Trips as Counts, calculation::HASH_LENGTH};

/// How long one half waits for the other, and how long a second result is known to be one.
const WAIT: Duration = Duration::from_secs(5);

/// How many hashes are remembered: more than come in that time at the highest rate. The oldest is
/// forgotten early rather than a newer one not followed.
const MAX_REMEMBERED: usize = 65_536;

type Hash = [u8; HASH_LENGTH];

/// What is known of one hash.
#[derive(Clone, Copy, Debug)]
enum Half {
    /// Answered, and sent then; the result has not arrived.
    Answered(Duration),
    /// The result arrived then; there is no answer yet.
    Arrived(Duration),
    /// Both.
    Matched,
}

/// The requests that are on their way, and how the others have ended.
#[derive(Debug, Default)]
pub(crate) struct Trips {
    remembered: HashMap<Hash, Half>,
    /// In the order in which they are forgotten.
    order: VecDeque<(Duration, Hash)>,
    counts: Counts,
}

impl Trips {
    /// A request that was sent at `sent` has been answered with this calculation. Returns how long the
    /// whole way took, if the result is there already.
    pub(crate) fn answer(
        &mut self,
        now: Duration,
        calculation: &str,
        sent: Duration,
    ) -> Option<Duration> {
        let hash = hash(calculation)?;
        self.expire(now);
        match self.remembered.get(&hash) {
            Some(Half::Arrived(at)) => {
                let took = at.saturating_sub(sent);
                self.match_up(hash);
                Some(took)
            }
            // The same string was sent twice, by chance.
            Some(_) => None,
            None => {
                self.remember(now, hash, Half::Answered(sent));
                None
            }
        }
    }

    /// A result has arrived. Returns how long the whole way took, if its request has been answered.
    pub(crate) fn arrive(&mut self, now: Duration, calculation: &str) -> Option<Duration> {
        let Some(hash) = hash(calculation) else {
            self.counts.foreign += 1;
            return None;
        };
        self.expire(now);
        match self.remembered.get(&hash) {
            Some(Half::Answered(sent)) => {
                let took = now.saturating_sub(*sent);
                self.match_up(hash);
                Some(took)
            }
            Some(_) => {
                self.counts.doubled += 1;
                None
            }
            None => {
                self.remember(now, hash, Half::Arrived(now));
                None
            }
        }
    }

    /// How the trips have ended so far.
    pub(crate) fn counts(&mut self, now: Duration) -> Counts {
        self.expire(now);
        self.counts
    }

    fn match_up(&mut self, hash: Hash) {
        self.remembered.insert(hash, Half::Matched);
        self.counts.matched += 1;
    }

    fn remember(&mut self, now: Duration, hash: Hash, half: Half) {
        if self.order.len() == MAX_REMEMBERED {
            self.forget_oldest();
        }
        self.remembered.insert(hash, half);
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
            Some(Half::Answered(_)) => self.counts.lost += 1,
            Some(Half::Arrived(_)) => self.counts.foreign += 1,
            Some(Half::Matched) | None => {}
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
    fn the_two_halves_meet_whichever_comes_first() {
        let mut trips = Trips::default();
        assert_eq!(trips.answer(ms(10), &calculation(1), ms(4)), None);
        assert_eq!(trips.arrive(ms(11), &calculation(1)), Some(ms(7)));
        assert_eq!(trips.arrive(ms(20), &calculation(2)), None);
        assert_eq!(trips.answer(ms(21), &calculation(2), ms(15)), Some(ms(5)));
        let counts = Counts { matched: 2, ..Counts::default() };
        assert_eq!(trips.counts(ms(100_000)), counts);
    }

    #[test]
    fn results_are_lost_foreign_or_doubled() {
        let mut trips = Trips::default();
        trips.answer(ms(0), &calculation(1), ms(0));
        trips.arrive(ms(0), &calculation(2));
        trips.arrive(ms(0), "no calculation");
        trips.answer(ms(0), &calculation(3), ms(0));
        trips.arrive(ms(1), &calculation(3));
        trips.arrive(ms(2), &calculation(3));
        assert_eq!(trips.counts(ms(4999)), Counts { matched: 1, lost: 0, doubled: 1, foreign: 1 });
        assert_eq!(trips.counts(ms(5000)), Counts { matched: 1, lost: 1, doubled: 1, foreign: 2 });
    }

    #[test]
    fn memory_has_a_limit() {
        let mut trips = Trips::default();
        for number in 0..2 * MAX_REMEMBERED {
            trips.arrive(ms(0), &calculation(number));
        }
        assert_eq!(trips.remembered.len(), MAX_REMEMBERED);
        assert_eq!(trips.counts(ms(0)).foreign, MAX_REMEMBERED as u64);
    }
}
