//! Scenarios with a random load, and what becomes of them in the middle.

use std::{f64::consts::TAU, time::Duration};

use watcher::PolicySettings;

use super::{Outcome, Rule, Scenario, play};

/// How many random loads are played for medians.
const SEEDS: u64 = 20;

/// Medians of twenty random loads, with a phase of the scrapes for each.
#[derive(Clone, Copy, Debug)]
pub struct Medians {
    /// Seconds in which primary was asked for more than it carries.
    pub overload: f64,
    /// The share of all requests that went to burst, 0 to 1.
    pub burst: f64,
    /// Changes of the weights.
    pub writes: f64,
    /// Changes of direction.
    pub reversals: f64,
}

impl Medians {
    /// Plays a scenario with each seed.
    pub fn of(scenario: &Scenario, rule: impl Fn() -> Rule) -> Self {
        let play_with = |seed: u64| {
            let phase = scenario.scrape_every.mul_f64(seed as f64 / SEEDS as f64);
            play(Scenario { phase, seed: Some(seed + 1), ..scenario.clone() }, rule())
        };
        let outcomes: Vec<_> = (0..SEEDS).map(play_with).collect();
        let median = |value: &dyn Fn(&Outcome) -> f64| {
            let mut values: Vec<_> = outcomes.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            f64::midpoint(values[values.len() / 2 - 1], values[values.len() / 2])
        };
        Self {
            overload: median(&|it| it.overload.as_secs_f64()),
            burst: median(&|it| it.burst),
            writes: median(&|it| it.writes.len() as f64),
            reversals: median(&|it| it.reversals(scenario.start) as f64),
        }
    }
}

/// A quarter of an hour: 8/s, for ten minutes 20/s, 8/s.
#[must_use]
pub fn step(settings: &PolicySettings) -> Scenario {
    Scenario::new(settings, Duration::from_secs(900), |at| {
        if (150..750).contains(&at.as_secs()) { 20.0 } else { 8.0 }
    })
}

/// An hour between 8.5/s and 16.5/s, up and down within a minute.
#[must_use]
pub fn noise(settings: &PolicySettings) -> Scenario {
    Scenario::new(settings, Duration::from_secs(3600), |at| {
        12.5 - 4.0 * (at.as_secs_f64() / 60.0 * TAU).cos()
    })
}
