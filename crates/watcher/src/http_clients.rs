//! The HTTP clients of the watcher.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context as _;
use reqwest::{Client, ClientBuilder, redirect::Policy};

/// The longest wait of a request that has no limit of its own.
const MAX_REQUEST: Duration = Duration::from_secs(10);

/// A client that follows no redirect.
pub(crate) fn builder() -> ClientBuilder {
    // It fails only if a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(MAX_REQUEST).redirect(Policy::none())
}

/// The clients of the URLs that settings name, which all policies share. Clones share them, too.
#[derive(Clone)]
pub(crate) struct Clients {
    plain: Client,
    /// It is made for the first URL of HTTPS, because a machine without trusted certificates has none.
    secure: Arc<OnceLock<Client>>,
}

impl Clients {
    /// # Errors
    /// When there can be no client.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { plain: builder().tls_certs_only([]).build()?, secure: Arc::default() })
    }

    /// The client for a URL, which is the value of `setting`.
    ///
    /// # Errors
    /// When the URL needs certificates, and there are none.
    pub(crate) fn of(&self, setting: &str, url: &str) -> anyhow::Result<Client> {
        if !url.starts_with("https:") {
            return Ok(self.plain.clone());
        }
        if let Some(client) = self.secure.get() {
            return Ok(client.clone());
        }
        let client =
            builder().build().with_context(|| format!("{setting}: no client for HTTPS"))?;
        Ok(self.secure.get_or_init(|| client).clone())
    }
}

/// Returns the innermost error, which says what happened.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
