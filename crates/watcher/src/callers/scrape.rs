//! Reads the metrics of callers, once for all policies that look at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, Url, header::HOST};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, timeout},
};

use super::exposition::NotRead;

/// The largest text that the watcher reads, in bytes. A proxy of Istio sends a few hundred for each series.
const MAX_TEXT: usize = 1024 * 1024;

/// The number of callers whose text is kept for other policies. Beyond that, those that nobody reads are forgotten.
const MAX_KEPT: usize = 2_000;

/// A text is kept for so long; then no policy takes it any more.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Why a caller is not read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ScrapeError {
    #[error("{0}")]
    Unreachable(String),
    #[error("it did not answer in time")]
    Timeout,
    #[error("other callers did not answer, and there was no time left to ask it")]
    NotAsked,
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
            Self::Timeout | Self::NotAsked => "timeout",
            Self::Http(_) => "http",
            Self::TooLarge => "too_large",
            Self::NotRead(_) => "malformed",
            Self::NoSeries => "no_series",
        }
    }
}

/// A caller's text, and when the caller sent it.
type Scraped = Result<(Instant, Arc<str>), ScrapeError>;

/// The newest text of a caller, with the time at which it was asked for.
type Slot = Arc<AsyncMutex<Option<(Instant, Scraped)>>>;

/// The client of all callers.
pub(crate) struct Scraper {
    client: Client,
    slots: Mutex<Slots>,
}

/// The callers whose text is kept.
struct Slots {
    by_url: HashMap<Url, Slot>,
    /// When old texts were forgotten last.
    swept_at: Instant,
}

impl Scraper {
    /// # Errors
    /// When there can be no client.
    pub(crate) fn new() -> anyhow::Result<Self> {
        // A caller is asked without TLS, so no certificate is loaded.
        let client =
            crate::http_clients::builder().tls_certs_only([]).pool_max_idle_per_host(1).no_proxy();
        let slots = Slots { by_url: HashMap::new(), swept_at: Instant::now() };
        Ok(Self { client: client.build()?, slots: Mutex::new(slots) })
    }

    /// Reads a caller, or takes what another policy read no longer than `max_age` ago. `name` is the host that
    /// the caller is asked as. It takes no longer than `limit`.
    pub(super) async fn scrape(
        &self,
        url: Url,
        name: &str,
        max_age: Duration,
        limit: Duration,
    ) -> Scraped {
        let slot = self.slot(&url);
        let read = async {
            let mut newest = slot.lock().await;
            if let Some((asked_at, scraped)) = &*newest
                && asked_at.elapsed() <= max_age
            {
                return scraped.clone();
            }
            let asked_at = Instant::now();
            let scraped = self.ask(url, name, limit).await;
            *newest = Some((asked_at, scraped.clone()));
            scraped
        };
        timeout(limit, read).await.unwrap_or(Err(ScrapeError::Timeout))
    }

    fn slot(&self, url: &Url) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = MAX_KEPT <= slots.by_url.len();
        if is_full || KEPT_FOR <= slots.swept_at.elapsed() {
            slots.by_url.retain(|_, slot| is_read(slot) || (!is_full && is_young(slot)));
            slots.swept_at = Instant::now();
        }
        Arc::clone(slots.by_url.entry(url.clone()).or_default())
    }

    async fn ask(&self, url: Url, name: &str, limit: Duration) -> Scraped {
        let request = self.client.get(url).header(HOST, name).timeout(limit);
        let response = request.send().await.map_err(failed)?;
        let at = Instant::now();
        if !response.status().is_success() {
            return Err(ScrapeError::Http(response.status()));
        }
        let body = read(response).await?;
        let text = str::from_utf8(&body).map_err(|_| NotRead::NotMetrics)?;
        Ok((at, text.into()))
    }
}

fn is_read(slot: &Slot) -> bool {
    1 < Arc::strong_count(slot)
}

fn is_young(slot: &Slot) -> bool {
    let newest = slot.try_lock();
    newest.is_ok_and(|newest| {
        newest.as_ref().is_some_and(|(asked_at, _)| asked_at.elapsed() < KEPT_FOR)
    })
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
    ScrapeError::Unreachable(crate::http_clients::root_cause(&error.without_url()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::{Router, routing::get};
    use fakes::testing::{free_port, listener, pass, spawn};

    use super::*;

    #[tokio::test]
    async fn policies_that_look_at_the_same_time_share_one_read() {
        let reads = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&reads);
        let router = Router::new().route(
            "/metrics",
            get(async move || {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
                "a 1\n"
            }),
        );
        let (listener, address) = listener();
        let _task = spawn(chassis::server::serve(listener, router, chassis::Shutdown::new()));
        let url: Url = format!("http://{address}/metrics").parse().unwrap();
        let scraper = Scraper::new().unwrap();
        let limit = Duration::from_secs(5);
        let read = |max_age| scraper.scrape(url.clone(), "callers", max_age, limit);
        let (first, second) = tokio::join!(read(limit), read(limit));
        assert_eq!((first.unwrap().1, second.unwrap().1), ("a 1\n".into(), "a 1\n".into()));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        read(Duration::ZERO).await.unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 2, "it is too old for a later tick");
    }

    #[tokio::test]
    async fn the_text_of_a_caller_that_is_gone_is_forgotten() {
        let scraper = Scraper::new().unwrap();
        let read = async |port: u16| {
            let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
            let _ = scraper.scrape(url, "callers", Duration::ZERO, Duration::from_secs(5)).await;
            scraper.slots.lock().unwrap().by_url.len()
        };
        assert_eq!((read(free_port()).await, read(free_port()).await), (1, 2));
        pass(KEPT_FOR).await;
        assert_eq!(read(free_port()).await, 1);
    }
}
