//! Collects the calculations that wait at the same time, and sends each batch to Redis.

use std::mem::take;

use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{Instant, timeout_at},
};

use super::{
    PUBLISH_TIMEOUT, Pending, PublishError,
    batch::Batch,
    connection::{Connected, Connection},
    log::PublishLog,
};

/// How many calculations may share a pipeline.
const MAX_BATCH: usize = 128;

/// How often the worker looks for further requests before it sends a batch. A batch leaves as soon as a look has
/// found none, so a lone request waits for one look, which takes some microseconds.
const MAX_LOOKS: usize = 4;

/// The task between the queue and Redis.
pub(super) struct Batcher {
    queue: mpsc::UnboundedReceiver<Pending>,
    connection: Connection,
    log: PublishLog,
}

impl Batcher {
    pub(super) fn new(
        queue: mpsc::UnboundedReceiver<Pending>,
        connection: Connection,
        log: PublishLog,
    ) -> Self {
        Self { queue, connection, log }
    }

    /// Runs until the publisher is dropped.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut batch = vec![first];
            // The requests that arrived with this one are computed first, and join its batch. Each batch costs
            // this process and Redis two system calls and a wakeup.
            for _ in 0..MAX_LOOKS {
                let before = self.queue.len();
                yield_now().await;
                if self.queue.len() == before {
                    break;
                }
            }
            if !self.queue.is_empty() {
                self.queue.recv_many(&mut batch, MAX_BATCH - 1).await;
            }
            while let Some(until) = batch.first().map(|pending| pending.until) {
                match self.connection_until(until).await {
                    Some(connected) => self.send(&connected, take(&mut batch)),
                    None => batch.remove(0).end(Err(PublishError::NotConnected)),
                }
            }
        }
    }

    /// Returns the connection once there is one; `None` if the time is over, or if nobody connects
    /// any more.
    async fn connection_until(&mut self, until: Instant) -> Option<Connected> {
        let works = |connected: &Option<Connected>| {
            connected.as_ref().is_some_and(|connected| !connected.has_ended())
        };
        let connected = timeout_at(until, self.connection.wait_for(works)).await;
        connected.ok()?.ok()?.clone()
    }

    /// Sends a batch, and does not wait for the answer.
    fn send(&self, connected: &Connected, batch: Vec<Pending>) {
        // A batch waits for Redis until its first calculation has to be answered. Calculations that
        // have waited long for the connection go apart, so they do not shorten the time of the
        // others.
        let half = Instant::now() + PUBLISH_TIMEOUT / 2;
        let (late, in_time): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|pending| pending.until < half);
        for pending in [late, in_time].into_iter().filter(|pending| !pending.is_empty()) {
            let batch = Batch { connected: connected.clone(), log: self.log.clone() };
            tokio::spawn(batch.publish(pending));
        }
    }
}
