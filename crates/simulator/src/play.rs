//! The loop in virtual time.

use std::{collections::VecDeque, time::Duration};

use policy::{Route, Weights};

use crate::{
    Outcome, Rule, Scenario, WriteAnswer, clusters::Clusters, load::Arrivals,
    prometheus::Prometheus, rule::Running,
};

/// The time between two decisions.
const TICK: Duration = Duration::from_secs(1);

/// A request waits too long above this time.
const LATE: Duration = Duration::from_secs(1);

/// A cluster is ready for the requests of another one while its own wait for less than this time.
const READY_BELOW: Duration = Duration::from_millis(250);

/// Plays a scenario with a rule.
#[must_use]
pub fn play(scenario: &Scenario, rule: Rule) -> Outcome {
    let mut world = World::new(scenario, rule);
    let mut now = Duration::ZERO;
    while now < scenario.length {
        world.send(now);
        now += scenario.step;
        world.observe_and_decide(now);
    }
    world.finish()
}

/// Plays two clusters, each of which bursts into the other, by a rule of its own. Both have the step and the
/// length of the first. A cluster is ready for more while nobody waits there.
#[must_use]
pub fn play_pair(scenarios: [&Scenario; 2], rules: [Rule; 2]) -> [Outcome; 2] {
    let [first, second] = rules;
    let (mut a, mut b) = (World::new(scenarios[0], first), World::new(scenarios[1], second));
    // Only so does each see by the failures that the other one is full.
    (a.clusters.has_timeouts, b.clusters.has_timeouts) = (true, true);
    let mut now = Duration::ZERO;
    while now < scenarios[0].length {
        let (to_b, to_a) = (a.send(now), b.send(now));
        a.receive(to_a, &b);
        b.receive(to_b, &a);
        now += scenarios[0].step;
        a.observe_and_decide(now);
        b.observe_and_decide(now);
    }
    [a.finish(), b.finish()]
}

/// One cluster with its callers, its source and its rule.
struct World<'a> {
    scenario: &'a Scenario,
    arrivals: Arrivals,
    clusters: Clusters,
    prometheus: Prometheus,
    running: Running,
    outcome: Outcome,
    mesh: Mesh,
    next_scrape: Duration,
    next_tick: Duration,
    restarts: VecDeque<Duration>,
    foreign_writes: VecDeque<(Duration, Weights)>,
    changed_by: Option<String>,
    /// Whether burst is ready for more; `None` if nobody knows.
    is_burst_ready: Option<bool>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, rule: Rule) -> Self {
        Self {
            arrivals: Arrivals::new(scenario.load.clone(), scenario.seed),
            clusters: Clusters::new(scenario.capacity, scenario.seed + 1000),
            prometheus: Prometheus::default(),
            running: Running::start(rule, Duration::ZERO),
            outcome: Outcome::new(scenario.start),
            mesh: Mesh::new(scenario),
            next_scrape: scenario.phase,
            next_tick: TICK / 2,
            restarts: scenario.restarts.iter().copied().collect(),
            foreign_writes: scenario.foreign_writes.iter().copied().collect(),
            changed_by: None,
            is_burst_ready: None,
            scenario,
        }
    }

    /// Lets the callers send for a step, and primary work; returns how many requests went to burst.
    fn send(&mut self, now: Duration) -> u64 {
        let Self { scenario, clusters, mesh, .. } = self;
        mesh.propagate(now);
        let before = clusters.to_burst;
        let requests = self.arrivals.draw(now, scenario.step, clusters);
        clusters.send(now, requests, mesh.followed, |cluster| (scenario.health)(now, cluster));
        clusters.work(scenario.step);
        clusters.to_burst - before
    }

    /// Takes requests that another cluster has sent here, and what they show of that cluster.
    fn receive(&mut self, requests: u64, other: &World<'_>) {
        self.clusters.receive(requests);
        self.clusters.burst_wait = other.clusters.wait();
        self.is_burst_ready = Some(other.clusters.wait() < READY_BELOW);
    }

    /// Ends a step: the source scrapes, and the rule decides, when it is time.
    fn observe_and_decide(&mut self, now: Duration) {
        let Self { scenario, clusters, prometheus, .. } = self;
        self.outcome.observe_wait(clusters.wait(), LATE, scenario.step);
        prometheus.count(&clusters.ended(now));
        prometheus.set_faults(&scenario.faults_at(now));
        if self.next_scrape <= now {
            prometheus.scrape(now);
            self.next_scrape += scenario.scrape_every;
        }
        if self.restarts.pop_front_if(|at| *at <= now).is_some() {
            self.running.restart(now);
        }
        if let Some((_, weights)) = self.foreign_writes.pop_front_if(|(at, _)| *at <= now) {
            self.mesh.write(now, weights);
            self.changed_by = Some("somebody".to_owned());
        }
        if self.next_tick <= now {
            self.next_tick += TICK;
            self.decide(now);
        }
    }

    fn decide(&mut self, now: Duration) {
        let overrides = (self.scenario.overrides)(now);
        let changed_by = self.changed_by.take();
        let route = Route { weights: self.mesh.in_force, overrides, changed_by };
        let (prometheus, is_ready) = (&mut self.prometheus, self.is_burst_ready);
        let (weights, reason) = self.running.decide(now, prometheus, is_ready, &route);
        self.outcome.observe_reason(now, reason);
        if weights != self.mesh.in_force {
            self.try_write(now, weights);
        }
    }

    /// Lets the rule write weights, if the API server accepts them.
    fn try_write(&mut self, now: Duration, weights: Weights) {
        match (self.scenario.write)(now) {
            WriteAnswer::Written => {
                self.running.record_write(now, false, None);
                self.mesh.write(now, weights);
                self.outcome.writes.push((now, weights));
            }
            WriteAnswer::Refused(retry_after) => {
                self.running.record_write(now, true, retry_after);
                self.outcome.refused_writes += 1;
            }
        }
    }

    fn finish(mut self) -> Outcome {
        self.outcome.end = self.mesh.in_force;
        self.outcome.finish(&self.clusters)
    }
}

/// The weights of the route, and those that the proxies follow, which hear of them later.
struct Mesh {
    in_force: Weights,
    followed: Weights,
    /// The weights that the proxies hear of next, and when.
    pending: Option<(Duration, Weights)>,
    propagation: Duration,
    is_obeyed: bool,
}

impl Mesh {
    fn new(scenario: &Scenario) -> Self {
        let Scenario { start, propagation, is_obeyed, .. } = *scenario;
        Self { in_force: start, followed: start, pending: None, propagation, is_obeyed }
    }

    fn write(&mut self, now: Duration, weights: Weights) {
        self.in_force = weights;
        if self.is_obeyed {
            self.pending = Some((now + self.propagation, weights));
        }
    }

    fn propagate(&mut self, now: Duration) {
        if let Some((_, weights)) = self.pending.take_if(|(at, _)| *at <= now) {
            self.followed = weights;
        }
    }
}
