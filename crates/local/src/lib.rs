//! Both clusters in one process on a laptop: the demo of `cargo run`.
//!
//! The frontend, the workers and the watcher are the real ones. They speak their real protocols to
//! the [`fakes`], which stand for Redis, the mesh, Prometheus and Kubernetes.

mod config;
mod guide;
mod listeners;
mod services;

use std::{convert::Infallible, io::Write as _, net::SocketAddr};

use anyhow::Context as _;
use chassis::{Shutdown, server::serve};
use contract::RedisUrl;
use fakes::{FakeKubernetes, FakeMesh, FakePrometheus, RequestCounts, WorkerPorts};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;

use listeners::Listeners;

pub use config::{Config, Ports};

/// The demo, bound to its ports and not yet running.
pub struct Demo {
    config: Config,
    listeners: Listeners,
    addresses: Addresses,
    /// Leads the watcher and kubectl to the API server. The file is deleted when the demo ends.
    kubeconfig: NamedTempFile,
}

/// Where each part listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The page.
    pub page: SocketAddr,
    /// Redis, fake or not.
    pub redis: RedisUrl,
    /// The fake mesh.
    pub mesh: SocketAddr,
    /// The fake Prometheus.
    pub prometheus: SocketAddr,
    /// The fake Kubernetes API.
    pub kubernetes: SocketAddr,
    /// The watcher.
    pub watcher: SocketAddr,
    /// The workers.
    pub workers: WorkerPorts,
}

impl Demo {
    /// Binds every port, so a port that is taken is an error before anything starts.
    ///
    /// # Errors
    /// When a port is taken. The error names it, and the variable that chooses another.
    pub fn bind(config: Config) -> anyhow::Result<Self> {
        let listeners = Listeners::bind(&config)?;
        let addresses = listeners.addresses(&config)?;
        let kubeconfig = kubeconfig(addresses.kubernetes).context("writing a kubeconfig")?;
        Ok(Self { config, listeners, addresses, kubeconfig })
    }

    /// Where each part listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Prints where each part listens and what to do next.
    pub fn print_guide(&self) {
        let guide = guide::guide(&self.addresses, &self.config, self.kubeconfig.path());
        // The demo is still useful if nobody reads the guide.
        let _ = write!(std::io::stdout(), "{guide}");
    }

    /// Runs until the shutdown.
    ///
    /// # Errors
    /// When a part ends before the shutdown.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let Self { config, listeners, addresses, kubeconfig } = self;
        let kubernetes = FakeKubernetes::from_manifest()?;
        kubernetes.add_copies_with_policies(config.fake_policies);
        let (requests, prometheus) = (RequestCounts::default(), FakePrometheus::new());
        // The fakes run until the services have ended. They end with this function.
        let mut fakes = JoinSet::<Infallible>::new();
        if let Some(listener) = listeners.redis {
            fakes.spawn(fakes::serve_redis(listener));
        }
        fakes.spawn(prometheus.clone().scrape(requests.clone()));
        let mesh = FakeMesh::new(kubernetes.clone(), addresses.workers, requests);
        let routers = [
            (listeners.mesh, mesh.router()),
            (listeners.prometheus, prometheus.router()),
            (listeners.kubernetes, kubernetes.router()),
        ];
        for (listener, router) in routers {
            fakes.spawn(async move {
                serve(listener, router, Shutdown::new()).await;
                unreachable!("nobody stops this server")
            });
        }
        let services = async {
            match listeners.services {
                Some(listeners) => {
                    let kubeconfig = kubeconfig.path().to_string_lossy().into_owned();
                    services::run(listeners, &config, &addresses, kubeconfig, &shutdown).await
                }
                None => {
                    shutdown.stopping().await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            result = services => result,
            _ = fakes.join_next() => anyhow::bail!("one of the fakes has ended"),
        }
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
