//! Asks Prometheus, and takes nothing for an answer that is none.

mod answer;
mod check;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chassis::HttpUrl;
use reqwest::{Client, Response, Url, redirect};

use crate::{
    config::QuerySettings,
    decide::{Clusters, Flow},
    promql::range_selectors,
};
use answer::{Answer, Vector};
pub(crate) use check::Finding;

/// The largest answer that is read, in bytes. One series is a few hundred.
const MAX_ANSWER: usize = 1024 * 1024;

/// How far the time of an answer may be from ours: more, and it is an old answer or a wrong clock.
const MAX_SKEW: Duration = Duration::from_secs(60);

/// Asks the queries of one watcher.
pub(crate) struct Prometheus {
    client: Client,
    api: Url,
    settings: QuerySettings,
    /// For the time of the newest sample; `None` if `QUERY` does not show what it reads.
    newest_query: Option<String>,
    timeout: Duration,
}

/// What a look has shown.
#[derive(Debug)]
pub(crate) struct Look {
    /// In requests per second.
    pub(crate) rate: Result<f64, Unknown>,
    /// How old the newest sample is, by Prometheus' own clock.
    pub(crate) age: Option<Duration>,
    /// Where the requests went; `None` if it is not asked for.
    pub(crate) clusters: Option<Result<Clusters, Unknown>>,
}

/// Why something is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("prometheus cannot be reached: {0}")]
    Unreachable(String),
    #[error("prometheus did not answer within {0:?}")]
    Timeout(Duration),
    #[error("prometheus answered {status}{reason}")]
    Http { status: u16, reason: String },
    #[error("prometheus answered with more than {MAX_ANSWER} bytes")]
    TooLarge,
    #[error("prometheus' answer is not JSON: {0}")]
    NotJson(String),
    #[error("prometheus reports an error: {0}")]
    StatusError(String),
    #[error("prometheus did not answer the query: {0}")]
    Malformed(String),
    #[error("prometheus' answer is not complete: {0}")]
    Partial(String),
    #[error("the query matches no series: no traffic yet, or nothing scrapes it")]
    Empty,
    #[error("the query matches {0} series instead of one; put sum() around it")]
    ManySeries(usize),
    #[error("the query's value is not a number")]
    NotANumber,
    #[error("the query's value is infinite")]
    Infinite,
    #[error("the query's value is negative: it is no rate")]
    Negative,
    #[error("the newest sample is older than {limit:?}: nothing is scraped any more")]
    Stale { limit: Duration },
    #[error("the answer is more than {MAX_SKEW:?} away from this machine's clock")]
    WrongClock,
}

impl Unknown {
    /// Its kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::Http { .. } => "http",
            Self::TooLarge => "too_large",
            Self::NotJson(_) => "not_json",
            Self::StatusError(_) => "status_error",
            Self::Malformed(_) => "malformed",
            Self::Partial(_) => "partial",
            Self::Empty => "empty",
            Self::ManySeries(_) => "many_series",
            Self::NotANumber => "nan",
            Self::Infinite => "infinite",
            Self::Negative => "negative",
            Self::Stale { .. } => "stale",
            Self::WrongClock => "wrong_clock",
        }
    }
}

impl Prometheus {
    /// Prepares to ask the server at `address`, which may take so long for each answer.
    pub(crate) fn new(
        address: &HttpUrl,
        settings: QuerySettings,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        // Fails only where it has been done before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().timeout(timeout).redirect(redirect::Policy::none()).build()?;
        let newest_query = range_selectors(&settings.query)
            .first()
            .map(|it| format!("max(timestamp({}))", it.selector));
        let api = address.join("api/v1/query");
        Ok(Self { client, api, settings, newest_query, timeout })
    }

    /// Looks once. All that is asked is asked at the same time, but for `UP_QUERY`, which only an empty answer calls for.
    pub(crate) async fn look(&self) -> Look {
        let (rate, age, clusters) = tokio::join!(self.rate(), self.age(), self.clusters());
        let limit = self.settings.stale_after();
        let (rate, age) = match (rate, age) {
            // What has no series has no samples.
            (Err(Unknown::Empty), _) if self.is_up().await => (Ok(0.0), None),
            // Prometheus marks what it no longer scrapes, so that it has no newest sample, while its rate goes on
            // for a window.
            (Ok(_), Err(Unknown::Empty)) => (Err(Unknown::Stale { limit }), None),
            (Ok(_), Err(unknown)) => (Err(unknown), None),
            (Ok(_), Ok(Some(age))) if limit < age => (Err(Unknown::Stale { limit }), Some(age)),
            (rate, age) => (rate, age.ok().flatten()),
        };
        // What is counted of burst is then as old.
        let is_stale = matches!(rate, Err(Unknown::Stale { .. }));
        Look { rate, age, clusters: clusters.filter(|_| !is_stale) }
    }

    async fn rate(&self) -> Result<f64, Unknown> {
        self.ask(&self.settings.query).await?.rate()
    }

    /// Whether what is empty is known to be scraped.
    async fn is_up(&self) -> bool {
        if self.settings.up_query.is_empty() {
            return false;
        }
        let up = self.ask(&self.settings.up_query).await.and_then(|vector| vector.rate());
        up.is_ok_and(|up| 1.0 <= up)
    }

    async fn age(&self) -> Result<Option<Duration>, Unknown> {
        let Some(query) = &self.newest_query else { return Ok(None) };
        let vector = self.ask(query).await?;
        let newest = vector.rate()?;
        let age = (vector.at()? - newest).max(0.0);
        Ok(Some(Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX)))
    }

    async fn clusters(&self) -> Option<Result<Clusters, Unknown>> {
        if self.settings.clusters_query.is_empty() {
            return None;
        }
        Some(self.ask(&self.settings.clusters_query).await.and_then(|vector| clusters(&vector)))
    }

    async fn ask(&self, query: &str) -> Result<Vector, Unknown> {
        let body = self.get(query).await?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Answer::parse(&body)?.vector(since_epoch)
    }

    async fn get(&self, query: &str) -> Result<Vec<u8>, Unknown> {
        let mut url = self.api.clone();
        url.query_pairs_mut().append_pair("query", query);
        let failed = |error| self.failed(error);
        let response = self.client.get(url).send().await.map_err(failed)?;
        let status = response.status();
        let body = self.read(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        let reason = Answer::parse(&body).ok().map(Answer::reason);
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Err(Unknown::Http { status: status.as_u16(), reason })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Unknown> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if MAX_ANSWER < body.len() + chunk.len() {
                return Err(Unknown::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: reqwest::Error) -> Unknown {
        if error.is_timeout() {
            return Unknown::Timeout(self.timeout);
        }
        // The URL is left out: it may hold a password.
        Unknown::Unreachable(crate::what_happened(&error.without_url()))
    }
}

/// Adds up where the requests went.
fn clusters(vector: &Vector) -> Result<Clusters, Unknown> {
    let mut clusters = Clusters::default();
    for (labels, rate) in vector.series() {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let rate = answer::rate(rate)?;
        let flow: &mut Flow = match label("destination_cluster") {
            "primary" => &mut clusters.primary,
            "burst" => &mut clusters.burst,
            _ => &mut clusters.elsewhere,
        };
        flow.rate += rate;
        // Envoy's code for a request that got no answer is 0.
        if matches!(label("response_code").as_bytes(), [b'5', ..] | b"0") {
            flow.failing += rate;
        }
    }
    Ok(clusters)
}
