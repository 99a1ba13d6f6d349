//! Publishes a batch of calculations, again if listeners are expected back.

use std::time::Duration;

use contract::calculation::CHANNEL;
use redis::{Cmd, Pipeline, RedisResult};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Pending, PublishError, connection::Connected, log::PublishLog};

/// Redis has at least this long to answer, also when a calculation has waited for a connection.
const MIN_ANSWER_TIMEOUT: Duration = Duration::from_millis(50);

/// How long the worker waits before it publishes an unheard calculation again.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Publishes one batch over one connection.
pub(super) struct Batch {
    pub(super) connected: Connected,
    pub(super) log: PublishLog,
}

impl Batch {
    /// Publishes the calculations, and reports each result to its request.
    pub(super) async fn publish(mut self, mut pending: Vec<Pending>) {
        loop {
            // A closed channel means that the request has ended: it took too long, or the process ends.
            pending.retain(|pending| !pending.done.is_closed());
            if pending.is_empty() {
                return;
            }
            pending = self.publish_once(pending).await;
            if !pending.is_empty() {
                sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Publishes the calculations in one pipeline, and returns those that should be published
    /// again.
    async fn publish_once(&mut self, batch: Vec<Pending>) -> Vec<Pending> {
        // Read before Redis is asked: a listener that arrives meanwhile is not one that comes back.
        let are_expected = self.connected.knows_all_listeners
            && self.log.listeners.are_expected(self.connected.since);
        let sent = Instant::now();
        let until = batch[0].until.max(sent + MIN_ANSWER_TIMEOUT);
        let pipeline = pipeline(&batch);
        let answers = pipeline.query_async(&mut self.connected.connection);
        let answers: Vec<RedisResult<u64>> = match timeout_at(until, answers).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => return end_all(batch, &PublishError::from(error)),
            Err(_) => return end_all(batch, &PublishError::Timeout),
        };
        let is_final = |answer: &&_| !(are_expected && matches!(answer, Ok(0)));
        let final_answers = answers.iter().filter(is_final);
        self.log.record(final_answers, sent.elapsed(), self.connected.knows_all_listeners);
        let end = |(pending, answer)| match answer {
            Ok(0) if are_expected => retry(pending),
            answer => {
                pending.end(answer.map(|_| ()).map_err(PublishError::from));
                None
            }
        };
        batch.into_iter().zip(answers).filter_map(end).collect()
    }
}

fn pipeline(batch: &[Pending]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(batch.len());
    for pending in batch {
        let mut command = Cmd::with_capacity(3, 128);
        command.arg("PUBLISH").arg(CHANNEL).arg(&pending.calculation);
        pipeline.add_command(command);
    }
    pipeline.ignore_errors();
    pipeline
}

/// Returns an unheard calculation, to be published again; ends it if there is no time for that.
fn retry(pending: Pending) -> Option<Pending> {
    if Instant::now() + RETRY_AFTER < pending.until {
        return Some(pending);
    }
    pending.end(Err(PublishError::Unheard));
    None
}

/// Reports the same error to all requests; none is left.
fn end_all(batch: Vec<Pending>, error: &PublishError) -> Vec<Pending> {
    batch.into_iter().for_each(|pending| pending.end(Err(error.clone())));
    Vec::new()
}
