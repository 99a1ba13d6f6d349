//! Shutdown in two steps: the process is first unready, and then it stops to accept connections. No
//! request is lost.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a terminated pod accepts connections. Meanwhile the mesh removes the pod from its
/// endpoints, which takes a second or two to reach every proxy.
const ENDPOINTS_WAIT: Duration = Duration::from_secs(2);

/// Tells a service when to end. Clones share the same shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Phases>);

#[derive(Debug, Default)]
struct Phases {
    draining: Phase,
    stopping: Phase,
}

/// A phase that begins once.
#[derive(Debug, Default)]
struct Phase {
    /// The same as the token's, without its lock: servers ask for each request.
    has_begun: AtomicBool,
    token: CancellationToken,
}

impl Phase {
    fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
        self.token.cancel();
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }
}

impl Shutdown {
    /// A shutdown that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that follows the signals of this process.
    ///
    /// SIGTERM makes the process unready, and stops it 2 seconds later. SIGINT (Ctrl-C) stops it at
    /// once. A second signal of either kind ends the process immediately.
    ///
    /// # Errors
    /// When the system does not allow signal handlers.
    pub fn on_signal() -> io::Result<Self> {
        let shutdown = Self::new();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        tokio::spawn(shutdown.clone().follow(interrupt, terminate));
        Ok(shutdown)
    }

    async fn follow(self, mut interrupt: Signal, mut terminate: Signal) {
        let wait = tokio::select! {
            _ = interrupt.recv() => Duration::ZERO,
            _ = terminate.recv() => ENDPOINTS_WAIT,
        };
        tracing::info!(?wait, "ending; a second signal ends the process at once");
        self.0.draining.begin();
        tokio::select! {
            () = tokio::time::sleep(wait) => self.0.stopping.begin(),
            _ = interrupt.recv() => std::process::exit(1),
            _ = terminate.recv() => std::process::exit(1),
        }
        tokio::select! {
            _ = interrupt.recv() => std::process::exit(1),
            _ = terminate.recv() => std::process::exit(1),
        }
    }

    /// Stops at once.
    pub fn stop(&self) {
        self.0.draining.begin();
        self.0.stopping.begin();
    }

    /// Whether the process is unready because it is ending.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.draining.has_begun()
    }

    /// Waits until the process is unready because it is ending.
    pub async fn draining(&self) {
        self.0.draining.token.cancelled().await;
    }

    /// Whether the process should accept no more connections.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.has_begun()
    }

    /// Waits until the process should accept no more connections.
    pub async fn stopping(&self) {
        self.0.stopping.token.cancelled().await;
    }
}
