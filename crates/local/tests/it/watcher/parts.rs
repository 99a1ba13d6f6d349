//! A Prometheus and an API server that say what they are told to say, and a watcher between them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Router, extract::Query, http::StatusCode, routing::get};
use chassis::{Shutdown, server::serve, settings::from_arguments};
use contract::WatcherStatus;
use local::kubernetes::{self, VirtualService, Weights};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use crate::support::{Running, eventually, http, listener, spawn};

pub(super) const HOME: Weights = Weights { primary: 100, burst: 0 };
pub(super) const BURST: Weights = Weights { primary: 0, burst: 100 };

/// Settings of a watcher whose seconds are tenths.
const QUICK: [&str; 5] = [
    "--interval=100ms",
    "--home-hold=300ms",
    "--window=300ms",
    "--burst-rest=2s",
    "--clusters-query=sum by (destination_cluster, response_code) (rate(a_total[1s]))",
];

/// A Prometheus that says what it is told to say.
pub(super) struct Prometheus {
    pub(super) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    _running: Running,
}

#[derive(Clone)]
struct Says {
    rate: (StatusCode, String),
    clusters: String,
    samples: String,
    /// How old the newest sample is, in seconds; none if there is none.
    age: Option<f64>,
    delay: Duration,
}

impl Prometheus {
    pub(super) fn start() -> Self {
        let (listener, _) = listener();
        Self::start_on(listener)
    }

    pub(super) fn start_on(listener: tokio::net::TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let says = Says {
            rate: (StatusCode::OK, vector("")),
            clusters: vector(""),
            samples: vector("").replace("vector", "matrix"),
            age: Some(0.1),
            delay: Duration::ZERO,
        };
        let says = Arc::new(Mutex::new(says));
        let said = Arc::clone(&says);
        let answer = async move |Query(parameters): Query<Vec<(String, String)>>| {
            let says = said.lock().unwrap().clone();
            sleep(says.delay).await;
            let query = &parameters[0].1;
            if query.starts_with("max(timestamp(") {
                let age = says.age.map(|age| one(&(since_epoch() - age).to_string()));
                (StatusCode::OK, vector(&age.unwrap_or_default()))
            } else if query.starts_with("sum by (") {
                (StatusCode::OK, says.clusters)
            } else if query.starts_with("sum(") || query.starts_with("up") {
                says.rate
            } else {
                (StatusCode::OK, says.samples)
            }
        };
        let router = Router::new().route("/api/v1/query", get(answer));
        Self { address, says, _running: spawn(serve(listener, router, Shutdown::new())) }
    }

    pub(super) fn say(&self, status: u16, body: String) {
        self.says.lock().unwrap().rate = (StatusCode::from_u16(status).unwrap(), body);
    }

    /// Says a rate, of samples that are fresh, at once.
    pub(super) fn say_rate(&self, rate: &str) {
        self.say(200, vector(&one(rate)));
        self.say_age(Some(0.1));
        self.delay(Duration::ZERO);
    }

    pub(super) fn say_age(&self, age: Option<f64>) {
        self.says.lock().unwrap().age = age;
    }

    pub(super) fn say_samples(&self, body: String) {
        self.says.lock().unwrap().samples = body;
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.says.lock().unwrap().delay = delay;
    }

    /// Requests per second by cluster and response code.
    pub(super) fn say_clusters(&self, rates: &[(&str, &str, &str)]) {
        let series = rates.iter().map(|(cluster, code, rate)| {
            let metric = json!({"destination_cluster": cluster, "response_code": code});
            json!({"metric": metric, "value": [since_epoch(), rate]}).to_string()
        });
        self.says.lock().unwrap().clusters = vector(&series.collect::<Vec<_>>().join(","));
    }
}

pub(super) fn vector(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

/// One series of now.
pub(super) fn one(value: &str) -> String {
    format!(r#"{{"metric":{{}},"value":[{},"{value}"]}}"#, since_epoch())
}

pub(super) fn since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

pub(super) struct Watcher {
    address: SocketAddr,
    _kubeconfig: NamedTempFile,
    _running: Running,
}

impl Watcher {
    pub(super) fn start(
        prometheus: SocketAddr,
        kubernetes: SocketAddr,
        arguments: &[&str],
    ) -> Self {
        Self::start_with(prometheus, &format!("http://{kubernetes}"), arguments)
    }

    pub(super) fn start_with(prometheus: SocketAddr, server: &str, arguments: &[&str]) -> Self {
        let kubeconfig = NamedTempFile::new().unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, \
             user: u}}}}]\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: \
             [{{name: u, user: {{token: secret}}}}]\n"
        );
        std::fs::write(kubeconfig.path(), text).unwrap();
        let prometheus = format!("--prometheus-url=http://{prometheus}");
        let path = format!("--kubeconfig={}", kubeconfig.path().display());
        let theirs = arguments.iter().map(|it| it.split('=').next().unwrap()).collect::<Vec<_>>();
        let quick = QUICK.into_iter().filter(|it| !theirs.iter().any(|name| it.starts_with(*name)));
        let all: Vec<_> = [prometheus.as_str(), &path]
            .into_iter()
            .chain(quick)
            .chain(arguments.iter().copied())
            .collect();
        let config = from_arguments(&all).unwrap();
        let (listener, address) = listener();
        let running = spawn(watcher::run(config, listener, Shutdown::new()));
        Self { address, _kubeconfig: kubeconfig, _running: running }
    }

    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        let response = http().get(format!("http://{}{path}", self.address)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(super) async fn status(&self) -> WatcherStatus {
        serde_json::from_str(&self.get("/status").await.1).unwrap()
    }

    /// How many answers of a kind it has counted.
    pub(super) async fn count(&self, metric: &str, result: &str) -> u64 {
        let (_, metrics) = self.get("/metrics").await;
        let line = format!("watcher_{metric}_total{{result=\"{result}\"}} ");
        metrics
            .lines()
            .find_map(|it| it.strip_prefix(&line))
            .map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until it has counted a few more.
    pub(super) async fn sees(&self, metric: &str, result: &str) {
        let before = self.count(metric, result).await;
        let what = format!("it sees {metric} {result}");
        eventually(&what, async || before + 2 < self.count(metric, result).await).await;
    }
}

/// An API server with one `VirtualService`.
pub(super) struct Kubernetes {
    pub(super) address: SocketAddr,
    pub(super) virtual_service: VirtualService,
    _running: Running,
}

impl Kubernetes {
    pub(super) fn start_on(port: u16, virtual_service: VirtualService) -> Self {
        let listener = chassis::server::listen_locally("test", port).unwrap();
        let address = listener.local_addr().unwrap();
        let router = kubernetes::router(virtual_service.clone());
        Self { address, virtual_service, _running: spawn(serve(listener, router, Shutdown::new())) }
    }

    pub(super) fn start() -> Self {
        Self::start_on(0, VirtualService::from_manifest().unwrap())
    }

    pub(super) async fn reaches(&self, weights: Weights) {
        let what = format!("the weights are {weights:?}");
        eventually(&what, async || self.virtual_service.weights() == weights).await;
    }

    /// Changes the weights as somebody else would.
    pub(super) fn apply(&self, weights: Weights, manager: &str) {
        let add = |index: usize, weight: u64| json!({"op": "add", "path": format!("/spec/http/0/route/{index}/weight"), "value": weight});
        let patch = json!([add(0, weights.primary), add(1, weights.burst)]);
        self.virtual_service.change(patch, manager).unwrap();
    }

    pub(super) fn annotate(&self, annotations: Value) {
        let patch = json!([{"op": "add", "path": "/metadata/annotations", "value": annotations}]);
        self.virtual_service.change(patch, "kubectl-annotate").unwrap();
    }
}
