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

use chassis::{
    Cores, Shutdown,
    probes::{self, Readiness},
    server::{self, Limits},
};
use tokio::{net::TcpListener, runtime::Handle};

use access_log::AccessLog;
use calculator::Calculator;
use publish::{Connector, PublishLog, Publisher};

pub use config::{CalculationSettings, Config};
pub use hash::calculate;

/// Serves until the shutdown, then answers the requests in flight. Each core has its own connection to Redis.
///
/// # Errors
/// When the Redis client does not accept the address. A Redis that does not answer is no error: the
/// worker waits for it.
pub async fn run(
    config: Config,
    cores: Cores,
    listener: TcpListener,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut registry = probes::registry("worker", env!("CARGO_PKG_VERSION"));
    let metrics = Arc::new(metrics::Metrics::new(&mut registry));
    let readiness = Readiness::new(shutdown.clone());

    let max_body = usize::try_from(config.calculation.max_body.as_u64()).unwrap_or(usize::MAX);
    let redis = readiness.register("redis");
    let log = PublishLog::new(Arc::clone(&metrics));
    let mut connector =
        Connector::new(&config.redis_url, redis, log.clone(), Arc::clone(&metrics))?;
    let calculator = Calculator::new(&config.prefix, config.calculation.rounds);
    let access_log = Arc::new(AccessLog::new(config.access_log));
    let registry = Arc::new(registry);
    let serve = |runtime: &Handle| {
        let publisher = Publisher::start(runtime, connector.connection(runtime), log.clone());
        let app = http::App {
            calculator: calculator.clone(),
            publisher,
            max_body,
            metrics: Arc::clone(&metrics),
            access_log: Arc::clone(&access_log),
        };
        (runtime.clone(), http::router(app, readiness.clone(), Arc::clone(&registry)))
    };
    let served = cores.runtimes().iter().map(serve).collect();

    tracing::info!(address = %listener.local_addr()?, prefix = config.prefix, "worker is listening");
    tokio::select! {
        () = server::serve_on(served, limits(max_body), listener, shutdown) => Ok(()),
        never = connector.run() => match never {},
    }
}

/// At most 44 MiB together, of a pod's 64, unless `max_body` is large: 2,000 clients that each sent a
/// part of a large head took 23 KiB each.
fn limits(max_body: usize) -> Limits {
    // Each counts about twice.
    Limits { connections: 1536, body_bytes: max_body.saturating_mul(4).max(8 * 1024 * 1024) }
}
