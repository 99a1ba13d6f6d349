//! The listeners of all parts, bound before anything starts.

use std::net::SocketAddr;

use chassis::server::listen_locally;
use fakes::WorkerPorts;
use tokio::net::TcpListener;

use crate::{Addresses, Config, Ports};

/// A listener for each part of the demo.
pub(crate) struct Listeners {
    /// `None` if the demo uses a Redis that is already there.
    pub(crate) redis: Option<TcpListener>,
    pub(crate) mesh: TcpListener,
    pub(crate) prometheus: TcpListener,
    pub(crate) kubernetes: TcpListener,
    /// `None` if the demo starts only the fakes.
    pub(crate) services: Option<ServiceListeners>,
}

/// A listener for each service.
pub(crate) struct ServiceListeners {
    pub(crate) page: TcpListener,
    pub(crate) watcher: TcpListener,
    pub(crate) worker_primary: TcpListener,
    pub(crate) worker_burst: TcpListener,
}

impl Listeners {
    pub(crate) fn bind(config: &Config) -> anyhow::Result<Self> {
        let ports = &config.ports;
        let services = if config.fakes_only { None } else { Some(ServiceListeners::bind(config)?) };
        Ok(Self {
            redis: match config.redis_url {
                Some(_) => None,
                None => Some(listen_locally("REDIS_PORT", ports.redis_port)?),
            },
            mesh: listen_locally("MESH_PORT", ports.mesh_port)?,
            prometheus: listen_locally("PROMETHEUS_PORT", ports.prometheus_port)?,
            kubernetes: listen_locally("KUBERNETES_PORT", ports.kubernetes_port)?,
            services,
        })
    }

    pub(crate) fn addresses(&self, config: &Config) -> anyhow::Result<Addresses> {
        let Ports { worker_primary_port, worker_burst_port, .. } = config.ports;
        let unbound = SocketAddr::from(([127, 0, 0, 1], config.port));
        let (page, watcher, workers) = match &self.services {
            None => {
                let workers =
                    WorkerPorts { primary: worker_primary_port, burst: worker_burst_port };
                (unbound, unbound, workers)
            }
            Some(services) => {
                let workers = WorkerPorts {
                    primary: services.worker_primary.local_addr()?.port(),
                    burst: services.worker_burst.local_addr()?.port(),
                };
                (services.page.local_addr()?, services.watcher.local_addr()?, workers)
            }
        };
        let redis = match (&config.redis_url, &self.redis) {
            (None, Some(listener)) => listener.local_addr()?.to_string().parse()?,
            (Some(url), _) => url.clone(),
            (None, None) => anyhow::bail!("there is no Redis"),
        };
        Ok(Addresses {
            page,
            redis,
            mesh: self.mesh.local_addr()?,
            prometheus: self.prometheus.local_addr()?,
            kubernetes: self.kubernetes.local_addr()?,
            watcher,
            workers,
        })
    }
}

impl ServiceListeners {
    fn bind(config: &Config) -> anyhow::Result<Self> {
        let ports = &config.ports;
        Ok(Self {
            page: listen_locally("PORT", config.port)?,
            watcher: listen_locally("WATCHER_PORT", ports.watcher_port)?,
            worker_primary: listen_locally("WORKER_PRIMARY_PORT", ports.worker_primary_port)?,
            worker_burst: listen_locally("WORKER_BURST_PORT", ports.worker_burst_port)?,
        })
    }
}
