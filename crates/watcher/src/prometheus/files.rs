//! The files of the settings for Prometheus: certificates, a token, a password. They may change at any
//! time, and their file system may not answer.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use tokio::time::Instant;

use crate::{config::PrometheusSettings, proxy};

/// How often the files are read.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The files, read again while queries go on.
pub(super) struct Files {
    settings: PrometheusSettings,
    state: Arc<Mutex<State>>,
    /// Whether a thread reads them: there is never a second one.
    is_reading: Arc<AtomicBool>,
}

struct State {
    contents: Contents,
    read: Instant,
    has_failed: bool,
}

/// What the files say.
#[derive(Clone)]
pub(super) struct Contents {
    pub(super) client: Client,
    /// The same client, which opens a connection for each request.
    pub(super) fresh_client: Client,
    pub(super) token: Option<String>,
    pub(super) password: Option<String>,
    /// When each file of certificates was written.
    written: Vec<Option<SystemTime>>,
}

impl Files {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When a file cannot be used. The error names the setting.
    pub(super) fn read(settings: &PrometheusSettings) -> anyhow::Result<Self> {
        let contents = Contents::read(settings, None)?;
        let state = State { contents, read: Instant::now(), has_failed: false };
        let (state, is_reading) = (Arc::new(Mutex::new(state)), Arc::default());
        Ok(Self { settings: settings.clone(), state, is_reading })
    }

    /// What was read last. A thread of its own reads the files again, at most once a second.
    pub(super) fn newest(&self) -> Contents {
        let (contents, read) = {
            let state = lock(&self.state);
            (state.contents.clone(), state.read)
        };
        let is_old = READ_EVERY <= read.elapsed() && self.has_files();
        if is_old && !self.is_reading.swap(true, Ordering::Relaxed) {
            let (settings, before) = (self.settings.clone(), contents.clone());
            let (state, is_reading) = (Arc::clone(&self.state), Arc::clone(&self.is_reading));
            tokio::task::spawn_blocking(move || {
                let result = Contents::read(&settings, Some(before));
                lock(&state).record(result);
                is_reading.store(false, Ordering::Relaxed);
            });
        }
        contents
    }

    fn has_files(&self) -> bool {
        let settings = &self.settings;
        let secrets = [&settings.prometheus_token_file, &settings.prometheus_password_file];
        secrets.into_iter().any(Option::is_some)
            || certificates(settings).iter().any(Option::is_some)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn record(&mut self, result: anyhow::Result<Contents>) {
        self.read = Instant::now();
        match result {
            Ok(contents) => {
                if contents.written != self.contents.written {
                    tracing::info!("the certificates for Prometheus have changed");
                }
                self.has_failed = false;
                self.contents = contents;
            }
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!("what was read before is kept: {error:#}");
            }
            Err(_) => {}
        }
    }
}

impl Contents {
    /// Reads the files; keeps the clients if no certificate has changed.
    fn read(settings: &PrometheusSettings, before: Option<Self>) -> anyhow::Result<Self> {
        let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        let written = certificates(settings).map(|path| path.and_then(modified)).to_vec();
        let (client, fresh_client) = match before {
            Some(before) if before.written == written => (before.client, before.fresh_client),
            _ => {
                let fresh_client = builder(settings)?.pool_max_idle_per_host(0);
                (builder(settings)?.build()?, fresh_client.build()?)
            }
        };
        let token = settings.prometheus_token_file.as_deref();
        let password = settings.prometheus_password_file.as_deref();
        Ok(Self {
            client,
            fresh_client,
            token: token.map(|path| secret("PROMETHEUS_TOKEN_FILE", path)).transpose()?,
            password: password.map(|path| secret("PROMETHEUS_PASSWORD_FILE", path)).transpose()?,
            written,
        })
    }
}

fn read(setting: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{setting}: {}", path.display()))
}

/// Reads a secret, without the line break at its end.
fn secret(setting: &str, path: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read(setting, path)?).unwrap_or_default();
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "{setting}: {} holds no text", path.display());
    Ok(text.to_owned())
}

fn certificates(settings: &PrometheusSettings) -> [Option<&Path>; 3] {
    [&settings.prometheus_ca_file, &settings.prometheus_cert_file, &settings.prometheus_key_file]
        .map(Option::as_deref)
}

fn builder(settings: &PrometheusSettings) -> anyhow::Result<ClientBuilder> {
    let [ca, cert, key] = certificates(settings);
    let mut builder = crate::http_clients::builder();
    let url = settings.prometheus_url.url();
    let has_tls = |url: &str| url.starts_with("https");
    let needs_tls =
        has_tls(url.as_str()) || proxy::of(url.as_str()).is_some_and(|url| has_tls(&url));
    if !needs_tls {
        // A machine without trusted certificates needs none for this.
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = ca {
        let refused = || format!("PROMETHEUS_CA_FILE: {} is not PEM", path.display());
        let pem = read("PROMETHEUS_CA_FILE", path)?;
        let certificates = Certificate::from_pem_bundle(&pem).with_context(refused)?;
        anyhow::ensure!(!certificates.is_empty(), refused());
        builder = builder.tls_certs_merge(certificates);
    }
    if let (Some(cert), Some(key)) = (cert, key) {
        let pem = [read("PROMETHEUS_CERT_FILE", cert)?, read("PROMETHEUS_KEY_FILE", key)?].concat();
        let identity = Identity::from_pem(&pem).with_context(|| {
            format!(
                "PROMETHEUS_CERT_FILE, PROMETHEUS_KEY_FILE: {} and {} are not a certificate and its key in PEM",
                cert.display(),
                key.display()
            )
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}
