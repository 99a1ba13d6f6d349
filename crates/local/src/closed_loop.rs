//! The closed loop in virtual time: a load, the mesh's counters, a Prometheus that scrapes them, and a rule that moves the
//! weights by what that Prometheus says.
//!
//! The model: requests fall on the clusters by the weights in force, which take a second to reach the sidecars. Each cluster is
//! a series of its own, which begins with its first request. It is scraped at a distance and a phase, and its rate
//! extrapolated as Prometheus does it. A queue is not modelled: primary is overloaded while more is sent to it than it
//! carries.

mod medians;

use std::{sync::Arc, time::Duration};

use contract::Cluster;
use watcher::{
    PolicySettings,
    decide::{Decider, InForce, Orders, Reading},
    weights::Weights,
};

use crate::promql::{self, Sample};
pub use medians::{Medians, noise, step};

/// The resolution of the load.
const STEP: Duration = Duration::from_millis(50);

/// How often the rule looks.
const TICK: Duration = Duration::from_secs(1);

/// How long new weights take to reach the sidecars.
const PROPAGATION: Duration = Duration::from_secs(1);

/// Samples that are kept of a series: more than any window holds.
const MAX_SAMPLES: usize = 64;

/// What happens around the rule.
#[derive(Clone)]
pub struct Scenario {
    /// The load at a time, in requests per second.
    pub load: Arc<dyn Fn(Duration) -> f64 + Send + Sync>,
    /// How long it goes on.
    pub length: Duration,
    /// Time between two scrapes.
    pub scrape_every: Duration,
    /// Time of the first scrape.
    pub phase: Duration,
    /// Over how long the query averages.
    pub window: Duration,
    /// Requests come at random (a Poisson process), by this seed; evenly without one.
    pub seed: Option<u64>,
    /// What is wrong with Prometheus at a time.
    pub fault: Arc<dyn Fn(Duration) -> Option<Fault> + Send + Sync>,
    /// What primary carries, in requests per second.
    pub capacity: f64,
    /// The weights at the start.
    pub start: Weights,
}

/// What is wrong with Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers, but does not scrape.
    ScrapesNothing,
    /// It gives no rate, for this reason.
    Silent(&'static str),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// For how long primary was asked for more than it carries.
    pub overload: Duration,
    /// The share of all requests that went to burst, 0 to 1.
    pub burst: f64,
    /// The share that primary could not have carried, 0 to 1.
    pub unavoidable: f64,
    /// Each change of the weights.
    pub writes: Vec<(Duration, Weights)>,
}

impl Scenario {
    /// Even load as given, from home, scraped every 5 s, with nothing wrong, by the window of these settings.
    #[must_use]
    pub fn new(
        settings: &PolicySettings,
        length: Duration,
        load: impl Fn(Duration) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            load: Arc::new(load),
            length,
            scrape_every: Duration::from_secs(5),
            phase: Duration::ZERO,
            window: settings.query.window(),
            seed: None,
            fault: Arc::new(|_| None),
            capacity: settings.spill.capacity,
            start: Weights::all_to(Cluster::Primary),
        }
    }
}

impl Outcome {
    /// How often traffic moved the other way than the time before.
    #[must_use]
    pub fn reversals(&self, start: Weights) -> usize {
        let mut share = start.burst_share();
        let mut directions = Vec::new();
        for (_, weights) in &self.writes {
            directions.push(share < weights.burst_share());
            share = weights.burst_share();
        }
        directions.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

/// What decides: the watcher's own rules, or that of 2018.
pub enum Rule {
    /// The watcher, as it is.
    Watcher(Box<Decider>),
    /// The codelab's: more than 15 to burst, less than 10 home, and no answer is zero.
    Original,
}

impl Rule {
    /// The watcher, by these settings.
    #[must_use]
    pub fn watcher(settings: &PolicySettings) -> Self {
        Self::Watcher(Box::new(Decider::new(settings.clone(), Duration::ZERO)))
    }

    fn decide(
        &mut self,
        now: Duration,
        rate: Result<f64, &'static str>,
        in_force: Weights,
    ) -> Weights {
        match self {
            Self::Original => match rate.unwrap_or(0.0) {
                rate if 15.0 < rate => Weights::all_to(Cluster::Burst),
                rate if rate < 10.0 => Weights::all_to(Cluster::Primary),
                _ => in_force,
            },
            Self::Watcher(decider) => {
                decider.note(now, &Reading { rate, clusters: None });
                let seen =
                    InForce { weights: in_force, orders: Orders::default(), changed_by: None };
                let decision = decider.decide(now, &seen);
                if decision.is_write {
                    decider.wrote(now);
                    decision.weights
                } else {
                    in_force
                }
            }
        }
    }
}

/// The counters, and what Prometheus has of them.
struct World {
    scenario: Scenario,
    random: fastrand::Rng,
    /// Requests that are due and not yet whole.
    due: f64,
    /// By cluster, primary first.
    counters: [u64; 2],
    samples: [Vec<Sample>; 2],
}

/// Plays a scenario.
#[must_use]
pub fn play(scenario: Scenario, mut rule: Rule) -> Outcome {
    let mut world = World::new(scenario.clone());
    let mut outcome = Outcome::default();
    let (mut in_force, mut arriving) = (scenario.start, (Duration::ZERO, scenario.start));
    let mut at_work = scenario.start;
    let (mut total, mut burst, mut unavoidable) = (0.0, 0.0, 0.0);
    let (mut next_scrape, mut next_tick) = (scenario.phase, TICK / 2);
    let mut now = Duration::ZERO;
    while now < scenario.length {
        if arriving.0 <= now {
            at_work = arriving.1;
        }
        let load = (scenario.load)(now);
        let requests = load * STEP.as_secs_f64();
        let at_home = load * (1.0 - at_work.burst_share());
        total += requests;
        burst += requests * at_work.burst_share();
        unavoidable += (load - scenario.capacity).max(0.0) * STEP.as_secs_f64();
        if scenario.capacity < at_home - 1e-9 {
            outcome.overload += STEP;
        }
        world.send(requests, at_work);
        now += STEP;
        if next_scrape <= now {
            world.scrape(now);
            next_scrape += scenario.scrape_every;
        }
        if next_tick <= now {
            next_tick += TICK;
            let weights = rule.decide(now, world.rate(now), in_force);
            if weights != in_force {
                in_force = weights;
                arriving = (now + PROPAGATION, weights);
                outcome.writes.push((now, weights));
            }
        }
    }
    outcome.burst = burst / total;
    outcome.unavoidable = unavoidable / total;
    outcome
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let random = fastrand::Rng::with_seed(scenario.seed.unwrap_or(0));
        Self { scenario, random, due: 0.0, counters: [0; 2], samples: [const { Vec::new() }; 2] }
    }

    fn send(&mut self, requests: f64, weights: Weights) {
        let requests = if self.scenario.seed.is_some() {
            self.poisson(requests)
        } else {
            self.due += requests;
            let whole = self.due.floor();
            self.due -= whole;
            whole as u64
        };
        for _ in 0..requests {
            let is_burst = self.random.f64() < weights.burst_share();
            self.counters[usize::from(is_burst)] += 1;
        }
    }

    /// A number of requests of which so many are expected: Knuth's method, which is quick for few.
    fn poisson(&mut self, expected: f64) -> u64 {
        let limit = (-expected).exp();
        let (mut count, mut product) = (0, self.random.f64());
        while limit < product {
            count += 1;
            product *= self.random.f64();
        }
        count
    }

    fn scrape(&mut self, now: Duration) {
        if (self.scenario.fault)(now) == Some(Fault::ScrapesNothing) {
            return;
        }
        for (samples, count) in self.samples.iter_mut().zip(self.counters) {
            if 0 < count {
                samples.push((now, count));
            }
            if MAX_SAMPLES < samples.len() {
                samples.remove(0);
            }
        }
    }

    fn rate(&self, now: Duration) -> Result<f64, &'static str> {
        if let Some(Fault::Silent(kind)) = (self.scenario.fault)(now) {
            return Err(kind);
        }
        let window = self.scenario.window;
        let rates = self
            .samples
            .iter()
            .filter_map(|samples| promql::rate(samples.iter().copied(), now, window));
        let rate = rates.reduce(|sum, rate| sum + rate).ok_or("empty")?;
        let newest =
            self.samples.iter().filter_map(|samples| samples.last()).map(|(at, _)| *at).max();
        if newest.is_none_or(|at| at + window / 2 < now) { Err("stale") } else { Ok(rate) }
    }
}
