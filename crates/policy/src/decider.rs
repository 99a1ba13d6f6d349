//! The decision, as a sequence of steps: a policy proposes weights, guards correct the proposal,
//! an operator's overrides replace it, and limits on writing may hold it.

mod displaced;
mod guards;
#[cfg(test)]
mod tests;

use std::time::Duration;

use contract::{Cluster, RequestsOfHour};

use crate::{
    CallerStates, Ejection, Observation, PolicyKind, Reason, Route, Settings, Weights,
    budget::Budget, burst_readiness::BurstReadiness, capacity::Capacity,
    circuit_breaker::CircuitBreaker, conflict_backoff::ConflictBackoff, proposal::Proposal,
    ramp::Ramp, requests::RequestHistory, shares::Shares, spill::Spill, threshold,
    write_limit::WriteLimit,
};
use displaced::{Displaced, explain_return};

/// Where the traffic should go, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The weights that should be in force.
    pub weights: Weights,
    /// Whether the caller should write them now.
    pub is_write: bool,
    /// Why.
    pub reason: Reason,
}

/// Decides, and remembers what that needs of the past. The weights in force are not part of that
/// memory: the caller observes them each time.
#[derive(Debug)]
pub struct Decider {
    policy: PolicyKind,
    settings: Settings,
    requests: RequestHistory,
    capacity: Capacity,
    burst_readiness: BurstReadiness,
    ramp: Ramp,
    budget: Budget,
    shares: Shares,
    spill: Spill,
    burst_breaker: CircuitBreaker,
    primary_breaker: CircuitBreaker,
    /// What a guard displaced; `None` while the policy's weights are in force.
    displaced: Option<Displaced>,
    write_limit: WriteLimit,
    conflict_backoff: ConflictBackoff,
}

impl Decider {
    /// Starts at `now`, a time that only ever grows. A source without a new sample for `stale_after`
    /// is stale; by default that follows from the distance of its samples.
    #[must_use]
    pub fn new(settings: Settings, stale_after: Option<Duration>, now: Duration) -> Self {
        let breaker = |cluster| CircuitBreaker::new(cluster, settings.guards.clone());
        Self {
            policy: settings.policy,
            requests: RequestHistory::new(stale_after, now),
            capacity: Capacity::new(settings.capacity.clone(), now),
            burst_readiness: BurstReadiness::new(settings.burst.must_be_ready()),
            ramp: Ramp::new(&settings.burst),
            budget: Budget::new(settings.burst.burst_requests_per_hour),
            shares: Shares::default(),
            spill: Spill::new(&settings),
            burst_breaker: breaker(Cluster::Burst),
            primary_breaker: breaker(Cluster::Primary),
            displaced: None,
            write_limit: WriteLimit::new(settings.guards.writes_per_minute),
            conflict_backoff: ConflictBackoff::default(),
            settings,
        }
    }

    /// Begins to decide: continues the ejections of the watcher that decided before, and forgets what this one
    /// decided earlier. Without failover, primary is never ejected.
    pub fn take_over(&mut self, now: Duration, ejections: &[Ejection]) {
        self.displaced = None;
        self.spill.forget_decisions();
        for breaker in [&mut self.burst_breaker, &mut self.primary_breaker] {
            breaker.reset();
        }
        for ejection in ejections {
            match ejection.cluster {
                Cluster::Primary if self.settings.guards.failover => {
                    self.primary_breaker.restore(now, *ejection);
                }
                Cluster::Primary => {}
                Cluster::Burst => self.burst_breaker.restore(now, *ejection),
            }
        }
    }

    /// The ejections that should outlive this watcher.
    #[must_use]
    pub fn ejections(&self) -> Vec<Ejection> {
        let breakers = [&self.primary_breaker, &self.burst_breaker];
        breakers.into_iter().filter_map(CircuitBreaker::ejection).collect()
    }

    /// Continues the budget of a watcher before this one, with the requests to burst of the hour before `at`.
    pub fn restore_budget(&mut self, at: Duration, requests: RequestsOfHour) {
        self.budget.restore(at, requests);
    }

    /// The requests to burst of the last hour, by the rate and the weights; `None` without a budget.
    #[must_use]
    pub fn burst_requests(&self, now: Duration) -> Option<RequestsOfHour> {
        self.budget.requests(now)
    }

    /// Whether these weights send burst more than it has at rest.
    #[must_use]
    pub fn is_bursting(&self, weights: Weights) -> bool {
        self.settings.is_bursting(weights)
    }

    /// Observes the traffic, whether or not a decision follows.
    pub fn observe(&mut self, now: Duration, observation: &Observation) {
        self.requests.observe(now, observation);
        if let Some(capacity) = self.capacity.get(now) {
            self.spill.capacity = capacity;
        }
        if let Ok(estimate) = self.requests.estimate(now) {
            self.spill.observe(now, estimate);
        }
    }

    /// Observes the callers, before their counters.
    pub fn observe_callers(&mut self, states: &CallerStates) {
        self.requests.observe_callers(states);
    }

    /// Begins with another source, whose counters are others. Ejections and shares are kept.
    pub fn change_source(&mut self) {
        self.requests.change_source();
    }

    /// Observes what primary can carry, in requests per second; `None` if that is unknown. Nothing else
    /// changes the capacity if it is measured.
    pub fn observe_capacity(&mut self, now: Duration, observed: Option<f64>) {
        self.capacity.observe(now, observed);
    }

    /// Observes whether burst is ready for more traffic; `None` if that is unknown. It matters only with
    /// `BURST_READY_QUERY` or `BURST_READY_URL`.
    pub fn observe_burst_readiness(&mut self, now: Duration, is_ready: Option<bool>) {
        self.burst_readiness.observe(now, is_ready);
    }

    /// The rate above which traffic leaves primary, in requests per second; `None` if it is unknown.
    #[must_use]
    pub fn leaves_primary_above(&self, now: Duration) -> Option<f64> {
        Some(self.settings.leaves_primary_above() * self.capacity.scale(now)?)
    }

    /// What is known of the requests.
    #[must_use]
    pub fn requests(&self) -> &RequestHistory {
        &self.requests
    }

    /// Decides by the traffic that was observed last, and by the route.
    pub fn decide(&mut self, now: Duration, route: &Route) -> Decision {
        let in_force = route.weights;
        self.follow(now, in_force);
        let is_rate_known = self.requests.estimate(now).is_ok();
        for breaker in [&mut self.burst_breaker, &mut self.primary_breaker] {
            let timeline = self.requests.timeline();
            breaker.observe(now, timeline, &self.shares, in_force, is_rate_known);
        }
        // While the rate is unknown, nothing that a guard displaced comes back.
        let base = if is_rate_known { self.without_guards(in_force) } else { in_force };
        let proposal = self.propose(now, base);
        let is_rate_missing = matches!(proposal.reason, Reason::Unknown { .. });
        // A policy that waits is displaced by no guard. A circuit breaker may send more to burst, too.
        let proposal = self.wait_for_burst(now, proposal, in_force);
        let proposal = self.ramp.limit(now, proposal, base);
        let by_policy = proposal.weights;
        // The circuit breakers come after the budget, which sends traffic to primary whatever primary does.
        let proposal = self.budget.limit(proposal);
        let proposal = self.avoid_unhealthy_clusters(now, proposal, in_force);
        let proposal = self.wait_for_burst(now, proposal, in_force);
        let proposal = self.ramp.limit(now, proposal, in_force);
        // What was displaced before the rate became unknown comes back after it.
        let by_policy = if is_rate_missing { self.without_guards(in_force) } else { by_policy };
        self.record_displaced(by_policy, &proposal);
        let proposal = explain_return(proposal, base, in_force);
        let proposal = self.check_obedience(proposal, in_force);
        let proposal = route.overrides.apply(proposal, in_force);
        self.limit_writes(now, proposal, route)
    }

    /// Why the route may not be written now, even if that is urgent; `None` if it may.
    pub fn write_hold(&mut self, now: Duration) -> Option<Reason> {
        self.write_limit.check(now, true)
    }

    /// Records an attempt to write the route at `now`, whether or not it succeeds.
    pub fn record_write(&mut self, now: Duration) {
        self.write_limit.record_write(now);
    }

    /// Records that an attempt failed at `now`. The API server may ask to be left alone for a while.
    pub fn record_failed_write(&mut self, now: Duration, retry_after: Option<Duration>) {
        self.write_limit.record_failure(now, retry_after);
    }

    /// Observes the weights in force, and what they do. While another watcher decides, that is all: only who
    /// decides judges the clusters.
    pub fn follow(&mut self, now: Duration, in_force: Weights) {
        self.shares.observe(now, in_force);
        self.requests.observe_split(&self.shares, in_force);
        let movable_share = self.requests.movable_share();
        self.spill.movable_share = movable_share;
        self.ramp.observe(now, in_force);
        let rate = self.requests.estimate(now).ok().map(|estimate| estimate.rate);
        self.budget.observe(now, rate, in_force.burst_share() * movable_share);
    }

    /// The policy proposes, or `FALLBACK` if the rate is unknown.
    fn propose(&mut self, now: Duration, in_force: Weights) -> Proposal {
        let estimate = match self.requests.estimate(now) {
            Ok(estimate) => estimate,
            Err(kind) => return self.propose_for_unknown_rate(now, kind, in_force),
        };
        let Some(scale) = self.capacity.scale(now) else {
            let since = self.capacity.unknown_for(now);
            return Proposal::keep(in_force, Reason::CapacityUnknown { since });
        };
        let timeline = self.requests.timeline();
        match self.policy {
            PolicyKind::Threshold => {
                let thresholds = self.settings.threshold.scaled(scale);
                threshold::propose(&thresholds, timeline, estimate, in_force)
            }
            PolicyKind::Spill => self.spill.propose(now, estimate, timeline, in_force),
        }
    }

    /// Says so if the traffic does not follow the weights in force.
    fn check_obedience(&self, proposal: Proposal, in_force: Weights) -> Proposal {
        if !proposal.weights.has_same_split(in_force) || proposal.reason.is_warning() {
            return proposal;
        }
        match self.requests.split().and_then(|split| split.share_if_not_obeyed()) {
            None => proposal,
            Some(measured) => {
                let expected = in_force.burst_share();
                Proposal::keep(in_force, Reason::NotObeyed { expected, measured })
            }
        }
    }

    /// Holds what may not be written now. The limit does not hold what keeps requests from failing.
    fn limit_writes(&mut self, now: Duration, proposal: Proposal, route: &Route) -> Decision {
        let Proposal { weights, reason } = proposal;
        if weights.has_same_split(route.weights) {
            return Decision { weights: route.weights, is_write: false, reason };
        }
        if let Some(manager) = &route.changed_by {
            self.conflict_backoff.record_foreign_change(now, manager);
        }
        let hold = self.conflict_backoff.check(now, &reason);
        match hold.or_else(|| self.write_limit.check(now, reason.is_urgent())) {
            Some(reason) => Decision { weights, is_write: false, reason },
            None => Decision { weights, is_write: true, reason },
        }
    }
}
