//! The real services: two workers, the frontend and the watcher.

use anyhow::Context as _;
use chassis::{Cores, Shutdown};
use contract::Cluster;
use tokio::task::JoinSet;

use crate::{Addresses, Config, listeners::ServiceListeners};

/// Runs the services until the shutdown.
///
/// # Errors
/// When a service ends with an error.
pub(crate) async fn run(
    listeners: ServiceListeners,
    config: &Config,
    addresses: &Addresses,
    kubeconfig: String,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let ServiceListeners { page, watcher, worker_primary, worker_burst } = listeners;
    let mut services = JoinSet::new();
    let workers = [(worker_primary, Cluster::Primary), (worker_burst, Cluster::Burst)];
    for (listener, cluster) in workers {
        let config = worker_config(config, addresses, cluster);
        services.spawn(worker::run(config, Cores::of_caller(), listener, shutdown.clone()));
    }
    let frontend = frontend_config(config, addresses)?;
    services.spawn(frontend::run(frontend, page, shutdown.clone()));
    let watcher_config = watcher_config(config, addresses, kubeconfig)?;
    services.spawn(watcher::run(watcher_config, watcher, shutdown.clone()));

    while let Some(ended) = services.join_next().await {
        ended.context("a service has panicked")??;
        // When one service ends, the others end too, because half a demo is no demo.
        shutdown.stop();
    }
    Ok(())
}

fn worker_config(config: &Config, addresses: &Addresses, cluster: Cluster) -> worker::Config {
    worker::Config {
        port: 0,
        redis_url: addresses.redis.clone(),
        prefix: cluster.prefix().to_owned(),
        access_log: 0,
        calculation: config.calculation.clone(),
        logs: config.logs.clone(),
    }
}

fn frontend_config(config: &Config, addresses: &Addresses) -> anyhow::Result<frontend::Config> {
    Ok(frontend::Config {
        base_path: frontend::BasePath::default(),
        port: 0,
        processor_url: format!("http://{}", addresses.mesh).parse()?,
        redis_url: addresses.redis.clone(),
        watcher_url: Some(format!("http://{}", addresses.watcher).parse()?),
        visitors: config.visitors.clone(),
        logs: config.logs.clone(),
    })
}

fn watcher_config(
    config: &Config,
    addresses: &Addresses,
    kubeconfig: String,
) -> anyhow::Result<watcher::Config> {
    let mut watch = config.watch.clone();
    let callers_url = format!("http://{}/stats/prometheus", addresses.mesh);
    watch.signal.source.callers_url = callers_url.parse().map_err(anyhow::Error::msg)?;
    Ok(watcher::Config {
        command: watcher::Command::Run,
        port: 0,
        prometheus: watcher::PrometheusSettings::at(
            format!("http://{}", addresses.prometheus).parse()?,
        ),
        kubeconfig: Some(kubeconfig),
        lease: None,
        burst_policy: None,
        route: watcher::RouteSettings::of_manifests(),
        watch,
        logs: config.logs.clone(),
    })
}
