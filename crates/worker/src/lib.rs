//! The worker: it hashes texts, and publishes the hashes on Redis.
//!
//! `POST /` with `{"str": "…"}` is answered 200 once Redis has taken the calculation, which is the
//! hash with the cluster's prefix before it. [`http`] reads the request, [`hash`] calculates, and
//! [`publish`] publishes.

mod access_log;
mod calculator;
mod config;
mod hash;
mod http;
mod metrics;
mod publish;

use std::sync::Arc;

use bytesize::ByteSize;
use chassis::{
    Shutdown,
    probes::{self, Readiness},
    server::{self, Limits},
};
use tokio::net::TcpListener;

use publish::{Connector, PublishLog, Publisher};

pub use config::{CalculationSettings, Config};
pub use hash::calculate;

/// Serves until the shutdown, then answers the requests in flight.
///
/// # Errors
/// When the Redis client does not accept the address. A Redis that does not answer is no error: the
/// worker waits for it.
pub async fn run(config: Config, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut registry = probes::registry("worker", env!("CARGO_PKG_VERSION"));
    let metrics = Arc::new(metrics::Metrics::new(&mut registry));
    let readiness = Readiness::new(shutdown.clone());

    let limits = limits(config.calculation.max_body);
    let redis = readiness.register("redis");
    let log = PublishLog::new(Arc::clone(&metrics));
    let connector = Connector::new(&config.redis_url, redis, log.clone(), Arc::clone(&metrics))?;
    let publisher = Publisher::start(connector.connection(), log, Arc::clone(&metrics));
    let app = http::App::new(&config, publisher, metrics);
    let router = http::router(app, readiness, Arc::new(registry));

    tracing::info!(address = %listener.local_addr()?, prefix = config.prefix, "worker is listening");
    tokio::select! {
        () = server::serve_within(limits, listener, router, shutdown) => Ok(()),
        never = connector.run() => match never {},
    }
}

/// At most 44 MiB together, of a pod's 64, unless `max_body` is large: 2,000 clients that each sent a
/// part of a large head took 23 KiB each.
fn limits(max_body: ByteSize) -> Limits {
    // Each counts about twice.
    let one_body = usize::try_from(max_body.as_u64()).unwrap_or(usize::MAX).saturating_mul(4);
    Limits { connections: 1536, body_bytes: one_body.max(8 * 1024 * 1024) }
}
