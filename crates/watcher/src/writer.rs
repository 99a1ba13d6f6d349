//! Writes to the route, one write at a time, beside the loop: a slow API server delays no observation.

use std::{sync::Arc, time::Duration};

use policy::{Decision, Ejection};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::route::{Error, ObservedRoute, RouteClient, WeightsPatch};

/// Writes to the route.
pub(crate) struct Writer {
    route_client: Arc<RouteClient>,
    /// How long a tick waits for its write.
    patience: Duration,
    pending: Option<Pending>,
}

/// A write that has not ended.
struct Pending {
    write: Write,
    task: AbortOnDropHandle<Result<(), Error>>,
}

/// What is written.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// The weights of a decision.
    Weights { decision: Decision, route: Arc<ObservedRoute> },
    /// The name of the watcher that decides.
    Claim,
}

impl Writer {
    pub(crate) fn new(route_client: Arc<RouteClient>, patience: Duration) -> Self {
        Self { route_client, patience, pending: None }
    }

    /// Whether a write has not ended.
    pub(crate) fn is_busy(&self) -> bool {
        self.pending.is_some()
    }

    /// Starts to write the weights of a decision. No write may be pending.
    pub(crate) fn start(
        &mut self,
        decision: Decision,
        route: Arc<ObservedRoute>,
        ejections: &[Ejection],
    ) {
        let patch = route.patch(decision.weights, ejections);
        self.spawn(patch, Write::Weights { decision, route });
    }

    /// Starts to name this watcher on the route. No write may be pending.
    pub(crate) fn start_claim(&mut self, route: &ObservedRoute, identity: &str) {
        self.spawn(route.claim(identity), Write::Claim);
    }

    fn spawn(&mut self, patch: WeightsPatch, write: Write) {
        let route_client = Arc::clone(&self.route_client);
        let task = tokio::spawn(async move { route_client.write(patch).await }.in_current_span());
        self.pending = Some(Pending { write, task: AbortOnDropHandle::new(task) });
    }

    /// Gives up a write that has not ended. The API server may have it already.
    pub(crate) fn abandon(&mut self) {
        self.pending = None;
    }

    /// Returns the write that has ended, with its result; `None` if there is none. It waits a moment.
    pub(crate) async fn finish(&mut self) -> Option<(Write, Result<(), Error>)> {
        let pending = self.pending.as_mut()?;
        let result = timeout(self.patience, &mut pending.task).await.ok()?;
        let write = self.pending.take()?.write;
        let panicked = |error| Error::Unusable(format!("the write has panicked: {error}"));
        Some((write, result.unwrap_or_else(|error| Err(panicked(error)))))
    }
}
