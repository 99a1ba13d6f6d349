//! The loop: observe, decide, apply, once an interval.
//!
//! It keeps nothing that could be wrong: the weights in force are read each time, so a write that
//! failed, a restart or somebody else's change is made good on the next turn.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::probes::Dependency;
use contract::Cluster;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    decide::{Decider, Decision, Weights},
    metrics::{ClusterLabels, Metrics, count},
    prometheus::{Prometheus, Unknown},
    virtual_service::{Error, Observed, VirtualService},
};

/// All that a turn of the loop needs.
pub(crate) struct Watch {
    pub(crate) prometheus: Prometheus,
    pub(crate) virtual_service: VirtualService,
    pub(crate) decider: Decider,
    pub(crate) dry_run: bool,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rate_known: Dependency,
    /// Whether there has been a rate since the start.
    pub(crate) has_known_rate: bool,
    pub(crate) weights_read: Dependency,
    pub(crate) weights_written: Dependency,
    /// The decision that the log was told last, and what kept the rate from being known.
    pub(crate) said: Option<(Decision, Option<&'static str>)>,
}

impl Watch {
    /// Turns for ever.
    pub(crate) async fn run(mut self, every: Duration) -> Infallible {
        let start = Instant::now();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.turn(start.elapsed()).await;
        }
    }

    async fn turn(&mut self, now: Duration) {
        let (rate, observed) = tokio::join!(self.prometheus.rate(), self.virtual_service.read());
        self.note_rate(&rate);
        let Some(observed) = self.note_observed(observed) else { return };

        let unknown = rate.as_ref().err().map(Unknown::kind);
        let rate = rate.ok();
        let decision = self.decider.decide(now, observed.weights, rate);
        if self.said.replace((decision, unknown)) != Some((decision, unknown)) {
            tracing::info!(rate, unknown, in_force = %observed.weights, "{decision}");
        }
        match decision.weights() {
            Some(weights) if !self.dry_run => self.apply(&observed, weights, rate).await,
            // Only when nothing needs to be written is an earlier failure over.
            None if decision.is_settled() => self.weights_written.up(),
            _ => {}
        }
    }

    async fn apply(&self, observed: &Observed, weights: Weights, rate: Option<f64>) {
        let result = self.virtual_service.write(observed, weights).await;
        count(&self.metrics.writes, result.as_ref().map_or_else(Error::kind, |()| "ok"));
        match result {
            Ok(()) => {
                self.weights_written.up();
                tracing::info!(rate, from = %observed.weights, to = %weights, "weights written");
            }
            Err(error) => self.weights_written.down(error),
        }
    }

    fn note_rate(&mut self, rate: &Result<f64, Unknown>) {
        count(&self.metrics.readings, rate.as_ref().map_or_else(Unknown::kind, |_| "ok"));
        match rate {
            Ok(rate) => {
                self.metrics.rate.set(*rate);
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
                for cluster in Cluster::ALL {
                    let labels = ClusterLabels { cluster: cluster.name() };
                    let weight = observed.weights.of(cluster);
                    self.metrics.weight.get_or_create(&labels).set(weight.into());
                }
                self.weights_read.up();
                Some(observed)
            }
            Err(error) => {
                self.weights_read.down(error);
                None
            }
        }
    }
}
