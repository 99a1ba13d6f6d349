//! The watcher: keeps the mesh's weights in step with the load.
//!
//! Once a second it asks [`prometheus`] for the request rate and reads the weights in force from the
//! [`virtual_service`]; [`decide`] says where the traffic should go, and why; [`watch`] writes that down
//! if it differs, and [`journal`] tells of it.

mod config;
pub mod decide;
mod explain;
mod journal;
mod metrics;
mod prometheus;
mod promql;
pub mod reason;
mod virtual_service;
mod watch;
pub mod weights;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Json, Router, routing::get};
use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use tokio::{net::TcpListener, time::sleep};

pub use config::{
    Command, Config, DEFAULT_CLUSTERS_QUERY, DEFAULT_QUERY, Fallback, GuardSettings, PolicyKind,
    PolicySettings, QuerySettings, SPILL_QUERY, SpillSettings, ThresholdSettings,
};
use decide::Decider;
pub use explain::explain;
use journal::{Journal, Status};
use metrics::Metrics;
use prometheus::Prometheus;
use virtual_service::VirtualService;

/// Time between two checks of the query.
const CHECK_EVERY: Duration = Duration::from_secs(3600);

/// The same while there is nothing to be checked yet.
const CHECK_SOON: Duration = Duration::from_secs(30);

/// Watches until the shutdown.
///
/// # Errors
/// When the settings name no API server. One that is away is no error: it is waited for.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let policy = &config.policy;
    let mut registry = probes::registry("watcher", env!("CARGO_PKG_VERSION"));
    let metrics = Arc::new(Metrics::new(&mut registry, policy.leaves_primary_above()));
    let readiness = Readiness::new(shutdown.clone());
    let status = Status::new(policy);
    let asked = status.clone();
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/status", get(async move || Json(asked.get())))
        .merge(probes::router(readiness.clone(), Arc::new(registry)));

    let (query, timeout) = (policy.query.clone(), policy.timeout());
    let prometheus = Arc::new(Prometheus::new(&config.prometheus_url, query, timeout)?);
    let journal = || Journal::new(Arc::clone(&metrics), status.clone());
    let watch = watch::Watch {
        prometheus: Arc::clone(&prometheus),
        virtual_service: VirtualService::new(&config, metrics.events.clone()).await?,
        decider: Decider::new(policy.clone(), Duration::ZERO),
        dry_run: policy.dry_run,
        metrics: Arc::clone(&metrics),
        journal: journal(),
        rate_known: readiness.register("request rate"),
        has_known_rate: false,
        weights_read: readiness.register("reading the VirtualService"),
        weights_written: readiness.register("writing the VirtualService"),
        orders_understood: readiness.register("annotations of the VirtualService"),
        expected: None,
        attempted: None,
        last_turn: Duration::ZERO,
    };
    tracing::info!(address = %listener.local_addr()?, "watcher is listening");
    tokio::select! {
        () = chassis::server::serve(listener, router, shutdown) => Ok(()),
        never = watch.run(policy.interval) => match never {},
        never = check(&prometheus, journal()) => match never {},
    }
}

/// Checks the query for ever.
async fn check(prometheus: &Prometheus, journal: Journal) -> Infallible {
    loop {
        let finding = prometheus.check().await;
        journal.checked(&finding);
        sleep(if finding.is_preliminary() { CHECK_SOON } else { CHECK_EVERY }).await;
    }
}

/// The innermost error: it says what happened, and those around it that an error happened.
fn what_happened(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
