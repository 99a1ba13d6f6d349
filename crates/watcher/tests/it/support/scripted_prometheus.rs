//! A Prometheus whose samples and answers a test sets.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::Query,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse as _,
    routing::get,
};
use chassis::{Shutdown, server::serve};
use fakes::{
    FakeKubernetes, StoredWeights,
    testing::{BackgroundTask, listener, spawn},
};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// The time between two scrapes.
const SCRAPE_EVERY: Duration = Duration::from_millis(100);

/// The samples that are kept of a series.
const MAX_SAMPLES: usize = 100;

/// Requests by cluster and response code.
type ByClass<T> = BTreeMap<(String, String), T>;

/// Stands for Prometheus: it counts requests at the rate that a test sets, scrapes them ten times a
/// second, and can give another answer instead.
#[derive(Clone)]
pub(crate) struct ScriptedPrometheus {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _tasks: Arc<[BackgroundTask; 2]>,
}

#[derive(Default)]
struct Script {
    /// Instead of any answer.
    answer: Option<(StatusCode, String)>,
    /// Instead of the samples.
    samples_answer: Option<String>,
    delay: Duration,
    /// Whether it is too slow for what reaches ten minutes back.
    is_slow_for_long_ranges: bool,
    is_scraping: bool,
    rates: ByClass<f64>,
    counts: ByClass<f64>,
    samples: ByClass<Vec<(f64, f64)>>,
    /// Divides the requests by its weights, if they are set without clusters.
    kubernetes: Option<FakeKubernetes>,
    total_rate: Option<f64>,
    /// The number of the caller that is scraped.
    caller: u64,
    /// A header that each query needs, and its value.
    needed: Option<(String, String)>,
}

impl ScriptedPrometheus {
    pub(crate) fn start() -> Self {
        let (listener, _) = listener();
        Self::start_on(listener)
    }

    /// Starts one that answers only queries with this header.
    pub(crate) fn start_guarded((name, value): (&str, &str)) -> Self {
        let prometheus = Self::start();
        prometheus.set_rate(50.0);
        prometheus.script.lock().unwrap().needed = Some((name.to_owned(), value.to_owned()));
        prometheus
    }

    pub(crate) fn start_on(listener: tokio::net::TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { is_scraping: true, ..Script::default() }));
        let shared = Arc::clone(&script);
        let answer =
            async move |headers: HeaderMap, Query(parameters): Query<Vec<(String, String)>>| {
                let needed = shared.lock().unwrap().needed.clone();
                if needed.is_some_and(|(name, value)| {
                    headers.get(name).is_none_or(|given| *given != value)
                }) {
                    return (StatusCode::UNAUTHORIZED, "no org id\nmore".to_owned());
                }
                let delay = shared.lock().unwrap().delay_of(&parameters[0].1);
                sleep(delay).await;
                shared.lock().unwrap().answer(&parameters[0].1)
            };
        let answer = async move |headers: HeaderMap, query: Query<Vec<(String, String)>>| {
            let (status, body) = answer(headers, query).await;
            let mut response = (status, body).into_response();
            if status.is_redirection() {
                let location = HeaderValue::from_static("/login");
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        };
        let router = Router::new().route("/api/v1/query", get(answer));
        let shared = Arc::clone(&script);
        let scrape = async move {
            let mut ticks = interval(SCRAPE_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = Instant::now();
            loop {
                ticks.tick().await;
                let elapsed = last.elapsed();
                last += elapsed;
                shared.lock().unwrap().scrape(elapsed);
            }
        };
        let tasks = [spawn(serve(listener, router, Shutdown::new())), spawn(scrape)];
        Self { address, script, _tasks: Arc::new(tasks) }
    }

    /// From now on, the requests follow the weights of this API server.
    pub(crate) fn follow(&self, kubernetes: &FakeKubernetes) {
        self.script.lock().unwrap().kubernetes = Some(kubernetes.clone());
    }

    /// Gives this answer instead of any other.
    pub(crate) fn set_answer(&self, status: u16, body: String) {
        let status = StatusCode::from_u16(status).unwrap();
        self.script.lock().unwrap().answer = Some((status, body));
    }

    /// Answers again, at once, with fresh samples of this rate in requests per second.
    pub(crate) fn set_rate(&self, rate: f64) {
        let mut script = self.script.lock().unwrap();
        script.answer = None;
        script.delay = Duration::ZERO;
        script.is_scraping = true;
        script.total_rate = Some(rate);
    }

    /// Stops to scrape, and answers with the samples it has.
    pub(crate) fn stop_scraping(&self) {
        self.script.lock().unwrap().is_scraping = false;
    }

    /// The caller is replaced by one that has counted nothing.
    pub(crate) fn replace_caller(&self) {
        self.end_counters();
        self.script.lock().unwrap().caller += 1;
    }

    /// The counters of the caller end, and it is scraped as before.
    pub(crate) fn end_counters(&self) {
        let mut script = self.script.lock().unwrap();
        script.total_rate = Some(0.0);
        script.counts.clear();
        script.samples.clear();
    }

    /// Gives this answer instead of samples.
    pub(crate) fn set_samples(&self, body: String) {
        self.script.lock().unwrap().samples_answer = Some(body);
    }

    /// From now on, it is too slow for what reaches ten minutes back.
    pub(crate) fn slow_long_ranges(&self) {
        self.script.lock().unwrap().is_slow_for_long_ranges = true;
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        self.script.lock().unwrap().delay = delay;
    }

    /// Sets the requests per second by cluster and response code, whatever the weights.
    pub(crate) fn set_clusters(&self, rates: &[(&str, &str, f64)]) {
        let mut script = self.script.lock().unwrap();
        script.total_rate = None;
        let owned = rates
            .iter()
            .map(|(cluster, code, rate)| (((*cluster).to_owned(), (*code).to_owned()), *rate));
        script.rates = owned.collect();
    }
}

impl Script {
    fn scrape(&mut self, elapsed: Duration) {
        if !self.is_scraping {
            return;
        }
        if let Some(total) = self.total_rate {
            let weights = self.kubernetes.as_ref().map(FakeKubernetes::weights);
            let StoredWeights { primary, burst } =
                weights.unwrap_or(StoredWeights { primary: 100, burst: 0 });
            let share = |weight: u64| total * weight as f64 / (primary + burst) as f64;
            let class = |cluster: &str| (cluster.to_owned(), "200".to_owned());
            self.rates =
                [(class("primary"), share(primary)), (class("burst"), share(burst))].into();
        }
        for (class, rate) in &self.rates {
            *self.counts.entry(class.clone()).or_default() += rate * elapsed.as_secs_f64();
        }
        let now = since_epoch();
        for (class, count) in self.counts.iter().filter(|(_, count)| 0.0 < **count) {
            let samples = self.samples.entry(class.clone()).or_default();
            samples.push((now, *count));
            if MAX_SAMPLES < samples.len() {
                samples.remove(0);
            }
        }
    }

    fn delay_of(&self, query: &str) -> Duration {
        let is_slow = self.is_slow_for_long_ranges && query.contains("[10m]");
        if is_slow { Duration::from_secs(60) } else { self.delay }
    }

    fn answer(&self, query: &str) -> (StatusCode, String) {
        if let Some(answer) = &self.answer {
            return answer.clone();
        }
        let body = if query.starts_with("up") {
            let values = json!([[since_epoch(), "1"]]);
            let who = if query.contains("other") { "other" } else { "caller" };
            let instance = format!("{who}-{}", self.caller);
            let result = json!([{"metric": {"instance": instance}, "values": values}]);
            json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
                .to_string()
        } else if query.starts_with("max(timestamp(") {
            let newest = self.samples.values().filter_map(|samples| samples.last());
            let newest = newest.map(|(at, _)| series(&at.to_string())).next_back();
            vector(&newest.unwrap_or_default())
        } else if query.starts_with("sum by (") {
            let all = self.rates.iter().map(|((cluster, code), rate)| {
                let metric = json!({"destination_cluster": cluster, "response_code": code});
                json!({"metric": metric, "value": [since_epoch(), rate.to_string()]}).to_string()
            });
            vector(&all.collect::<Vec<_>>().join(","))
        } else if query.starts_with("sum(") {
            vector(&series(&self.rates.values().sum::<f64>().to_string()))
        } else if query.starts_with("count(") {
            vector("")
        } else {
            self.samples_answer.clone().unwrap_or_else(|| self.matrix())
        };
        (StatusCode::OK, body)
    }

    fn matrix(&self) -> String {
        let all: Vec<Value> = self
            .samples
            .iter()
            .map(|((cluster, code), samples)| {
                let metric = json!({
                    "destination_cluster": cluster,
                    "response_code": code,
                    "instance": format!("caller-{}", self.caller),
                });
                let values: Vec<_> =
                    samples.iter().map(|(at, count)| json!([at, count.to_string()])).collect();
                json!({"metric": metric, "values": values})
            })
            .collect();
        json!({"status": "success", "data": {"resultType": "matrix", "result": all}}).to_string()
    }
}

pub(crate) fn vector(all_series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{all_series}]}}}}"#)
}

/// Returns one series with a value of now.
pub(crate) fn series(value: &str) -> String {
    format!(r#"{{"metric":{{}},"value":[{},"{value}"]}}"#, since_epoch())
}

pub(crate) fn since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
