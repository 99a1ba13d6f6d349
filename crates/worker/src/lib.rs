//! The worker: hashes what it is asked, then announces it on Redis.
//!
//! `POST /` with `{"str": "…"}` is answered 200 once Redis has taken the calculation, and never
//! before. [`hash`] computes it, [`announce`] publishes it, [`http`] is everything in between.

mod access_log;
mod announce;
mod config;
mod hash;
mod http;
mod metrics;

use std::sync::Arc;

use chassis::{
    Shutdown,
    probes::{self, Readiness},
};
use tokio::net::TcpListener;

pub use config::{CalculationSettings, Config};
pub use hash::calculation;

/// Serves until the shutdown, then answers what is in flight.
///
/// # Errors
/// When the settings name a Redis that cannot be addressed. A Redis that is away is no error: it is
/// waited for.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut registry = probes::registry("worker", env!("CARGO_PKG_VERSION"));
    let metrics = Arc::new(metrics::Metrics::new(&mut registry));
    let readiness = Readiness::new(shutdown.clone());

    let redis = readiness.register("redis");
    let (announcer, keep_connected) =
        announce::announcer(&config.redis_url, redis, Arc::clone(&metrics))?;
    let app = http::App::new(&config, announcer, metrics);
    let router = http::router(app, readiness, Arc::new(registry));

    tracing::info!(address = %listener.local_addr()?, prefix = config.prefix, "worker is listening");
    tokio::select! {
        () = chassis::server::serve(listener, router, shutdown) => Ok(()),
        never = keep_connected => match never {},
    }
}
