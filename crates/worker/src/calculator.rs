//! Calculates without keeping other requests waiting: long calculations run on the blocking pool.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

use crate::hash::calculate;

/// The worker calculates up to so many rounds in place, because they take less than about 100 µs.
const MAX_QUICK_ROUNDS: u32 = 1000;

/// How long a calculation may wait for a processor. Callers wait longer for an answer.
const PROCESSOR_TIMEOUT: Duration = Duration::from_millis(1500);

/// Calculates with the worker's prefix and rounds. Clones share the processors.
#[derive(Clone)]
pub(crate) struct Calculator {
    prefix: Arc<str>,
    rounds: u32,
    /// A permit for each processor. A long calculation holds one.
    processors: Arc<Semaphore>,
    /// Its blocking pool runs the long calculations of all cores.
    runtime: Handle,
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
    /// Long calculations run on the blocking pool of the present runtime.
    pub(crate) fn new(prefix: &str, rounds: u32) -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        let (prefix, runtime) = (prefix.into(), Handle::current());
        Self { prefix, rounds, processors: Arc::new(Semaphore::new(processors)), runtime }
    }

    /// Calculates the hash of a text, with the prefix before it.
    ///
    /// # Errors
    /// When no processor becomes free in time, or the calculation panics.
    pub(crate) async fn calculate(&self, text: &str) -> Result<String, CalculateError> {
        if self.rounds <= MAX_QUICK_ROUNDS {
            return Ok(calculate(&self.prefix, self.rounds, text));
        }
        // In a box, because the future of a quick calculation need not be as large.
        Box::pin(self.calculate_long(text)).await
    }

    async fn calculate_long(&self, text: &str) -> Result<String, CalculateError> {
        let permit = Arc::clone(&self.processors).acquire_owned();
        let permit = timeout(PROCESSOR_TIMEOUT, permit).await.map_err(|_| CalculateError::Busy)?;
        let (prefix, rounds, text) = (Arc::clone(&self.prefix), self.rounds, text.to_owned());
        let calculation = self.runtime.spawn_blocking(move || {
            // The calculation goes on when the client has left, and keeps its permit until it ends.
            let _permit = permit;
            calculate(&prefix, rounds, &text)
        });
        calculation.await.map_err(|_| CalculateError::Failed)
    }
}
