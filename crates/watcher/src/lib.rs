//! The watcher: moves the weights of the mesh with the load.
//!
//! Once an interval, the [`control_loop`] observes the traffic through its [`source`] and the route
//! through the [`route`], lets a [`policy::Decider`] decide, and writes the weights if
//! they change. The [`recorder`] records all of it.

mod api_server;
mod burst_policy;
mod callers;
mod change_detector;
mod claim;
mod cluster_sources;
mod config;
mod control_loop;
mod controller;
mod dependencies;
mod ejections;
mod explain;
mod http_clients;
mod labels;
mod lease;
mod metrics;
mod prometheus;
mod promql;
mod proxy;
mod recorder;
mod replay;
mod route;
mod source;
mod status;
mod watch;
mod webhook;
mod writer;

use std::sync::Arc;

use axum::{Json, Router, routing::get};
use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use tokio::net::TcpListener;

pub use self::replay::{ReplayCommand, ReplayConfig, replay};
use api_server::ApiServer;
pub use burst_policy::{BurstPolicy, BurstPolicySpec, BurstPolicyStatus, crd};
pub use config::{
    CallersUrl, Command, Config, DEFAULT_SERIES, PrometheusSettings, QuerySettings, RouteKind,
    RouteSettings, SignalSettings, SourceKind, SourceSettings, WatchSettings,
};
pub use controller::{ControllerCommand, ControllerConfig, control};
pub use explain::explain;
use lease::Leadership;
use metrics::Metrics;
use status::Status;
use watch::{Records, Shared, Watch};

/// Watches one route until the shutdown.
///
/// # Errors
/// When the settings name no API server. If the API server does not answer, the watcher waits.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let settings = &config.watch;
    let mut registry = probes::registry("watcher", env!("CARGO_PKG_VERSION"));
    let records = Records {
        metrics: Arc::new(Metrics::new(&mut registry)),
        readiness: Readiness::new(shutdown.clone()),
        status: Status::new(settings),
    };
    let server = ApiServer::start(config.kubeconfig.as_deref())?;
    let (leadership, election) = match &config.lease {
        // A dry run writes nothing, so it takes the Lease from nobody who does.
        Some(name) if !settings.dry_run => {
            let namespace = Some(config.route.namespace.clone());
            let (leadership, task) =
                Leadership::elected(server.clone(), namespace, name, shutdown.clone());
            (leadership, Some(task))
        }
        _ => (Leadership::always(), None),
    };
    let shared = Shared::new(server, &config.prometheus, leadership)?;
    let watch = Watch::new(&shared, &config.route, settings, None, records.clone())?;
    let Records { status, readiness, .. } = records;
    let reported = readiness.clone();
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/status", get(async move || Json(status.get())))
        .merge(probes::router(readiness, Arc::new(registry)));
    tracing::info!(address = %listener.local_addr()?, "watcher is listening");
    tokio::select! {
        () = chassis::server::serve(listener, router, shutdown) => {}
        never = Box::pin(watch.run()) => match never {},
        never = shared.leadership.report(&reported) => match never {},
    }
    if let Some(election) = election {
        // It gives the Lease away, and takes no longer than a call may.
        let _ = election.await;
    }
    Ok(())
}
