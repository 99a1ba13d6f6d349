//! The way to Prometheus: what the server asks of its clients, and what it says of a refusal.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use tokio::time::Instant;

use super::{
    Unknown,
    answer::{Answer, first_line},
    files::{Contents, Files},
};
use crate::{config::PrometheusSettings, proxy};

/// The largest answer that the watcher reads, in bytes. A series takes some three thousand at first, and
/// a few hundred then.
pub(super) const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The way to one Prometheus. Several watchers of one process share it.
pub(crate) struct Connection {
    settings: PrometheusSettings,
    api: Url,
    /// The proxy that the environment names for this server.
    proxy: Option<String>,
    files: Files,
}

impl Connection {
    /// The way to the server of the settings.
    ///
    /// # Errors
    /// When a file cannot be read, or is not PEM. The error names the setting.
    pub(crate) fn new(settings: &PrometheusSettings) -> anyhow::Result<Self> {
        Ok(Self {
            api: settings.prometheus_url.join("api/v1/"),
            proxy: proxy::of(settings.prometheus_url.url().as_str()),
            files: Files::read(settings)?,
            settings: settings.clone(),
        })
    }

    /// Asks `query` or `query_range` with these parameters; returns the body of the answer, which must come
    /// within `limit`.
    pub(super) async fn get(
        &self,
        endpoint: &str,
        parameters: &[(&str, &str)],
        limit: Duration,
    ) -> Result<Vec<u8>, Unknown> {
        let mut url = self.api.clone();
        url.set_path(&format!("{}{endpoint}", url.path()));
        url.query_pairs_mut().extend_pairs(parameters);
        let response = self.send(url, limit).await?;
        let (status, location) = (response.status(), location(&response));
        let body = self.read(response, limit).await?;
        if status.is_success() {
            return Ok(body);
        }
        Err(Unknown::Http { status: status.as_u16(), reason: self.reason(status, location, &body) })
    }

    async fn send(&self, url: Url, limit: Duration) -> Result<Response, Unknown> {
        let until = Instant::now() + limit;
        let contents = self.files.newest();
        let first =
            self.request(&contents, &contents.client, url.clone()).timeout(limit).send().await;
        // The server may have closed an idle connection at this very moment, and others that are kept, too.
        let is_closed = |error: &reqwest::Error| !error.is_timeout() && !error.is_connect();
        let result = match first {
            Err(error) if is_closed(&error) => {
                let left = until.saturating_duration_since(Instant::now());
                self.request(&contents, &contents.fresh_client, url).timeout(left).send().await
            }
            result => result,
        };
        result.map_err(|error| self.failed(error, limit))
    }

    fn request(&self, contents: &Contents, client: &Client, url: Url) -> RequestBuilder {
        let Contents { token, password, .. } = contents;
        let mut request = client.get(url);
        if let Some(headers) = &self.settings.prometheus_headers {
            request = request.headers(headers.0.clone());
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(user) = &self.settings.prometheus_user {
            request = request.basic_auth(user, password.as_deref());
        }
        request
    }

    async fn read(&self, mut response: Response, limit: Duration) -> Result<Vec<u8>, Unknown> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error, limit))? {
            if MAX_ANSWER < body.len() + chunk.len() {
                return Err(Unknown::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What the server says of an answer other than 200.
    fn reason(&self, status: StatusCode, location: Option<String>, body: &[u8]) -> String {
        let said = match Answer::parse(body) {
            Ok(answer) => answer.reason(),
            Err(_) => first_line(body),
        };
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Some("PROMETHEUS_HEADERS, PROMETHEUS_TOKEN_FILE or PROMETHEUS_USER may give it what it asks for".to_owned())
            }
            _ => None,
        };
        let to = location.map(|location| format!("it redirects to {location}"));
        let parts = [Some(said), to, hint, self.through()];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        parts.map(|part| format!(": {part}")).collect()
    }

    fn failed(&self, error: reqwest::Error, limit: Duration) -> Unknown {
        if error.is_timeout() {
            return Unknown::Timeout(limit);
        }
        // The message leaves the URL out, because it may hold a password.
        let cause = crate::http_clients::root_cause(&error.without_url());
        let through = self.through().map(|through| format!(" ({through})")).unwrap_or_default();
        Unknown::Unreachable(format!("{cause}{through}"))
    }

    fn through(&self) -> Option<String> {
        let proxy = self.proxy.as_ref()?;
        Some(format!("through the proxy {proxy}, which HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names"))
    }
}

fn location(response: &Response) -> Option<String> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    if !response.status().is_redirection() {
        return None;
    }
    let mut url = response.url().join(location).ok()?;
    // It may repeat our own password.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    Some(first_line(url.as_str().as_bytes()))
}
