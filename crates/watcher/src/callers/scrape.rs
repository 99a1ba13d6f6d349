//! Reads the metrics of one caller.

use std::sync::Arc;

use reqwest::{Client, Response, StatusCode, Url, header::HOST};
use tokio::time::Instant;

use super::exposition::{NotRead, Reader, Sample};

/// The largest text that the watcher reads, in bytes. A proxy of Istio sends a few hundred for each series.
const MAX_TEXT: usize = 1024 * 1024;

/// Why a caller is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScrapeError {
    #[error("{0}")]
    Unreachable(String),
    #[error("it did not answer in time")]
    Timeout,
    #[error("it answered {0}")]
    Http(StatusCode),
    #[error("it answered with more than {MAX_TEXT} bytes")]
    TooLarge,
    #[error("{0}")]
    NotRead(#[from] NotRead),
    #[error("it no longer has a series that the selector matches")]
    NoSeries,
}

impl ScrapeError {
    /// The kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Http(_) => "http",
            Self::TooLarge => "too_large",
            Self::NotRead(_) => "malformed",
            Self::NoSeries => "no_series",
        }
    }
}

/// Reads the series that count, and when the caller sent them. `name` is the host that the
/// caller is asked as.
pub(super) async fn scrape(
    client: Client,
    url: Url,
    name: Arc<str>,
    reader: Arc<Reader>,
) -> Result<(Instant, Vec<Sample>), ScrapeError> {
    let response = client.get(url).header(HOST, &*name).send().await.map_err(failed)?;
    let at = Instant::now();
    if !response.status().is_success() {
        return Err(ScrapeError::Http(response.status()));
    }
    let body = read(response).await?;
    let text = str::from_utf8(&body).map_err(|_| NotRead::NotMetrics)?;
    Ok((at, reader.read(text)?))
}

async fn read(mut response: Response) -> Result<Vec<u8>, ScrapeError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if MAX_TEXT < body.len() + chunk.len() {
            return Err(ScrapeError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(error: reqwest::Error) -> ScrapeError {
    if error.is_timeout() {
        return ScrapeError::Timeout;
    }
    ScrapeError::Unreachable(crate::root_cause(&error.without_url()))
}
