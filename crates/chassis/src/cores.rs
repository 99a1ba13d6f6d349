//! A runtime for each processor. A request that is served on one thread from its first byte to its answer wakes no
//! other thread, and its data stay in one processor's cache.

use std::{io, num::NonZero, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many runtimes a process starts at most. Each may keep connections of its own to a dependency.
const MAX_CORES: usize = 16;

/// The runtimes that serve requests. Those that were started end with this value.
#[derive(Debug)]
pub struct Cores {
    runtimes: Vec<Handle>,
    _end: Option<DropGuard>,
}

impl Cores {
    /// Starts a thread with a runtime for each processor that this process may use, at most 16.
    ///
    /// # Errors
    /// When the system does not allow another thread, or another file.
    pub fn start() -> io::Result<Self> {
        let end = CancellationToken::new();
        let count = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_CORES);
        let runtimes = (0..count).map(|number| start_one(number, end.clone()));
        let runtimes = runtimes.collect::<io::Result<_>>()?;
        Ok(Self { runtimes, _end: Some(end.drop_guard()) })
    }

    /// The runtime of the caller alone.
    ///
    /// # Panics
    /// When the caller has none.
    #[must_use]
    pub fn of_caller() -> Self {
        Self { runtimes: vec![Handle::current()], _end: None }
    }

    /// The runtimes, at least one.
    #[must_use]
    pub fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }
}

fn start_one(number: usize, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let thread = thread::Builder::new().name(format!("core-{number}"));
    thread.spawn(move || {
        runtime.block_on(end.cancelled());
        // A DNS lookup in progress may take very long, and nobody needs its result any more.
        runtime.shutdown_background();
    })?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn each_runtime_has_a_thread_of_its_own_and_ends_with_the_cores() {
        let cores = Cores::start().unwrap();
        let mut names = Vec::new();
        let (alive, mut ended) = mpsc::channel::<()>(1);
        for runtime in cores.runtimes() {
            let alive = alive.clone();
            let name = async { thread::current().name().map(str::to_owned) };
            names.push(runtime.spawn(name).await.unwrap().unwrap());
            runtime.spawn(async move { alive.closed().await });
        }
        let expected: Vec<_> = (0..names.len()).map(|number| format!("core-{number}")).collect();
        assert_eq!(names, expected);
        drop((cores, alive));
        assert_eq!(ended.recv().await, None, "the tasks of a runtime end with it");
    }
}
