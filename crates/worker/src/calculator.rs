//! Calculates without keeping other requests waiting: long calculations run on the blocking pool.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::hash::calculate;

/// The worker calculates up to so many rounds in place, because they take less than about 100 µs.
const MAX_QUICK_ROUNDS: u32 = 1000;

/// How long a calculation may wait for a processor. Callers wait longer for an answer.
const PROCESSOR_TIMEOUT: Duration = Duration::from_millis(1500);

/// Calculates with the worker's prefix and rounds.
pub(crate) struct Calculator {
    prefix: Arc<str>,
    rounds: u32,
    /// A permit for each processor. A long calculation holds one.
    processors: Arc<Semaphore>,
}

/// Why there is no calculation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CalculateError {
    #[error("all processors are busy; try again")]
    Busy,
    #[error("the calculation has failed")]
    Failed,
}

impl Calculator {
    pub(crate) fn new(prefix: &str, rounds: u32) -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self { prefix: prefix.into(), rounds, processors: Arc::new(Semaphore::new(processors)) }
    }

    /// Calculates the hash of a text, with the prefix before it.
    ///
    /// # Errors
    /// When no processor becomes free in time, or the calculation panics.
    pub(crate) async fn calculate(&self, text: &str) -> Result<String, CalculateError> {
        if self.rounds <= MAX_QUICK_ROUNDS {
            return Ok(calculate(&self.prefix, self.rounds, text));
        }
        let permit = Arc::clone(&self.processors).acquire_owned();
        let permit = timeout(PROCESSOR_TIMEOUT, permit).await.map_err(|_| CalculateError::Busy)?;
        let (prefix, rounds, text) = (Arc::clone(&self.prefix), self.rounds, text.to_owned());
        let calculation = spawn_blocking(move || {
            // The calculation goes on when the client has left, and keeps its permit until it ends.
            let _permit = permit;
            calculate(&prefix, rounds, &text)
        });
        calculation.await.map_err(|_| CalculateError::Failed)
    }
}
