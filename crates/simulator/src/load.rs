//! The load: how many requests arrive, and when.

use std::{sync::Arc, time::Duration};

use replay::poisson;

use crate::clusters::Clusters;

/// A day of real arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Seventeen weekdays of NASA's web server in 1995, added up.
    Nasa1995,
    /// A part of a public stream sample of 2021, with a spike every hour.
    Twitter2021,
}

impl Trace {
    /// The requests of each second.
    ///
    /// # Panics
    /// When the trace holds something that is not a number.
    #[must_use]
    pub fn counts(self) -> Vec<u32> {
        let text = match self {
            Self::Nasa1995 => include_str!("../traces/nasa-1995-day.txt"),
            Self::Twitter2021 => include_str!("../traces/twitter-2021-day.txt"),
        };
        let parse =
            |line: &str| line.trim().parse().unwrap_or_else(|_| panic!("not a count: {line:?}"));
        text.lines().map(parse).collect()
    }
}

/// A rate at a time, in requests per second.
type RateAt = Arc<dyn Fn(Duration) -> f64 + Send + Sync>;

/// How requests arrive.
#[derive(Clone)]
pub enum Load {
    /// Evenly paced, at a rate.
    Even(RateAt),
    /// From independent visitors, at a rate: a Poisson process.
    Random(RateAt),
    /// As many in each second as a trace has.
    Counts(Arc<Vec<u32>>),
    /// From so many callers, each of which waits for its answer, and then for this time, before it sends
    /// again.
    Closed {
        /// The number of callers.
        callers: f64,
        /// The time between an answer and the next request.
        pause: Duration,
    },
}

impl Load {
    /// Evenly paced requests.
    pub fn even(rate: impl Fn(Duration) -> f64 + Send + Sync + 'static) -> Self {
        Self::Even(Arc::new(rate))
    }

    /// Requests of independent visitors.
    pub fn random(rate: impl Fn(Duration) -> f64 + Send + Sync + 'static) -> Self {
        Self::Random(Arc::new(rate))
    }

    /// The requests of a trace.
    #[must_use]
    pub fn trace(trace: Trace) -> Self {
        Self::Counts(Arc::new(trace.counts()))
    }
}

/// Draws the requests of one step after the other.
pub(crate) struct Arrivals {
    load: Load,
    random: fastrand::Rng,
    /// The fraction of a request that is due.
    due: f64,
}

impl Arrivals {
    pub(crate) fn new(load: Load, seed: u64) -> Self {
        Self { load, random: fastrand::Rng::with_seed(seed), due: 0.0 }
    }

    /// The number of requests that arrive in a step, from callers that `clusters` may still answer.
    pub(crate) fn draw(&mut self, now: Duration, step: Duration, clusters: &Clusters) -> u64 {
        let expected = match &self.load {
            Load::Even(rate) => rate(now) * step.as_secs_f64(),
            Load::Random(rate) => {
                let expected = rate(now) * step.as_secs_f64();
                return poisson(&mut self.random, expected) as u64;
            }
            Load::Counts(counts) => {
                let count = counts.get(now.as_secs() as usize).copied().unwrap_or(0);
                f64::from(count) * step.as_secs_f64()
            }
            Load::Closed { callers, pause } => {
                let pausing = (callers - clusters.in_flight() as f64).max(0.0);
                pausing * (step.as_secs_f64() / pause.as_secs_f64()).min(1.0)
            }
        };
        self.due += expected + 1e-9;
        let whole = self.due.floor();
        self.due -= whole;
        whole as u64
    }
}
