//! Both clusters in one process on a laptop: the demo, and the whole-story tests.
//!
//! The frontend, the workers and the watcher are the real ones, unchanged, and speak to one another over
//! their real wires. Only the far side of each wire is stood up here: [`redis`], the [`mesh`], the
//! [`prometheus`] that scrapes it, and the [`kubernetes`] API that holds its weights.

pub mod closed_loop;
mod config;
mod guide;
pub mod kubernetes;
pub mod mesh;
pub mod prometheus;
mod promql;
pub mod redis;
mod telemetry;

use std::{convert::Infallible, io::Write as _, net::SocketAddr};

use anyhow::Context as _;
use chassis::{
    Shutdown,
    server::{listen_locally, serve},
};
use contract::RedisUrl;
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, task::JoinSet};

pub use config::{Config, Ports};
pub use telemetry::Requests;

/// The demo, bound to its ports and not yet running.
pub struct Demo {
    config: Config,
    listeners: Listeners,
    addresses: Addresses,
    /// Where the API server is, for the watcher and for kubectl; deleted when the demo ends.
    kubeconfig: NamedTempFile,
}

/// Where each part listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The page.
    pub page: SocketAddr,
    /// Redis, embedded or not.
    pub redis: RedisUrl,
    /// The weighted proxy.
    pub mesh: SocketAddr,
    /// The Prometheus API.
    pub prometheus: SocketAddr,
    /// The Kubernetes API.
    pub kubernetes: SocketAddr,
    /// The watcher's probes and metrics.
    pub watcher: SocketAddr,
    /// The workers.
    pub workers: mesh::Workers,
}

struct Listeners {
    redis: Option<TcpListener>,
    mesh: TcpListener,
    prometheus: TcpListener,
    kubernetes: TcpListener,
    services: Option<ServiceListeners>,
}

struct ServiceListeners {
    page: TcpListener,
    watcher: TcpListener,
    worker_primary: TcpListener,
    worker_burst: TcpListener,
}

impl Demo {
    /// Takes every port, so that one that is taken by somebody else is an error before anything starts.
    ///
    /// # Errors
    /// Names the port that is taken, and the variable that chooses another.
    pub fn bind(config: Config) -> anyhow::Result<Self> {
        let ports = &config.ports;
        let services =
            if config.far_side_only { None } else { Some(ServiceListeners::bind(&config)?) };
        let listeners = Listeners {
            redis: match config.redis_url {
                Some(_) => None,
                None => Some(listen_locally("REDIS_PORT", ports.redis_port)?),
            },
            mesh: listen_locally("MESH_PORT", ports.mesh_port)?,
            prometheus: listen_locally("PROMETHEUS_PORT", ports.prometheus_port)?,
            kubernetes: listen_locally("KUBERNETES_PORT", ports.kubernetes_port)?,
            services,
        };
        let addresses = listeners.addresses(&config)?;
        let kubeconfig = kubeconfig(addresses.kubernetes).context("writing a kubeconfig")?;
        Ok(Self { config, listeners, addresses, kubeconfig })
    }

    /// Where each part listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Says on standard output where each part listens and what to do next.
    pub fn print_guide(&self) {
        let guide = guide::guide(&self.addresses, &self.config, self.kubeconfig.path());
        // Without anybody to read it, the demo is still of use.
        let _ = write!(std::io::stdout(), "{guide}");
    }

    /// Runs until the shutdown.
    ///
    /// # Errors
    /// When a part ends that should not.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { config, listeners, addresses, kubeconfig } = self;
        let virtual_service = kubernetes::VirtualService::from_manifest()?;
        let (requests, prometheus) = (Requests::default(), prometheus::Prometheus::new());
        // The far side goes on until the services have ended, and ends with this function.
        let mut far_side = JoinSet::<Infallible>::new();
        if let Some(listener) = listeners.redis {
            far_side.spawn(redis::serve(listener));
        }
        far_side.spawn(prometheus.clone().scrape(requests.clone()));
        let mesh = mesh::router(virtual_service.clone(), addresses.workers, requests);
        let routers = [
            (listeners.mesh, mesh),
            (listeners.prometheus, prometheus::router(prometheus)),
            (listeners.kubernetes, kubernetes::router(virtual_service)),
        ];
        for (listener, router) in routers {
            far_side.spawn(async move {
                serve(listener, router, Shutdown::new()).await;
                unreachable!("nobody asks this one to stop")
            });
        }
        let near_side = async {
            match listeners.services {
                Some(listeners) => {
                    let kubeconfig = kubeconfig.path().to_string_lossy().into_owned();
                    listeners.run(&config, &addresses, kubeconfig, &shutdown).await
                }
                None => {
                    shutdown.stopping().await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            result = near_side => result,
            _ = far_side.join_next() => anyhow::bail!("a part of the far side has ended"),
        }
    }
}

impl Listeners {
    fn addresses(&self, config: &Config) -> anyhow::Result<Addresses> {
        let Ports { worker_primary_port, worker_burst_port, .. } = config.ports;
        let unbound = SocketAddr::from(([127, 0, 0, 1], config.port));
        let (page, watcher, workers) = match &self.services {
            None => {
                let workers =
                    mesh::Workers { primary: worker_primary_port, burst: worker_burst_port };
                (unbound, unbound, workers)
            }
            Some(services) => {
                let workers = mesh::Workers {
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

    async fn run(
        self,
        config: &Config,
        addresses: &Addresses,
        kubeconfig: String,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let mut services = JoinSet::new();
        for (listener, prefix) in [(self.worker_primary, ""), (self.worker_burst, "bursty-")] {
            let worker = worker::Config {
                port: 0,
                redis_url: addresses.redis.clone(),
                prefix: prefix.to_owned(),
                access_log: 0,
                calculation: config.calculation.clone(),
                logs: config.logs.clone(),
            };
            services.spawn(worker::run(worker, listener, shutdown.clone()));
        }
        let frontend = frontend::Config {
            port: 0,
            processor_url: format!("http://{}", addresses.mesh).parse()?,
            redis_url: addresses.redis.clone(),
            watcher_url: Some(format!("http://{}", addresses.watcher).parse()?),
            visitors: config.visitors.clone(),
            logs: config.logs.clone(),
        };
        services.spawn(frontend::run(frontend, self.page, shutdown.clone()));
        let watcher = watcher::Config {
            command: watcher::Command::Run,
            port: 0,
            prometheus_url: format!("http://{}", addresses.prometheus).parse()?,
            kubeconfig: Some(kubeconfig),
            namespace: "default".to_owned(),
            virtual_service: "worker-virtual-service".to_owned(),
            policy: config.policy.clone(),
            logs: config.logs.clone(),
        };
        services.spawn(watcher::run(watcher, self.watcher, shutdown.clone()));

        while let Some(ended) = services.join_next().await {
            ended.context("a service has panicked")??;
            // One that ends without being asked takes the others with it: half a demo is no demo.
            shutdown.stop();
        }
        Ok(())
    }
}

fn kubeconfig(kubernetes: SocketAddr) -> anyhow::Result<NamedTempFile> {
    let mut file =
        tempfile::Builder::new().prefix("istio-burst-").suffix(".kubeconfig").tempfile()?;
    writeln!(
        file,
        "apiVersion: v1\nkind: Config\ncurrent-context: local\n\
         contexts: [{{name: local, context: {{cluster: local, user: local}}}}]\n\
         clusters: [{{name: local, cluster: {{server: 'http://{kubernetes}'}}}}]\n\
         users: [{{name: local, user: {{}}}}]"
    )?;
    Ok(file)
}
