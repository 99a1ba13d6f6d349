//! Plays one rule.

use std::time::Duration;

use policy::Weights;

use crate::{
    Outcome, Rule, Signal, Switch,
    rule::{Choice, Running, Seen},
    signal::Counters,
};

/// A new request to primary is late if it would wait for longer than this, in seconds.
const LATE: f64 = 1.0;

/// The time from a write until all proxies follow it.
const PROPAGATION: Duration = Duration::from_secs(1);

/// The start of a play. A policy knows that nothing was seen before.
const START: Duration = Duration::from_secs(3600);

/// Plays one rule, second by second.
pub struct Player {
    running: Running,
    signal: Signal,
    /// The requests per second that primary can carry.
    capacity: f64,
    /// The requests that wait at primary.
    backlog: f64,
    /// The fraction of a request to burst that is due.
    due: f64,
    counters: Counters,
    /// The requests of the last second that is known.
    last_requests: f64,
    in_force: Weights,
    followed: Weights,
    /// The weights that the proxies follow next, and when.
    pending: Option<(Duration, Weights)>,
    now: Duration,
    outcome: Outcome,
}

impl Player {
    /// Starts with all traffic at primary, which can carry so many requests per second.
    #[must_use]
    pub fn new(rule: &Rule, signal: Signal, capacity: f64) -> Self {
        let start = rule.start();
        Self {
            running: Running::start(rule, capacity, START),
            signal,
            capacity,
            backlog: 0.0,
            due: 0.0,
            counters: Counters::default(),
            last_requests: 0.0,
            in_force: start,
            followed: start,
            pending: None,
            now: START,
            outcome: Outcome::default(),
        }
    }

    /// Plays a second in which so many requests arrived; `None` if nobody knows how many. Then nothing is
    /// sampled, and nothing of it is in the outcome. Returns the write of this second, if there is one.
    pub fn play(&mut self, requests: Option<f64>) -> Option<Switch> {
        if let Some((_, weights)) = self.pending.take_if(|(at, _)| *at <= self.now) {
            self.followed = weights;
        }
        self.now += Duration::from_secs(1);
        self.outcome.seconds += 1;
        match requests {
            None => {
                self.outcome.unknown_seconds += 1;
                // The counters go on, at the last known rate.
                let to_burst = self.divide(self.last_requests);
                self.counters.count([self.last_requests - to_burst, to_burst]);
            }
            Some(requests) => self.send(requests),
        }
        let elapsed = (self.now - START).as_secs();
        let is_sampled = requests.is_some() && elapsed.is_multiple_of(self.signal.every().into());
        let seen =
            Seen { now: self.now, counters: &self.counters, is_sampled, in_force: self.in_force };
        let Choice { weights, name, text } = self.running.choose(&seen)?;
        let (from, to) = (self.in_force, weights);
        self.outcome.record_write(from, to);
        self.in_force = to;
        self.pending = Some((self.now + PROPAGATION, to));
        Some(Switch { at: self.now - START, from, to, reason: name, text })
    }

    /// What became of the load so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How long a new request to primary would wait now, in seconds.
    #[must_use]
    pub fn wait(&self) -> f64 {
        self.backlog / self.capacity
    }

    fn send(&mut self, requests: f64) {
        self.last_requests = requests;
        let to_burst = self.divide(requests);
        let to_primary = requests - to_burst;
        self.counters.count([to_primary, to_burst]);
        self.backlog = (self.backlog + to_primary - self.capacity).max(0.0);
        let wait = self.wait();
        let outcome = &mut self.outcome;
        outcome.requests += requests;
        outcome.to_burst += to_burst;
        outcome.needed += to_burst.min((requests - self.capacity).max(0.0));
        outcome.late_seconds += u64::from(LATE < wait);
        outcome.longest_wait = outcome.longest_wait.max(wait);
    }

    /// The requests of a second that go to burst.
    fn divide(&mut self, requests: f64) -> f64 {
        if let Some(to_burst) = self.running.knows(requests, self.capacity) {
            return to_burst;
        }
        self.due += requests * self.followed.burst_share();
        let whole = (self.due + 1e-9).floor().min(requests);
        self.due -= whole;
        whole
    }
}
