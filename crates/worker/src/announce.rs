//! Publishes calculations on Redis, over one connection that mends itself.
//!
//! Those that are to be published at the same time share a pipeline, so that many cost little more than one. A
//! calculation is published at most once: one whose fate is unknown, because the connection was lost before Redis
//! answered, is reported as a failure and not sent again.

mod connection;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::probes::Dependency;
use contract::{RedisUrl, calculation::CHANNEL};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::metrics::{FailureLabels, Metrics};

/// How long a calculation may wait for a connection and for Redis' answer: less than the second
/// within which a request is answered whatever happens.
const PUBLISH_TIMEOUT: Duration = Duration::from_millis(900);

/// How long Redis may take at least, also for what has waited for a connection before.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

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
    let log = PublishLog { metrics: Arc::clone(&metrics), refusal: Arc::default() };
    tokio::spawn(Publisher { waiting, connection, log }.run());
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
    connection: watch::Receiver<Option<MultiplexedConnection>>,
    log: PublishLog,
}

/// Counts what Redis takes, and says when it begins to refuse and when it no longer does: once each.
#[derive(Clone)]
struct PublishLog {
    metrics: Arc<Metrics>,
    /// The last refusal; none once something has been taken.
    refusal: Arc<Mutex<Option<&'static str>>>,
}

impl PublishLog {
    /// Redis has answered after so many seconds.
    fn note(&self, answer: &RedisResult<u64>, seconds: f64) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(receivers) => {
                self.metrics.publish.observe(seconds);
                self.metrics.without_subscriber.inc_by(u64::from(*receivers == 0));
                if refusal.take().is_some() {
                    tracing::info!("redis takes calculations again");
                }
            }
            Err(error) => {
                let reason = reason(error);
                if refusal.replace(reason) != Some(reason) {
                    tracing::warn!("redis refuses calculations: {error}");
                }
            }
        }
    }
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
                            tokio::spawn(publish(connection.clone(), together, self.log.clone()));
                        }
                    }
                    None => together.remove(0).end(Err(Failure::NotConnected)),
                }
            }
        }
    }
}

/// Publishes some calculations in one pipeline, and tells each request how it went.
async fn publish(
    mut connection: MultiplexedConnection,
    mut together: Vec<Waiting>,
    log: PublishLog,
) {
    // Nobody waits for these any more.
    together.retain(|waiting| !waiting.done.is_closed());
    let Some(until) = together.first().map(|first| first.until) else { return };
    let mut pipeline = Pipeline::with_capacity(together.len());
    for waiting in &together {
        let mut command = Cmd::with_capacity(3, 128);
        command.arg("PUBLISH").arg(CHANNEL).arg(&waiting.calculation);
        pipeline.add_command(command);
    }
    pipeline.ignore_errors();
    let sent = Instant::now();
    let until = until.max(sent + ANSWER_TIMEOUT);
    let answers = pipeline.query_async::<Vec<RedisResult<u64>>>(&mut connection);
    match timeout_at(until, answers).await {
        Ok(Ok(answers)) => {
            let took = sent.elapsed().as_secs_f64();
            for (waiting, answer) in together.into_iter().zip(answers) {
                log.note(&answer, took);
                waiting.end(answer.map(|_| ()).map_err(Failure::from));
            }
        }
        Ok(Err(error)) => {
            let failure = Failure::from(error);
            together.into_iter().for_each(|waiting| waiting.end(Err(failure.clone())));
        }
        Err(_) => together.into_iter().for_each(|waiting| waiting.end(Err(Failure::Timeout))),
    }
}

impl Failure {
    /// Its kind, as metrics name it.
    fn reason(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
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
