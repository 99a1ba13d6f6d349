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
    listeners::Listeners,
    log::PublishLog,
};

/// How many calculations may share a pipeline.
const MAX_BATCH: usize = 128;

/// How many calculations may wait in the queue. Each has a request that waits for it, so the limit
/// of connections holds here, too. A calculation that finds the queue full waits in its request.
pub(super) const MAX_QUEUED: usize = 1024;

/// The task between the queue and Redis.
pub(super) struct Batcher {
    queue: mpsc::Receiver<Pending>,
    connection: Connection,
    log: PublishLog,
    listeners: Listeners,
}

impl Batcher {
    pub(super) fn new(
        queue: mpsc::Receiver<Pending>,
        connection: Connection,
        log: PublishLog,
    ) -> Self {
        Self { queue, connection, log, listeners: Listeners::default() }
    }

    /// Runs until the last publisher is dropped.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            // The requests that arrived with this one are computed first, and join its batch.
            yield_now().await;
            let mut batch = self.collect(first);
            while let Some(until) = batch.first().map(|pending| pending.until) {
                match self.connection_until(until).await {
                    Some(connected) => self.send(&connected, take(&mut batch)),
                    None => batch.remove(0).end(Err(PublishError::NotConnected)),
                }
            }
        }
    }

    fn collect(&mut self, first: Pending) -> Vec<Pending> {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH
            && let Ok(next) = self.queue.try_recv()
        {
            batch.push(next);
        }
        batch
    }

    /// Returns the connection once there is one; `None` if the time is over, or if nobody connects
    /// any more.
    async fn connection_until(&mut self, until: Instant) -> Option<Connected> {
        let connected = timeout_at(until, self.connection.wait_for(Option::is_some)).await;
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
            let (log, listeners) = (self.log.clone(), self.listeners.clone());
            tokio::spawn(Batch { connected: connected.clone(), log, listeners }.publish(pending));
        }
    }
}
