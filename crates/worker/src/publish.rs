//! Publishes calculations on Redis, over one connection that is renewed whenever it is lost.
//!
//! Calculations that wait at the same time share one pipeline, so many cost little more than one.
//! Each calculation reaches the listeners at most once. If the connection is lost before Redis
//! answers, nobody knows whether Redis took the calculation; the worker reports a failure and does
//! not publish it again. If Redis answers that nobody listens, and listeners are expected back, the
//! worker publishes it again until its request has to be answered. It does that only if its node
//! knows all listeners ([`node`]).

mod batch;
mod batcher;
mod connection;
mod error;
mod listeners;
mod log;
mod node;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::batcher::{Batcher, MAX_QUEUED};
use crate::metrics::{FailureLabels, Metrics};
pub(crate) use {
    connection::{Connection, Connector},
    error::PublishError,
    log::PublishLog,
};

/// How long a calculation may wait for a connection and for the answer of Redis. The worker answers
/// each request within a second, so this is shorter.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(900);

/// Publishes calculations. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Publisher {
    queue: mpsc::Sender<Pending>,
    metrics: Arc<Metrics>,
}

impl Publisher {
    /// Starts the task that publishes. It ends with the last clone of this publisher.
    pub(crate) fn start(connection: Connection, log: PublishLog, metrics: Arc<Metrics>) -> Self {
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        tokio::spawn(Batcher::new(queued, connection, log).run());
        Self { queue, metrics }
    }

    /// Publishes a calculation, and returns once Redis has taken it.
    pub(crate) async fn publish(&self, calculation: String) -> Result<(), PublishError> {
        let (done, result) = oneshot::channel();
        let pending = Pending { calculation, until: Instant::now() + PUBLISH_TIMEOUT, done };
        // Neither the send nor the answer fails before the batcher has ended.
        let _ = self.queue.send(pending).await;
        let result = result.await.unwrap_or(Err(PublishError::ConnectionLost));
        if let Err(error) = &result {
            let reason = error.reason();
            self.metrics.publish_failures.get_or_create(&FailureLabels { reason }).inc();
        }
        result
    }
}

/// A calculation that is not published yet.
struct Pending {
    calculation: String,
    /// When its request has to be answered.
    until: Instant,
    done: oneshot::Sender<Result<(), PublishError>>,
}

impl Pending {
    /// Reports the result to the request.
    fn end(self, result: Result<(), PublishError>) {
        // This fails only when the request has ended.
        let _ = self.done.send(result);
    }
}
