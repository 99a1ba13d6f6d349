//! Counts the answers of Redis, and logs when it begins and when it ceases to refuse.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::RedisResult;

use super::error::refusal_reason;
use crate::metrics::Metrics;

/// Records the answers of Redis. Each change between refusing and taking is logged once. Clones
/// share what they know.
#[derive(Clone)]
pub(crate) struct PublishLog {
    metrics: Arc<Metrics>,
    /// The reason of the last refusal; `None` since Redis took a calculation.
    refusal: Arc<Mutex<Option<&'static str>>>,
}

impl PublishLog {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, refusal: Arc::default() }
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

    /// Records what Redis answered, how long that took, and whether it knows all listeners.
    pub(super) fn record(
        &self,
        answer: &RedisResult<u64>,
        duration: Duration,
        knows_all_listeners: bool,
    ) {
        let mut refusal = self.lock();
        match answer {
            Ok(receivers) => {
                self.metrics.publish.observe(duration.as_secs_f64());
                self.metrics
                    .without_subscriber
                    .inc_by(u64::from(*receivers == 0 && knows_all_listeners));
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
}
