//! Publishes calculations on Redis, over one connection that mends itself.
//!
//! Those that are to be published at the same time share a pipeline, so that many cost little more than one. A
//! calculation is heard at most once: one whose fate is unknown, because the connection was lost before Redis
//! answered, is reported as a failure and not sent again; one that Redis says nobody has heard is sent again for as
//! long as its request may wait, if somebody listened before and is expected back.

mod connection;
mod listeners;
mod publication;

use std::{convert::Infallible, sync::Arc, time::Duration};

use chassis::probes::Dependency;
use contract::RedisUrl;
use redis::{ErrorKind, RedisError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::yield_now,
    time::{Instant, timeout_at},
};

use self::{
    connection::Connected,
    listeners::Listeners,
    publication::{Publication, PublishLog},
};
use crate::metrics::{FailureLabels, Metrics};

/// How long a calculation may wait for a connection and for Redis' answer: less than the second
/// within which a request is answered whatever happens.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(900);

/// How many calculations may share a pipeline.
const MAX_TOGETHER: usize = 128;

/// How many may wait for the publisher. Each has a request that waits for it, so that the limit of connections holds
/// here, too; one that finds no place waits in its request.
const MAX_WAITING: usize = 1024;

/// Publishes calculations. Clones share the connection.
#[derive(Clone)]
pub(crate) struct Announcer {
    waiting: mpsc::Sender<Waiting>,
    metrics: Arc<Metrics>,
}

/// Why Redis did not take a calculation.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("redis is not connected")]
    NotConnected,
    #[error("redis did not answer in time")]
    Timeout,
    #[error("the connection to redis was lost")]
    Lost,
    #[error("nobody listens on redis, as somebody did before")]
    Unheard,
    #[error("redis refused: {text}")]
    Refused { reason: &'static str, text: String },
}

/// Returns an announcer, and the task that keeps it connected.
///
/// # Errors
/// When the address makes no sense to the client.
pub(crate) fn announcer(
    redis_url: &RedisUrl,
    dependency: Dependency,
    metrics: Arc<Metrics>,
) -> anyhow::Result<(Announcer, impl Future<Output = Infallible>)> {
    let (connection, keep_connected) =
        connection::connection(redis_url, dependency, Arc::clone(&metrics))?;
    let (sender, waiting) = mpsc::channel(MAX_WAITING);
    // It ends with the last announcer.
    let log = PublishLog::new(Arc::clone(&metrics));
    tokio::spawn(Publisher { waiting, connection, log, listeners: Listeners::default() }.run());
    Ok((Announcer { waiting: sender, metrics }, keep_connected))
}

impl Announcer {
    /// Publishes a calculation, and returns once Redis has taken it.
    pub(crate) async fn publish(&self, calculation: String) -> Result<(), Failure> {
        let (done, answer) = oneshot::channel();
        let waiting = Waiting { calculation, until: Instant::now() + PUBLISH_TIMEOUT, done };
        // Neither fails before the publisher has ended.
        let _ = self.waiting.send(waiting).await;
        let result = answer.await.unwrap_or(Err(Failure::Lost));
        if let Err(failure) = &result {
            let reason = failure.reason();
            self.metrics.publish_failures.get_or_create(&FailureLabels { reason }).inc();
        }
        result
    }
}

/// A calculation that is to be published.
struct Waiting {
    calculation: String,
    /// When its request is to be answered, whatever happens.
    until: Instant,
    done: oneshot::Sender<Result<(), Failure>>,
}

impl Waiting {
    fn end(self, result: Result<(), Failure>) {
        // Fails only when the request has gone.
        let _ = self.done.send(result);
    }
}

/// Takes what waits to Redis.
struct Publisher {
    waiting: mpsc::Receiver<Waiting>,
    connection: watch::Receiver<Option<Connected>>,
    log: PublishLog,
    listeners: Listeners,
}

impl Publisher {
    async fn run(mut self) {
        let mut together = Vec::new();
        while let Some(first) = self.waiting.recv().await {
            // The requests that came with this one are computed first, and come along.
            yield_now().await;
            together.push(first);
            while together.len() < MAX_TOGETHER
                && let Ok(next) = self.waiting.try_recv()
            {
                together.push(next);
            }
            while let Some(first) = together.first() {
                let connected = self.connection.wait_for(Option::is_some);
                let connected = timeout_at(first.until, connected).await;
                // An error when its time is over, or nobody connects any more.
                match connected.ok().and_then(Result::ok).and_then(|it| it.clone()) {
                    Some(connection) => {
                        // Those that have waited for the connection leave Redis less time than the others.
                        let half = Instant::now() + PUBLISH_TIMEOUT / 2;
                        let (late, in_time): (Vec<_>, Vec<_>) =
                            together.drain(..).partition(|it| it.until < half);
                        for together in [late, in_time].into_iter().filter(|it| !it.is_empty()) {
                            let publication = Publication {
                                connection: connection.clone(),
                                log: self.log.clone(),
                                listeners: self.listeners.clone(),
                            };
                            tokio::spawn(publication.publish(together));
                        }
                    }
                    None => together.remove(0).end(Err(Failure::NotConnected)),
                }
            }
        }
    }
}

impl Failure {
    /// Its kind, as metrics name it.
    fn reason(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Unheard => "unheard",
            Self::Refused { reason, .. } => reason,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => Self::Lost,
            _ => Self::Refused { reason: reason(&error), text: error.to_string() },
        }
    }
}

/// The reason of a refusal, as metrics name it.
fn reason(error: &RedisError) -> &'static str {
    match error.code() {
        Some("LOADING") => "loading",
        Some("READONLY") => "readonly",
        Some("NOAUTH") => "noauth",
        Some("NOPERM") => "noperm",
        Some("OOM") => "oom",
        Some("MISCONF") => "misconf",
        Some("MASTERDOWN") => "masterdown",
        _ => "refused",
    }
}
