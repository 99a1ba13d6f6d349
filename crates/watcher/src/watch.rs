//! The loop: observe, decide, apply, once an interval.
//!
//! It keeps nothing that could be wrong: the weights in force are read each time, so a write that
//! failed, a restart or somebody else's change is made good on the next turn.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::probes::Dependency;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    decide::{Decider, Decision, InForce, Reading},
    journal::{Journal, Outcome},
    metrics::{Metrics, count},
    prometheus::{Look, Prometheus, Unknown},
    virtual_service::{Error, Observed, Told, VirtualService},
    weights::Weights,
};

/// Who has changed the weights, if the object does not say.
const UNNAMED: &str = "another istiowatcher";

/// All that a turn of the loop needs.
pub(crate) struct Watch {
    pub(crate) prometheus: Arc<Prometheus>,
    pub(crate) virtual_service: VirtualService,
    pub(crate) decider: Decider,
    pub(crate) dry_run: bool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) journal: Journal,
    pub(crate) rate_known: Dependency,
    /// Whether there has been a rate since the start.
    pub(crate) has_known_rate: bool,
    pub(crate) weights_read: Dependency,
    pub(crate) weights_written: Dependency,
    pub(crate) orders_understood: Dependency,
    /// The weights that the next look should find, if nobody else changes them; `None` if that is not known.
    pub(crate) expected: Option<Weights>,
    /// Weights whose writing failed in a way that leaves open whether it did.
    pub(crate) attempted: Option<Weights>,
    pub(crate) last_turn: Duration,
}

impl Watch {
    /// Turns for ever.
    pub(crate) async fn run(mut self, every: Duration) -> Infallible {
        let start = Instant::now();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Nothing has failed yet.
        self.weights_written.up();
        self.orders_understood.up();
        loop {
            ticks.tick().await;
            let now = start.elapsed();
            self.turn(now).await;
            let took = start.elapsed().saturating_sub(now);
            self.metrics.tick_seconds.0.observe(took.as_secs_f64());
            let dependencies = [
                &self.rate_known,
                &self.weights_read,
                &self.weights_written,
                &self.orders_understood,
            ];
            self.journal.lacks(dependencies.into_iter().filter_map(lack).collect());
        }
    }

    async fn turn(&mut self, now: Duration) {
        let since_last = now.saturating_sub(std::mem::replace(&mut self.last_turn, now));
        let (look, observed) = tokio::join!(self.prometheus.look(), self.virtual_service.read());
        let observed = self.note_observed(observed);
        let in_force = observed.as_ref().map(|observed| observed.weights);
        self.journal.saw(&look);
        self.journal.read(in_force);
        self.note_rate(&look);
        self.decider.note(now, &reading(&look));
        let Some(observed) = observed else { return };
        let seen = self.in_force(now, &observed);
        let decision = self.decider.decide(now, &seen);
        let outcome = self.apply(now, &observed, &decision).await;
        self.journal.decided(&decision, observed.weights, &outcome, since_last);
    }

    /// Sees whether somebody else has changed the weights.
    fn in_force(&mut self, now: Duration, observed: &Observed) -> InForce {
        let Observed { weights, orders, manager, .. } = observed;
        if self.attempted.take() == Some(*weights) && self.expected != Some(*weights) {
            // It was ours after all.
            self.decider.wrote(now);
            self.expected = Some(*weights);
        }
        let before = self.expected.replace(*weights).filter(|expected| expected != weights);
        let changed_by = before.map(|_| manager.clone().unwrap_or_else(|| UNNAMED.to_owned()));
        if let (Some(before), Some(manager)) = (before, &changed_by) {
            self.journal.drifted(manager, before, *weights);
        }
        InForce { weights: *weights, orders: *orders, changed_by }
    }

    async fn apply(&mut self, now: Duration, observed: &Observed, decision: &Decision) -> Outcome {
        let Decision { weights, is_write, reason } = decision;
        if !is_write {
            let is_held = !weights.divide_like(observed.weights) || reason.is_hold();
            if !is_held {
                // Only when nothing needs to be written is an earlier failure over.
                self.weights_written.up();
            }
            return if is_held { Outcome::Held } else { Outcome::Nothing };
        }
        if self.dry_run {
            return Outcome::DryRun;
        }
        let result = self.virtual_service.write(observed, *weights).await;
        count(&self.metrics.writes, result.as_ref().map_or_else(Error::kind, |()| "ok"));
        match result {
            Ok(()) => {
                self.decider.wrote(now);
                self.expected = Some(*weights);
                self.weights_written.up();
                let note = format!("{reason}. Weights: {weights}; before: {}", observed.weights);
                let (is_warning, reason) = (reason.is_trouble(), reason.name());
                let told = Told { is_warning, reason, burst: weights.burst, note };
                self.virtual_service.tell(observed, told);
                Outcome::Written
            }
            Err(error) => {
                self.attempted = error.is_uncertain().then_some(*weights);
                let why = error.to_string();
                self.weights_written.down(error);
                Outcome::Failed(why)
            }
        }
    }

    fn note_rate(&mut self, look: &Look) {
        match &look.rate {
            Ok(_) => {
                self.has_known_rate = true;
                self.rate_known.up();
            }
            // Before the very first request there is nothing to be known: no reason to be unready.
            Err(Unknown::Empty) if !self.has_known_rate => self.rate_known.up(),
            Err(unknown) => self.rate_known.down(unknown),
        }
    }

    fn note_observed(&self, observed: Result<Observed, Error>) -> Option<Observed> {
        count(&self.metrics.observations, observed.as_ref().map_or_else(Error::kind, |_| "ok"));
        match observed {
            Ok(observed) => {
                self.weights_read.up();
                match &observed.wrong_orders {
                    None => self.orders_understood.up(),
                    Some(wrong) => self.orders_understood.down(wrong),
                }
                Some(observed)
            }
            Err(error) => {
                self.weights_read.down(error);
                None
            }
        }
    }
}

fn lack(dependency: &Dependency) -> Option<String> {
    dependency.lacks().map(|reason| format!("{}: {reason}", dependency.name()))
}

/// What of a look is decided by.
pub(crate) fn reading(look: &Look) -> Reading {
    Reading {
        rate: look.rate.as_ref().map_err(Unknown::kind).copied(),
        clusters: look.clusters.as_ref().and_then(|clusters| clusters.as_ref().ok()).copied(),
    }
}
