//! Publishing some calculations, once or until somebody hears them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contract::calculation::CHANNEL;
use redis::{Cmd, Pipeline, RedisResult};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Failure, Waiting, connection::Connected, listeners::Listeners, reason};
use crate::metrics::Metrics;

/// How long Redis may take at least, also for what has waited for a connection before.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// How long to wait before what nobody has heard is published again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What publishes some calculations, over one connection.
pub(super) struct Publication {
    pub(super) connection: Connected,
    pub(super) log: PublishLog,
    pub(super) listeners: Listeners,
}

impl Publication {
    /// Publishes them, and tells each request how it went.
    pub(super) async fn publish(mut self, mut together: Vec<Waiting>) {
        loop {
            // Nobody waits for these any more.
            together.retain(|waiting| !waiting.done.is_closed());
            if together.is_empty() {
                return;
            }
            together = self.publish_once(together).await;
            if !together.is_empty() {
                sleep(AGAIN_AFTER).await;
            }
        }
    }

    /// Publishes them in one pipeline; returns those that nobody has heard who is expected to.
    async fn publish_once(&mut self, together: Vec<Waiting>) -> Vec<Waiting> {
        let mut pipeline = Pipeline::with_capacity(together.len());
        for waiting in &together {
            let mut command = Cmd::with_capacity(3, 128);
            command.arg("PUBLISH").arg(CHANNEL).arg(&waiting.calculation);
            pipeline.add_command(command);
        }
        pipeline.ignore_errors();
        // Asked before: listeners that come while this is on its way have never been there.
        let are_expected = self.listeners.are_expected(self.connection.since);
        let sent = Instant::now();
        let until = together[0].until.max(sent + ANSWER_TIMEOUT);
        let answers =
            pipeline.query_async::<Vec<RedisResult<u64>>>(&mut self.connection.connection);
        match timeout_at(until, answers).await {
            Ok(Ok(answers)) => {
                let took = sent.elapsed().as_secs_f64();
                let answered = together.into_iter().zip(answers);
                answered
                    .filter_map(|(waiting, answer)| match answer {
                        Ok(0) if are_expected => Self::end_unheard(waiting),
                        answer => {
                            self.end(waiting, answer, took);
                            None
                        }
                    })
                    .collect()
            }
            Ok(Err(error)) => end_all(together, &Failure::from(error)),
            Err(_) => end_all(together, &Failure::Timeout),
        }
    }

    /// Tells a request what Redis has answered after so many seconds.
    fn end(&self, waiting: Waiting, answer: RedisResult<u64>, seconds: f64) {
        if let Ok(1..) = answer {
            self.listeners.heard();
        }
        self.log.note(&answer, seconds);
        waiting.end(answer.map(|_| ()).map_err(Failure::from));
    }

    /// Nobody has heard this: returns it to be published again, if there is time for that.
    fn end_unheard(waiting: Waiting) -> Option<Waiting> {
        if Instant::now() + AGAIN_AFTER < waiting.until {
            return Some(waiting);
        }
        waiting.end(Err(Failure::Unheard));
        None
    }
}

/// Tells all of these requests the same; none of them is left.
fn end_all(together: Vec<Waiting>, failure: &Failure) -> Vec<Waiting> {
    together.into_iter().for_each(|waiting| waiting.end(Err(failure.clone())));
    Vec::new()
}

/// Counts what Redis takes, and says when it begins to refuse and when it no longer does: once each.
#[derive(Clone)]
pub(super) struct PublishLog {
    metrics: Arc<Metrics>,
    /// The last refusal; none once something has been taken.
    refusal: Arc<Mutex<Option<&'static str>>>,
}

impl PublishLog {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, refusal: Arc::default() }
    }

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
