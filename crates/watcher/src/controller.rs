//! The controller: follows the `BurstPolicies` and watches the route of each, independently of the others.
//!
//! A policy that cannot be used harms no other: it has a status that says why, and nothing else.

mod conditions;
mod config;
mod events;
mod metrics;
mod policies;
mod reporter;
mod running;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use contract::WatcherStatus;
use tokio::net::TcpListener;

use crate::{api_server::ApiServer, lease::Leadership, watch::Shared};
pub use config::{ControllerCommand, ControllerConfig};
use metrics::AllMetrics;
use policies::Policies;
use running::Running;

/// Follows the policies until the shutdown.
///
/// # Errors
/// When the settings name no API server. If the API server does not answer, the controller waits.
pub async fn control(
    config: ControllerConfig,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let server = ApiServer::start(config.kubeconfig.as_deref())?;
    let (leadership, election) =
        Leadership::elected(server.clone(), None, &config.lease, shutdown.clone());
    let shared = Shared::new(server.clone(), &config.prometheus, leadership.clone())?;
    let readiness = Readiness::new(shutdown.clone());
    let running = Running::default();
    let policies = Policies::new(shared, running.clone());
    let metrics = Arc::new(AllMetrics::new(running.clone()));
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/policies/{namespace}/{name}/status", get(status))
        .with_state(running)
        .merge(probes::router(readiness.clone(), metrics));
    tracing::info!(address = %listener.local_addr()?, "controller is listening");
    tokio::select! {
        () = chassis::server::serve(listener, router, shutdown) => {}
        never = leadership.report(&readiness) => match never {},
        never = events::follow(server, config.watch_namespace, policies, &readiness) => match never {},
    }
    // It gives the Lease away, and takes no longer than a call may.
    let _ = election.await;
    Ok(())
}

/// The same as the `/status` of a watcher of one route.
async fn status(
    State(running): State<Running>,
    Path(key): Path<(String, String)>,
) -> Result<Json<WatcherStatus>, (StatusCode, &'static str)> {
    running.status(&key).map(Json).ok_or((StatusCode::NOT_FOUND, "there is no such BurstPolicy"))
}
