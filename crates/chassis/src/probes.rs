//! Readiness and metrics, which Kubernetes and Prometheus read from every process.

mod exposition;
pub mod per_thread;
mod process;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::get,
};
use prometheus_client::{metrics::info::Info, registry::Registry};
use tokio::time::Instant;

use crate::Shutdown;
pub use exposition::{Exposition, merged};

/// Returns the registry of a program's metrics, whose names begin with the program's name. The
/// first metrics are the program's version, the lost lines of its log, and the connections that it
/// had no room for.
#[must_use]
pub fn registry(program: &str, version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix(program);
    let build = Info::new(vec![("version", version)]);
    registry.register("build", "The version of the program", build);
    registry.register_collector(Box::new(process::Losses));
    registry
}

/// Whether a process is ready: all its dependencies are up, and it is not ending.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// The dependencies that are down.
    down: Arc<Mutex<BTreeMap<&'static str, Down>>>,
    shutdown: Shutdown,
}

/// Something that a process cannot work without.
///
/// The log says when it goes down, when the reason changes, and when it is up again: once each,
/// however often [`up`](Self::up) and [`down`](Self::down) are called.
#[derive(Clone, Debug)]
pub struct Dependency {
    name: &'static str,
    readiness: Readiness,
}

/// Why a dependency is down.
#[derive(Debug)]
struct Down {
    since: Instant,
    reason: String,
    /// Whether it has failed; it has not if it was only registered.
    has_failed: bool,
}

impl Down {
    /// What the log says when it is up.
    fn end(&self) -> &'static str {
        if self.has_failed { "recovered" } else { "ready" }
    }
}

impl Readiness {
    /// Ready until a dependency goes down or the process begins to end.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { down: Arc::default(), shutdown }
    }

    /// Registers a dependency, which is down until [`Dependency::up`] is called.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Dependency {
        let reason = "not reached yet".to_owned();
        self.lock().insert(name, Down { since: Instant::now(), reason, has_failed: false });
        Dependency { name, readiness: self.clone() }
    }

    /// Why this process is not ready, in one line; `None` if it is.
    #[must_use]
    pub fn not_ready_reason(&self) -> Option<String> {
        if self.shutdown.is_draining() {
            return Some("ending".to_owned());
        }
        self.lock().iter().next().map(|(name, down)| format!("{name}: {}", down.reason))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Down>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dependency {
    /// Records that it is up.
    pub fn up(&self) {
        let name = self.name;
        if let Some(down) = self.record_up() {
            let after_ms = down.since.elapsed().as_millis();
            tracing::info!(dependency = name, after_ms, "{name}: {}", down.end());
        }
    }

    /// Records that it is down, for this reason.
    pub fn down(&self, reason: impl ToString) {
        let name = self.name;
        let reason = reason.to_string();
        if self.record_down(&reason) {
            tracing::warn!(dependency = name, "{name}: {reason}");
        }
    }

    /// Returns why it was down until now, if it was.
    fn record_up(&self) -> Option<Down> {
        self.readiness.lock().remove(self.name)
    }

    /// Returns whether that is news.
    fn record_down(&self, reason: &str) -> bool {
        let mut lock = self.readiness.lock();
        let since = match lock.get(self.name) {
            Some(down) if down.reason == reason => return false,
            Some(down) => down.since,
            None => Instant::now(),
        };
        lock.insert(self.name, Down { since, reason: reason.to_owned(), has_failed: true });
        true
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Why it is down; `None` if it is up.
    #[must_use]
    pub fn not_ready_reason(&self) -> Option<String> {
        self.readiness.lock().get(self.name).map(|down| down.reason.clone())
    }
}

/// Returns two routes: `GET /_healthz`, which answers `ok`, or 503 and the reason; and
/// `GET /metrics`, which Prometheus and others read, in the format that they ask for.
pub fn router<S: Clone + Send + Sync + 'static>(
    readiness: Readiness,
    metrics: Arc<impl Exposition>,
) -> Router<S> {
    let healthz = move || async move {
        match readiness.not_ready_reason() {
            None => (StatusCode::OK, "ok".to_owned()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
        }
    };
    let metrics = async move |headers: HeaderMap| exposition::answer(&headers, &*metrics);
    Router::new().route("/_healthz", get(healthz)).route("/metrics", get(metrics))
}
