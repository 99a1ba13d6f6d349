//! Readiness, and the metrics page: what Kubernetes and Prometheus ask of every process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text::encode, metrics::info::Info, registry::Registry};
use tokio::time::Instant;

use crate::Shutdown;

/// The metrics of a program, which begin with its name. The first says what was built.
#[must_use]
pub fn registry(program: &str, version: &'static str) -> Registry {
    let mut registry = Registry::with_prefix(program);
    let build = Info::new(vec![("version", version)]);
    registry.register("build", "What was built", build);
    registry
}

/// Whether a process can do its work now: no dependency is away, and it is not about to end.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// What each dependency that is away lacks.
    away: Arc<Mutex<BTreeMap<&'static str, Away>>>,
    shutdown: Shutdown,
}

/// One thing that a process cannot work without.
///
/// Says in the log when it goes away, when the reason changes, and when it is back: once each, however
/// often it is told.
#[derive(Clone, Debug)]
pub struct Dependency {
    name: &'static str,
    readiness: Readiness,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    reason: String,
}

impl Readiness {
    /// Ready until a dependency is away or the process is to end.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { away: Arc::default(), shutdown }
    }

    /// Registers a dependency, which is away until it says that it is up.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Dependency {
        let away = Away { since: Instant::now(), reason: "not reached yet".to_owned() };
        self.lock().insert(name, away);
        Dependency { name, readiness: self.clone() }
    }

    /// Why this process is not ready, in one line; `None` if it is.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        if self.shutdown.is_draining() {
            return Some("ending".to_owned());
        }
        self.lock().iter().next().map(|(name, away)| format!("{name}: {}", away.reason))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dependency {
    /// It is there.
    pub fn up(&self) {
        let Self { name, readiness } = self;
        if let Some(away) = readiness.lock().remove(name) {
            let after_ms = away.since.elapsed().as_millis();
            tracing::info!(dependency = name, after_ms, "{name}: all is well");
        }
    }

    /// It is away, for this reason.
    pub fn down(&self, reason: impl ToString) {
        let Self { name, readiness } = self;
        let reason = reason.to_string();
        let mut lock = readiness.lock();
        let since = match lock.get(name) {
            Some(away) if away.reason == reason => return,
            Some(away) => away.since,
            None => Instant::now(),
        };
        tracing::warn!(dependency = name, "{name}: {reason}");
        lock.insert(name, Away { since, reason });
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Why it is away; `None` if it is there.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        self.readiness.lock().get(self.name).map(|away| away.reason.clone())
    }
}

/// `GET /_healthz`, which answers `ok`, or 503 and what is lacking; `GET /metrics` for Prometheus.
pub fn router<S: Clone + Send + Sync + 'static>(
    readiness: Readiness,
    metrics: Arc<Registry>,
) -> Router<S> {
    let healthz = move || async move {
        match readiness.lacks() {
            None => (StatusCode::OK, "ok".to_owned()),
            Some(lack) => (StatusCode::SERVICE_UNAVAILABLE, lack),
        }
    };
    let metrics = move || async move {
        let mut text = String::new();
        match encode(&mut text, &metrics) {
            Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    Router::new().route("/_healthz", get(healthz)).route("/metrics", get(metrics))
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
