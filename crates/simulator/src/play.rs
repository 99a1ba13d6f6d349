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
    let mut in_force = scenario.start;
    let (mut effective, mut pending) = (scenario.start, None::<(Duration, Weights)>);
    let (mut next_scrape, mut next_tick) = (scenario.phase, TICK / 2);
    let mut restarts = scenario.restarts.iter();
    let mut next_restart = restarts.next();
    let mut foreign_writes = scenario.foreign_writes.iter();
    let mut next_foreign_write = foreign_writes.next();
    let mut changed_by = None;
    let mut now = Duration::ZERO;
    while now < scenario.length {
        if let Some((_, weights)) = pending.filter(|(at, _)| *at <= now) {
            effective = weights;
            pending = None;
        }
        let requests = arrivals.draw(now, scenario.step, clusters.in_flight());
        clusters.send(now, requests, effective, |cluster| (scenario.health)(now, cluster));
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
            in_force = *weights;
            pending = Some((now + scenario.propagation, in_force));
            changed_by = Some("somebody".to_owned());
            next_foreign_write = foreign_writes.next();
        }
        if next_tick <= now {
            next_tick += TICK;
            let overrides = (scenario.overrides)(now);
            let route = Route { weights: in_force, overrides, changed_by: changed_by.take() };
            let (weights, reason) = running.decide(now, &mut prometheus, &route);
            outcome.observe_reason(now, reason);
            if weights != in_force {
                match (scenario.write)(now) {
                    WriteAnswer::Written => {
                        running.record_write(now, false, None);
                        in_force = weights;
                        if scenario.is_obeyed {
                            pending = Some((now + scenario.propagation, weights));
                        }
                        outcome.writes.push((now, weights));
                    }
                    WriteAnswer::Refused(retry_after) => {
                        running.record_write(now, true, retry_after);
                        outcome.refused_writes += 1;
                    }
                }
            }
        }
    }
    outcome.end = in_force;
    outcome.finish(&clusters)
}
