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
    pub(crate) weights_known: Dependency,
    pub(crate) weights_written: Dependency,
    /// The decision that the log was told last.
    pub(crate) said: Option<Decision>,
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
        let rate = self.note_rate(rate);
        let Some(observed) = self.note_observed(observed) else { return };

        let decision = self.decider.decide(now, observed.weights, rate);
        if self.said.replace(decision) != Some(decision) {
            tracing::info!(rate, in_force = %observed.weights, "{decision}");
        }
        match decision.weights() {
            Some(weights) if !self.dry_run => self.apply(&observed, weights, rate).await,
            _ => self.weights_written.up(),
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

    fn note_rate(&self, rate: Result<f64, Unknown>) -> Option<f64> {
        count(&self.metrics.readings, rate.as_ref().map_or_else(Unknown::kind, |_| "ok"));
        match rate {
            Ok(rate) => {
                self.metrics.rate.set(rate);
                self.rate_known.up();
                Some(rate)
            }
            Err(unknown) => {
                self.rate_known.down(unknown);
                None
            }
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
                self.weights_known.up();
                Some(observed)
            }
            Err(error) => {
                self.weights_known.down(error);
                None
            }
        }
    }
}
