//! Chooses which results are shown when there are more than a page can show.
//!
//! No clock: time comes in as an argument. The rule is the generic cell rate algorithm (ITU-T I.371):
//! each result that is shown moves a theoretical time on by one interval, and a result is shown while
//! that time is at most a tolerance ahead of now.

use std::time::Duration;

/// One result in 10 ms, that is 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);

/// How unevenly results may come and still all be shown: a second's worth at once.
const TOLERANCE: Duration = Duration::from_millis(990);

/// Shows every result up to 100 a second, and an even sample of them above that.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// The time at which the next result would come if all those shown had come evenly.
    theoretical: Duration,
}

impl Sampler {
    /// Whether a result that arrives at `now` is shown.
    pub(crate) fn shows(&mut self, now: Duration) -> bool {
        let earliest = self.theoretical.saturating_sub(TOLERANCE);
        let shows = earliest <= now;
        if shows {
            self.theoretical = self.theoretical.max(now) + INTERVAL;
        }
        shows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `count` results that come evenly over a second, starting at `second`, which are shown?
    fn shown(sampler: &mut Sampler, second: u64, count: u32) -> Vec<u32> {
        let start = Duration::from_secs(second);
        let at = |index| start + Duration::from_secs(1) * index / count;
        (0..count).filter(|index| sampler.shows(at(*index))).collect()
    }

    #[test]
    fn shows_every_result_up_to_100_a_second() {
        let mut sampler = Sampler::default();
        for second in 0..10 {
            assert_eq!(shown(&mut sampler, second, 100).len(), 100);
        }
        assert!((0..100).all(|_| sampler.shows(Duration::from_secs(20))), "100 in one instant");
        assert!(!sampler.shows(Duration::from_secs(20)));
    }

    #[test]
    fn shows_an_even_sample_above_that() {
        let mut sampler = Sampler::default();
        shown(&mut sampler, 0, 1000);
        for second in 1..10 {
            let shown = shown(&mut sampler, second, 1000);
            assert_eq!(shown.len(), 100);
            assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 10), "{shown:?}");
        }
    }
}
