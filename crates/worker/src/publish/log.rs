//! Counts the answers of Redis, and logs when it begins and when it ceases to refuse.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::RedisResult;

use super::{
    error::{PublishError, refusal_reason},
    listeners::Listeners,
};
use crate::metrics::{FailureLabels, Metrics};

/// Records the answers of Redis. Each change between refusing and taking is logged once. Clones
/// share what they know.
#[derive(Clone)]
pub(crate) struct PublishLog {
    metrics: Arc<Metrics>,
    /// The reason of the last refusal; `None` since Redis took a calculation.
    refusal: Arc<Mutex<Option<&'static str>>>,
    pub(super) listeners: Listeners,
}

impl PublishLog {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, refusal: Arc::default(), listeners: Listeners::default() }
    }

    /// Why Redis refuses now; `None` since it took a calculation.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        *self.lock()
    }

    /// Forgets a refusal of a connection before.
    pub(super) fn forget_refusal(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a calculation that is not published.
    pub(super) fn record_failure(&self, error: &PublishError) {
        let reason = error.reason();
        self.metrics.publish_failures.get_or_create(&FailureLabels { reason }).inc();
    }

    /// Records what Redis answered to the calculations of a batch, how long that took, and whether it knows all
    /// listeners.
    pub(super) fn record<'a>(
        &self,
        answers: impl Iterator<Item = &'a RedisResult<u64>>,
        duration: Duration,
        knows_all_listeners: bool,
    ) {
        let mut refusal = self.lock();
        let (mut is_heard, mut unheard) = (false, 0);
        for answer in answers {
            match answer {
                Ok(receivers) => {
                    self.metrics.publish.observe(duration.as_secs_f64());
                    is_heard |= *receivers > 0;
                    unheard += u64::from(*receivers == 0);
                    if refusal.take().is_some() {
                        tracing::info!("redis takes calculations again");
                    }
                }
                Err(error) => {
                    let reason = refusal_reason(error);
                    if refusal.replace(reason) != Some(reason) {
                        tracing::warn!("redis refuses calculations: {error}");
                    }
                }
            }
        }
        if is_heard {
            self.listeners.record_heard();
        }
        if knows_all_listeners {
            self.metrics.without_subscriber.inc_by(unheard);
        }
    }
}
