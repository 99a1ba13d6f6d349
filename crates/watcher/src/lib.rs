//! The watcher: moves the weights of the mesh with the load.
//!
//! Once an interval, the [`control_loop`] observes the traffic through its [`source`] and the route
//! through the [`route`], lets a [`policy::Decider`] decide, and writes the weights if
//! they change. The [`recorder`] records all of it.

mod api_server;
mod callers;
mod change_detector;
mod config;
mod control_loop;
mod dependencies;
mod ejections;
mod explain;
mod labels;
mod lease;
mod metrics;
mod prometheus;
mod promql;
mod proxy;
mod recorder;
mod route;
mod source;
mod status;
mod writer;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Json, Router, routing::get};
use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

pub use config::{
    CallersUrl, Command, Config, DEFAULT_SERIES, PrometheusSettings, QuerySettings, RouteKind,
    RouteSettings, SourceKind, SourceSettings, WatchSettings,
};
use control_loop::ControlLoop;
use dependencies::Dependencies;
pub use explain::explain;
use lease::Leadership;
use metrics::Metrics;
use prometheus::Prometheus;
use recorder::Recorder;
use route::RouteClient;
use source::Source;
use status::Status;

/// How long the first tick waits for the credentials of the API server.
const FIRST_TICK_WITHIN: Duration = Duration::from_secs(1);

/// The time between two checks of the query, and of the right to write.
const CHECK_EVERY: Duration = Duration::from_secs(3600);

/// The time between two checks before the first traffic, and while the watcher may not write.
const CHECK_SOON: Duration = Duration::from_secs(30);

/// Watches until the shutdown.
///
/// # Errors
/// When the settings name no API server. If the API server does not answer, the watcher waits.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let settings = &config.watch;
    let mut registry = probes::registry("watcher", env!("CARGO_PKG_VERSION"));
    let capacity = settings.policy.leaves_primary_above();
    let metrics = Arc::new(Metrics::new(&mut registry, capacity));
    let readiness = Readiness::new(shutdown.clone());
    let status = Status::new(settings);
    let recorder = || Recorder::new(Arc::clone(&metrics), status.clone());

    let query = settings.query.clone();
    let prometheus = Prometheus::new(&config.prometheus, query, settings.timeout())?;
    let prometheus = Arc::new(prometheus);
    let route_client = Arc::new(RouteClient::new(&config, metrics.events.clone())?);
    let (leadership, election) = match &config.lease {
        // A dry run writes nothing, so it takes the Lease from nobody who does.
        Some(name) if !settings.dry_run => {
            let server = route_client.server();
            let (leadership, task) =
                Leadership::elected(server, &config.route, name, shutdown.clone());
            (leadership, Some(task))
        }
        _ => (Leadership::always(), None),
    };
    let control_loop = ControlLoop::new(
        settings,
        Source::new(settings, Arc::clone(&prometheus))?,
        Arc::clone(&route_client),
        leadership,
        recorder(),
        Dependencies::new(&readiness, config.route.route_kind),
    );
    let shared_status = status.clone();
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/status", get(async move || Json(shared_status.get())))
        .merge(probes::router(readiness, Arc::new(registry)));
    tracing::info!(address = %listener.local_addr()?, "watcher is listening");
    // Usually the credentials are there at once, and then the first tick finds them.
    let credentials = Arc::clone(&route_client);
    let watch = async move {
        let _ = timeout(FIRST_TICK_WITHIN, credentials.ready()).await;
        control_loop.run(settings.interval).await
    };
    tokio::select! {
        () = chassis::server::serve(listener, router, shutdown) => {}
        never = Box::pin(watch) => match never {},
        never = check_query(settings, &prometheus, recorder()) => match never {},
        never = check_write(&route_client, recorder()) => match never {},
    }
    if let Some(election) = election {
        // It gives the Lease away, and takes no longer than a call may.
        let _ = election.await;
    }
    Ok(())
}

/// Checks `SERIES` or `QUERY` for ever. What the callers themselves show, each tick checks.
async fn check_query(
    settings: &WatchSettings,
    prometheus: &Prometheus,
    recorder: Recorder,
) -> Infallible {
    if settings.source.source == SourceKind::Callers {
        return std::future::pending().await;
    }
    loop {
        let finding = prometheus.check().await;
        recorder.record_query_check(&finding);
        sleep(if finding.is_preliminary() { CHECK_SOON } else { CHECK_EVERY }).await;
    }
}

/// Tries a write for ever, as a dry run of the API server: an operator learns before the first burst that
/// the watcher could not write.
async fn check_write(route_client: &RouteClient, recorder: Recorder) -> Infallible {
    route_client.ready().await;
    loop {
        let result = route_client.check_write().await;
        recorder.record_write_check(&result);
        sleep(if result.is_ok() { CHECK_EVERY } else { CHECK_SOON }).await;
    }
}

/// A client that waits no longer than `timeout` for an answer, and follows no redirect.
fn http_client(timeout: Duration) -> reqwest::ClientBuilder {
    // It fails only if a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none())
}

/// Returns the innermost error, which says what happened.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
