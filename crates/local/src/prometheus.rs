//! In the place of Prometheus: scrapes the mesh every second, and answers instant queries.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, interval};

use crate::{
    promql::{self, Sample, SumOfRate},
    telemetry::{Requests, Series},
};

/// Time between two scrapes.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// Samples that are kept of each series: ten minutes.
const MAX_SAMPLES: usize = 600;

/// What has been scraped. Clones are the same.
#[derive(Clone)]
pub struct Prometheus {
    start: Instant,
    samples: Arc<Mutex<BTreeMap<Series, VecDeque<Sample>>>>,
}

impl Prometheus {
    /// Nothing scraped yet.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), samples: Arc::default() }
    }

    /// Scrapes for ever.
    pub async fn scrape(self, requests: Requests) -> Infallible {
        let mut ticks = interval(SCRAPE_INTERVAL);
        loop {
            ticks.tick().await;
            let now = self.start.elapsed();
            let mut all = self.lock();
            for (series, count) in requests.snapshot() {
                let samples = all.entry(series).or_default();
                samples.push_back((now, count));
                if MAX_SAMPLES < samples.len() {
                    samples.pop_front();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Series, VecDeque<Sample>>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sum of the rates; `None` if no series has any.
    fn evaluate(&self, expression: &SumOfRate) -> Option<f64> {
        let now = self.start.elapsed();
        let all = self.lock();
        let selected = all.iter().filter(|(series, _)| expression.selects(series));
        let rates = selected.filter_map(|(_, samples)| {
            promql::rate(samples.iter().copied(), now, expression.range)
        });
        rates.fold(None, |sum, rate| Some(sum.unwrap_or(0.0) + rate))
    }
}

impl Default for Prometheus {
    fn default() -> Self {
        Self::new()
    }
}

/// The HTTP API, as far as the watcher and a curious visitor need it.
pub fn router(prometheus: Prometheus) -> Router {
    Router::new().route("/api/v1/query", get(query)).with_state(prometheus)
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    query: String,
}

async fn query(
    State(prometheus): State<Prometheus>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let expression = match SumOfRate::parse(&parameters.query) {
        Ok(expression) => expression,
        Err(error) => {
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    };
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let series = prometheus
        .evaluate(&expression)
        .map(|rate| json!({"metric": {}, "value": [since_epoch.as_secs_f64(), rate.to_string()]}));
    let result: Vec<_> = series.into_iter().collect();
    Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
        .into_response()
}
