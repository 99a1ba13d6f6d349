//! The loop in virtual time.

use std::time::Duration;

use policy::{Route, Weights};

use crate::{
    Outcome, Rule, Scenario, WriteAnswer, clusters::Clusters, load::Arrivals,
    prometheus::Prometheus, rule::Running,
};

/// The time between two decisions.
const TICK: Duration = Duration::from_secs(1);

/// A request waits too long above this time.
const LATE: Duration = Duration::from_secs(1);

/// Plays a scenario with a rule.
#[must_use]
pub fn play(scenario: &Scenario, rule: Rule) -> Outcome {
    let mut arrivals = Arrivals::new(scenario.load.clone(), scenario.seed);
    let mut clusters = Clusters::new(scenario.capacity, scenario.seed + 1000);
    let mut prometheus = Prometheus::default();
    let mut running = Running::start(rule, Duration::ZERO);
    let mut outcome = Outcome::new(scenario.start);
    let mut mesh = Mesh::new(scenario);
    let (mut next_scrape, mut next_tick) = (scenario.phase, TICK / 2);
    let mut restarts = scenario.restarts.iter();
    let mut next_restart = restarts.next();
    let mut foreign_writes = scenario.foreign_writes.iter();
    let mut next_foreign_write = foreign_writes.next();
    let mut changed_by = None;
    let mut now = Duration::ZERO;
    while now < scenario.length {
        mesh.propagate(now);
        let requests = arrivals.draw(now, scenario.step, &clusters);
        clusters.send(now, requests, mesh.followed, |cluster| (scenario.health)(now, cluster));
        clusters.work(scenario.step);
        outcome.observe_wait(clusters.wait(), LATE, scenario.step);
        now += scenario.step;
        prometheus.count(&clusters.ended(now));
        prometheus.set_faults(&scenario.faults_at(now));
        if next_scrape <= now {
            prometheus.scrape(now);
            next_scrape += scenario.scrape_every;
        }
        if next_restart.is_some_and(|at| *at <= now) {
            running.restart(now);
            next_restart = restarts.next();
        }
        if let Some((_, weights)) = next_foreign_write.filter(|(at, _)| *at <= now) {
            mesh.write(now, *weights);
            changed_by = Some("somebody".to_owned());
            next_foreign_write = foreign_writes.next();
        }
        if next_tick <= now {
            next_tick += TICK;
            let overrides = (scenario.overrides)(now);
            let route = Route { weights: mesh.in_force, overrides, changed_by: changed_by.take() };
            let (weights, reason) = running.decide(now, &mut prometheus, &route);
            outcome.observe_reason(now, reason);
            if weights != mesh.in_force {
                try_write(now, weights, scenario, &mut mesh, &mut running, &mut outcome);
            }
        }
    }
    outcome.end = mesh.in_force;
    outcome.finish(&clusters)
}

/// Lets the rule write weights, if the API server accepts them.
fn try_write(
    now: Duration,
    weights: Weights,
    scenario: &Scenario,
    mesh: &mut Mesh,
    running: &mut Running,
    outcome: &mut Outcome,
) {
    match (scenario.write)(now) {
        WriteAnswer::Written => {
            running.record_write(now, false, None);
            mesh.write(now, weights);
            outcome.writes.push((now, weights));
        }
        WriteAnswer::Refused(retry_after) => {
            running.record_write(now, true, retry_after);
            outcome.refused_writes += 1;
        }
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
