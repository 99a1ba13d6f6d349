//! The client of the API server, made again whenever its credentials may have changed.
//!
//! Kubernetes' own clients read files again, run a plugin again when its credentials expire, and
//! after a refusal. So does this: a task of its own makes the clients, one at a time and within a
//! limit of time, so neither a file system nor a plugin delays a tick.

mod credentials;
mod exec_plugin;

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use credentials::{Credentials, Source};

/// How long making a client may take. A plugin may ask a server of its own.
const LIMIT: Duration = Duration::from_secs(15);

/// The least time between two clients. It doubles as long as new clients do not help, up to a minute.
const LEAST_AGE: Duration = Duration::from_secs(2);
const LONGEST_LEAST_AGE: Duration = Duration::from_secs(60);

/// Credentials are renewed no sooner than this, even if they have expired already.
const SHORTEST_LIFE: Duration = Duration::from_secs(2);

/// The first and the longest pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The API server, as a file or the pod describes it. Clones share the client.
#[derive(Clone)]
pub(crate) struct ApiServer {
    client: watch::Receiver<Result<Connected, String>>,
    doubt: Arc<Notify>,
    _task: Arc<Task>,
}

/// A client, and the host of the proxy that it uses.
#[derive(Clone)]
struct Connected {
    client: Client,
    proxy: Option<String>,
}

/// Ends with the last clone.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ApiServer {
    /// Begins to make a client of the kubeconfig at `paths`, of the current context, or in a pod of the
    /// service account.
    ///
    /// # Errors
    /// When none of them describes an API server.
    pub(crate) fn start(paths: Option<&str>) -> anyhow::Result<Self> {
        // It fails only if a provider is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let source = Source::find(paths)?;
        let (sender, client) = watch::channel(Err("connecting".to_owned()));
        let doubt = Arc::new(Notify::new());
        let task = tokio::spawn(keep(source, sender, Arc::clone(&doubt)));
        Ok(Self { client, doubt, _task: Arc::new(Task(task.abort_handle())) })
    }

    /// The present client.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn client(&self) -> Result<Client, String> {
        self.client
            .borrow()
            .as_ref()
            .map(|connected| connected.client.clone())
            .map_err(Clone::clone)
    }

    /// The host of the proxy on the way to the API server, if there is one.
    pub(crate) fn proxy(&self) -> Option<String> {
        self.client.borrow().as_ref().ok()?.proxy.clone()
    }

    /// Waits until there is a client, or a reason why there is none.
    pub(crate) async fn ready(&mut self) {
        let _ = self.client.changed().await;
    }

    /// Whether there is another client since this was last asked.
    pub(crate) fn has_changed(&mut self) -> bool {
        let has_changed = self.client.has_changed().unwrap_or(false);
        self.client.mark_unchanged();
        has_changed
    }

    /// Says that the client may have the wrong credentials: a new one is made soon.
    pub(crate) fn doubt(&self) {
        self.doubt.notify_one();
    }
}

/// Makes clients for ever.
async fn keep(
    source: Source,
    client: watch::Sender<Result<Connected, String>>,
    doubt: Arc<Notify>,
) {
    let mut pause = FIRST_PAUSE;
    let mut age = LEAST_AGE;
    let mut has_failed = false;
    loop {
        let made = match timeout(LIMIT, source.credentials()).await {
            Ok(made) => made.and_then(Credentials::into_client),
            Err(_) => Err(format!("the credentials were not there within {LIMIT:?}")),
        };
        match made {
            Ok((made, expires_in)) => {
                if std::mem::replace(&mut has_failed, false) {
                    tracing::info!("the credentials for the API server are there");
                }
                let _ = client.send_replace(Ok(made));
                pause = FIRST_PAUSE;
                let made = Instant::now();
                let is_doubted = async {
                    sleep(age).await;
                    doubt.notified().await;
                };
                tokio::select! {
                    () = is_doubted => {
                        let has_helped = age * 2 < made.elapsed();
                        age = if has_helped { LEAST_AGE } else { (age * 2).min(LONGEST_LEAST_AGE) };
                    }
                    () = sleep(expires_in.max(SHORTEST_LIFE)) => {}
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!("no new credentials for the API server: {error}");
                }
                // An older client may still work.
                client.send_if_modified(|client| {
                    let is_older = client.is_ok();
                    if !is_older {
                        *client = Err(error);
                    }
                    !is_older
                });
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
