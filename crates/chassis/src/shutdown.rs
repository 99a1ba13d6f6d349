//! Shutdown in two steps, so that no request is lost: unready first, closed a little later.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a terminated pod goes on accepting connections, in which time the mesh learns that it is
/// to go: endpoints take a second or two to reach every proxy.
const ENDPOINTS_WAIT: Duration = Duration::from_secs(2);

/// Tells a service when to end. Clones are the same shutdown.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    stopping: CancellationToken,
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that follows the signals of this process.
    ///
    /// SIGTERM makes it unready, and stops it 2 seconds later; SIGINT, which is somebody's Ctrl-C,
    /// stops it at once; a second signal of either kind ends the process where it stands.
    ///
    /// # Errors
    /// When signals cannot be listened to.
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
        tracing::info!(?wait, "ending; a second signal ends at once");
        self.draining.cancel();
        tokio::select! {
            () = tokio::time::sleep(wait) => self.stopping.cancel(),
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
        self.draining.cancel();
        self.stopping.cancel();
    }

    /// Whether new work should go elsewhere.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits until new work should go elsewhere.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Waits until nothing more may be accepted.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}
