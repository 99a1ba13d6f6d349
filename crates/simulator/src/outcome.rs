//! The result of a scenario, and the medians of many.

use std::{collections::BTreeMap, time::Duration};

use policy::{Reason, Weights};

use crate::{Rule, Scenario, clusters::Clusters, play};

/// The number of seeds that are played for medians.
const SEEDS: u64 = 20;

/// The result of a scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The weights at the start.
    pub start: Weights,
    /// For how long a new request to primary would have waited for more than a second.
    pub late: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// The share of all requests that went to burst, 0 to 1.
    pub burst: f64,
    /// The number of requests that failed.
    pub failed: u64,
    /// The weights at the end.
    pub end: Weights,
    /// All writes of the weights by the rule.
    pub writes: Vec<(Duration, Weights)>,
    /// The number of writes that the API server refused.
    pub refused_writes: u64,
    /// The names of the reasons, with the time at which each first occurred.
    pub reasons: BTreeMap<&'static str, Duration>,
}

impl Outcome {
    pub(crate) fn new(start: Weights) -> Self {
        Self {
            start,
            end: start,
            late: Duration::ZERO,
            longest_wait: Duration::ZERO,
            burst: 0.0,
            failed: 0,
            writes: Vec::new(),
            refused_writes: 0,
            reasons: BTreeMap::new(),
        }
    }

    pub(crate) fn observe_wait(&mut self, wait: Duration, late: Duration, step: Duration) {
        if late < wait {
            self.late += step;
        }
        self.longest_wait = self.longest_wait.max(wait);
    }

    pub(crate) fn observe_reason(&mut self, now: Duration, reason: Option<Reason>) {
        if let Some(reason) = reason {
            self.reasons.entry(reason.name()).or_insert(now);
        }
    }

    pub(crate) fn finish(mut self, clusters: &Clusters) -> Self {
        self.burst = clusters.to_burst as f64 / clusters.total.max(1) as f64;
        self.failed = clusters.failed;
        self
    }

    /// Counts the writes that moved traffic in the other direction than the write before.
    #[must_use]
    pub fn reversals(&self) -> usize {
        let mut share = self.start.burst_share();
        let mut directions = Vec::new();
        for (_, weights) in &self.writes {
            directions.push(share < weights.burst_share());
            share = weights.burst_share();
        }
        directions.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

/// Medians of twenty seeds, each with another phase of the scrapes.
#[derive(Clone, Copy, Debug)]
pub struct Medians {
    /// Seconds in which a request to primary would have waited for more than a second.
    pub late: f64,
    /// The longest wait, in seconds.
    pub longest_wait: f64,
    /// The share of all requests that went to burst, 0 to 1.
    pub burst: f64,
    /// The number of requests that failed.
    pub failed: f64,
    /// The number of writes of the weights.
    pub writes: f64,
    /// The number of writes in the other direction than the write before.
    pub reversals: f64,
}

impl Medians {
    /// Plays a scenario with each seed.
    pub fn of(scenario: &Scenario, rule: impl Fn() -> Rule) -> Self {
        let play_with = |seed: u64| {
            let phase = scenario.scrape_every.mul_f64(seed as f64 / SEEDS as f64);
            play(&Scenario { phase, seed: seed + 1, ..scenario.clone() }, rule())
        };
        let outcomes: Vec<_> = (0..SEEDS).map(play_with).collect();
        let median = |value: &dyn Fn(&Outcome) -> f64| {
            let mut values: Vec<_> = outcomes.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            f64::midpoint(values[values.len() / 2 - 1], values[values.len() / 2])
        };
        Self {
            late: median(&|outcome| outcome.late.as_secs_f64()),
            longest_wait: median(&|outcome| outcome.longest_wait.as_secs_f64()),
            burst: median(&|outcome| outcome.burst),
            failed: median(&|outcome| outcome.failed as f64),
            writes: median(&|outcome| outcome.writes.len() as f64),
            reversals: median(&|outcome| outcome.reversals() as f64),
        }
    }
}
