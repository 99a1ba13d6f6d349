//! Publishes calculations on Redis. Each core has a connection of its own, and all are renewed whenever one is lost.
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

use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::batcher::Batcher;
pub(crate) use {
    connection::{Connection, Connector},
    error::PublishError,
    log::PublishLog,
};

/// How long a calculation may wait for a connection and for the answer of Redis. The worker answers
/// each request within a second, and a busy machine may need 0.3 s of that.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(700);

/// Publishes the calculations of a core.
pub(crate) struct Publisher {
    /// Each calculation in it has a request that waits, so its limit is that of the connections.
    queue: mpsc::UnboundedSender<Pending>,
    log: PublishLog,
}

impl Publisher {
    /// Starts the task that publishes. It ends with this publisher.
    pub(crate) fn start(runtime: &Handle, connection: Connection, log: PublishLog) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        runtime.spawn(Batcher::new(queued, connection, log.clone()).run());
        Self { queue, log }
    }

    /// Publishes a calculation, and returns once Redis has taken it.
    pub(crate) async fn publish(&self, calculation: String) -> Result<(), PublishError> {
        let (done, result) = oneshot::channel();
        let pending = Pending { calculation, until: Instant::now() + PUBLISH_TIMEOUT, done };
        // Neither the send nor the answer fails before the batcher has ended.
        let _ = self.queue.send(pending);
        let result = result.await.unwrap_or(Err(PublishError::ConnectionLost));
        if let Err(error) = &result {
            self.log.record_failure(error);
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
