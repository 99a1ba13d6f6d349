//! Where the API server and the credentials for it are described, and how a client is made of that.

use std::{
    env,
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use axum::http::Uri;
use kube::{
    Client, Config as ClientConfig,
    config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedContext},
};

use super::{Connected, exec_plugin};
use crate::proxy;

/// How long before their end credentials are renewed, at most. Short ones are renewed after three
/// quarters of their life.
const MARGIN: Duration = Duration::from_secs(60);

/// Credentials without an end are read again this often, in case a file has changed unnoticed.
const FOREVER: Duration = Duration::from_hours(1);

/// Where the API server is described.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// In kubeconfigs, separated as in `PATH`.
    Files(String),
    /// In the kubeconfig of this user.
    CurrentContext,
    /// In the files of the pod's service account.
    Pod,
}

/// A description of the API server, and until when it holds.
pub(super) struct Credentials {
    config: ClientConfig,
    expire_in: Duration,
}

impl Source {
    /// Finds the description that is to be used, and checks that it can be read.
    pub(super) fn find(paths: Option<&str>) -> anyhow::Result<Self> {
        // As in kubectl, an empty path is no path.
        if let Some(paths) = paths.filter(|paths| !paths.is_empty()) {
            let file = read(paths).map_err(|error| anyhow!("KUBECONFIG: {paths}: {error}"))?;
            cluster(&file).and_then(|cluster| cluster.server.as_ref()).ok_or_else(|| {
                anyhow!("KUBECONFIG: {paths}: its current context leads to no server")
            })?;
            return Ok(Self::Files(paths.to_owned()));
        }
        let has_context = Kubeconfig::read().and_then(|file| {
            file.current_context
                .is_some()
                .then_some(())
                .ok_or(KubeconfigError::CurrentContextNotSet)
        });
        match (has_context, ClientConfig::incluster()) {
            (Ok(()), _) => Ok(Self::CurrentContext),
            (Err(_), Ok(_)) => Ok(Self::Pod),
            (Err(kubeconfig), Err(in_cluster)) => Err(anyhow!(
                "KUBECONFIG: missing; there is no current context ({kubeconfig}), and the watcher does not run in a pod ({in_cluster})"
            )),
        }
    }

    /// Reads the description again, and runs its plugin if it has one.
    pub(super) async fn credentials(&self) -> Result<Credentials, String> {
        let source = self.clone();
        // A file may be on a file system that does not answer.
        let file = tokio::task::spawn_blocking(move || source.read()).await;
        let file = match file.map_err(|error| error.to_string())?? {
            Read::Pod(config) => return Ok(Credentials { config: *config, expire_in: FOREVER }),
            Read::File(file) => *file,
        };
        let own_proxy = proxy_url(&file);
        let options = KubeConfigOptions::default();
        let config = ClientConfig::from_custom_kubeconfig(file, &options).await;
        let mut config = config.map_err(describe)?;
        // kube judges the exceptions of `NO_PROXY` by the address of the proxy itself.
        config.proxy_url = match own_proxy {
            Some(url) => Some(own_proxy_url(&url)?),
            None => proxy::of_api_server(&config.cluster_url)?,
        };
        let mut expire_in = FOREVER;
        if let Some(plugin) = config.auth_info.exec.take() {
            let given = exec_plugin::run(&plugin).await?;
            if let Some(until) = given.until {
                let left = until.duration_since(SystemTime::now()).unwrap_or_default();
                expire_in = left.saturating_sub(MARGIN.min(left / 4));
            }
            let AuthInfo { token, client_certificate_data, client_key_data, .. } = given.auth_info;
            // What else the user has, such as whom it impersonates, stays.
            config.auth_info =
                AuthInfo { token, client_certificate_data, client_key_data, ..config.auth_info };
        }
        Ok(Credentials { config, expire_in })
    }

    fn read(&self) -> Result<Read, String> {
        let file = match self {
            Self::Files(paths) => read(paths),
            Self::CurrentContext => Kubeconfig::read(),
            Self::Pod => {
                let config = ClientConfig::incluster().map_err(|error| error.to_string())?;
                return Ok(Read::Pod(Box::new(config)));
            }
        };
        file.map(Box::new).map(Read::File).map_err(|error| error.to_string())
    }
}

/// What was read.
enum Read {
    File(Box<Kubeconfig>),
    Pod(Box<ClientConfig>),
}

fn read(paths: &str) -> Result<Kubeconfig, KubeconfigError> {
    let mut merged = Kubeconfig::default();
    for path in env::split_paths(paths).filter(|path| !path.as_os_str().is_empty()) {
        merged = merged.merge(Kubeconfig::read_from(path)?)?;
    }
    Ok(merged)
}

/// The cluster of the current context.
fn cluster(file: &Kubeconfig) -> Option<&Cluster> {
    let is_current = |context: &&NamedContext| Some(&context.name) == file.current_context.as_ref();
    let name = &file.contexts.iter().find(is_current)?.context.as_ref()?.cluster;
    file.clusters.iter().find(|cluster| cluster.name == *name)?.cluster.as_ref()
}

/// The proxy that the cluster itself names. The environment then does not count.
fn proxy_url(file: &Kubeconfig) -> Option<String> {
    cluster(file)?.proxy_url.clone().filter(|url| !url.is_empty())
}

fn own_proxy_url(url: &str) -> Result<Uri, String> {
    // The URL may hold a password.
    let parsed = url.parse::<Uri>().ok().filter(|url| url.scheme_str() == Some("http"));
    parsed.ok_or_else(|| {
        "proxy-url of the kubeconfig: it is not accepted; accepted: http://host:port".to_owned()
    })
}

/// Says what is wrong with a kubeconfig.
fn describe(error: KubeconfigError) -> String {
    match error {
        KubeconfigError::ParseNoProxy(error) => format!("NO_PROXY: {error}"),
        // The error may repeat a password.
        KubeconfigError::ParseProxyUrl(_) => {
            "HTTPS_PROXY: it is not accepted; accepted: http://host:port".to_owned()
        }
        error => error.to_string(),
    }
}

impl Credentials {
    /// Makes a client; returns how long its credentials hold.
    pub(super) fn into_client(self) -> Result<(Connected, Duration), String> {
        let Self { mut config, expire_in } = self;
        // The next tick is the retry, with a newer observation.
        config.default_retry = false;
        let host = |proxy: &Uri| proxy.host().unwrap_or_default().to_owned();
        let proxy = config.proxy_url.as_ref().map(host);
        let client =
            Client::try_from(config).map_err(|error| crate::http_clients::root_cause(&error))?;
        Ok((Connected { client, proxy }, expire_in))
    }
}
