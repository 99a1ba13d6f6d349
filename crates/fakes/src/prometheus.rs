//! Stands for Prometheus: it scrapes the fake mesh every second, and answers instant queries.

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
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::{
    promql::{self, Expression, Sample, Selector},
    request_counts::{RequestCounts, Series},
};

/// Time between two scrapes.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);

/// The number of samples that are kept of each series: ten minutes.
const MAX_SAMPLES: usize = 600;

/// The scraped samples. Clones share them.
#[derive(Clone)]
pub struct FakePrometheus {
    start: Instant,
    samples: Arc<Mutex<BTreeMap<Series, VecDeque<Sample>>>>,
}

impl FakePrometheus {
    /// Starts without a sample.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), samples: Arc::default() }
    }

    /// Scrapes every second, for ever.
    pub async fn scrape(self, requests: RequestCounts) -> Infallible {
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

    /// Serves instant queries, as far as the watcher and a curious visitor need them.
    pub fn router(self) -> Router {
        Router::new().route("/api/v1/query", get(query)).with_state(self)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Series, VecDeque<Sample>>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the `data` of the answer; `at` is the time since 1970.
    fn evaluate(&self, expression: &Expression, at: Duration) -> Value {
        let now = self.start.elapsed();
        let all = self.lock();
        let selected = |selector: &Selector| -> Vec<(&Series, &VecDeque<Sample>)> {
            all.iter().filter(|(series, _)| selector.selects(series)).collect()
        };
        let since_epoch = |sample: Duration| (at + sample).saturating_sub(now).as_secs_f64();
        let at = at.as_secs_f64();
        match expression {
            Expression::SumOfRate { by, selector, range } => {
                let mut sums = BTreeMap::<Vec<String>, f64>::new();
                for (series, samples) in selected(selector) {
                    let group =
                        by.iter().map(|label| series.label(label).unwrap_or_default()).collect();
                    if let Some(rate) = promql::rate(samples.iter().copied(), now, *range) {
                        *sums.entry(group).or_default() += rate;
                    }
                }
                let sums = sums.into_iter().map(|(group, sum)| {
                    let labels: BTreeMap<_, _> = by.iter().zip(group).collect();
                    json!({"metric": labels, "value": [at, sum.to_string()]})
                });
                vector(sums)
            }
            Expression::Newest(selector) => {
                let samples = selected(selector).into_iter().filter_map(|(_, all)| all.back());
                let newest = samples.map(|(sample, _)| *sample).max().map(since_epoch);
                vector(
                    newest.map(|newest| json!({"metric": {}, "value": [at, newest.to_string()]})),
                )
            }
            Expression::Count(selector) => {
                let count = Some(selected(selector).len()).filter(|count| 0 < *count);
                vector(count.map(|count| json!({"metric": {}, "value": [at, count.to_string()]})))
            }
            Expression::Samples { selector, range } => {
                let series = selected(selector).into_iter().map(|(series, samples)| {
                    let recent = samples.iter().filter(|(sample, _)| now < *sample + *range);
                    let values: Vec<_> = recent
                        .map(|(sample, count)| json!([since_epoch(*sample), count.to_string()]))
                        .collect();
                    json!({"metric": series.labels(), "values": values})
                });
                json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()})
            }
        }
    }
}

fn vector(series: impl IntoIterator<Item = Value>) -> Value {
    json!({"resultType": "vector", "result": series.into_iter().collect::<Vec<_>>()})
}

impl Default for FakePrometheus {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    query: String,
}

async fn query(
    State(prometheus): State<FakePrometheus>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let expression = match Expression::parse(&parameters.query) {
        Ok(expression) => expression,
        Err(error) => {
            let body = json!({"status": "error", "errorType": "bad_data", "error": error});
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    };
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let data = prometheus.evaluate(&expression, since_epoch);
    Json(json!({"status": "success", "data": data})).into_response()
}
