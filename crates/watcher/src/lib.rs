//! The watcher: keeps the mesh's weights in step with the load.
//!
//! Once a second it asks [`prometheus`] for the request rate and reads the weights in force from the
//! [`virtual_service`]; [`decide`] says where the traffic should go, and [`watch`] writes that down
//! if it differs.

mod config;
mod decide;
mod metrics;
mod prometheus;
mod virtual_service;
mod watch;

use std::sync::Arc;

use axum::{Router, routing::get};
use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use tokio::net::TcpListener;

pub use config::{Config, DEFAULT_QUERY, PolicySettings};

/// Watches until the shutdown.
///
/// # Errors
/// When the settings name no API server. One that is away is no error: it is waited for.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut registry = probes::registry("watcher", env!("CARGO_PKG_VERSION"));
    let metrics = Arc::new(metrics::Metrics::new(&mut registry));
    let readiness = Readiness::new(shutdown.clone());
    let router = Router::new()
        .route("/", get(async || "ok"))
        .merge(probes::router(readiness.clone(), Arc::new(registry)));

    let policy = &config.policy;
    let watch = watch::Watch {
        prometheus: prometheus::Prometheus::new(&config.prometheus_url, &policy.query)?,
        virtual_service: virtual_service::VirtualService::new(&config).await?,
        decider: decide::Decider::new(decide::Threshold {
            burst_above: policy.burst_above,
            home_below: policy.home_below,
            home_hold: policy.home_hold,
        }),
        dry_run: policy.dry_run,
        metrics,
        rate_known: readiness.register("request rate"),
        has_known_rate: false,
        weights_read: readiness.register("reading the VirtualService"),
        weights_written: readiness.register("writing the VirtualService"),
        said: None,
    };
    tracing::info!(address = %listener.local_addr()?, "watcher is listening");
    tokio::select! {
        () = chassis::server::serve(listener, router, shutdown) => Ok(()),
        never = watch.run(policy.interval) => match never {},
    }
}
