//! The watcher: what it makes of what Prometheus and the API server say.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    middleware::{Next, from_fn},
    response::IntoResponse as _,
    routing::get,
};
use chassis::{Shutdown, server::serve, settings::from_arguments};
use local::kubernetes::{self, VirtualService, Weights};
use tempfile::NamedTempFile;
use tokio::time::sleep;

use crate::support::{Running, Silent, eventually, free_port, http, listener, spawn};

const PRIMARY: Weights = Weights { primary: 100, burst: 0 };
const BURST: Weights = Weights { primary: 0, burst: 100 };

/// A Prometheus that says what it is told to say.
struct Prometheus {
    address: SocketAddr,
    says: Arc<Mutex<(StatusCode, String)>>,
    _running: Running,
}

impl Prometheus {
    fn start() -> Self {
        let says = Arc::new(Mutex::new((StatusCode::OK, String::new())));
        let said = Arc::clone(&says);
        let router =
            Router::new().route("/api/v1/query", get(async move || said.lock().unwrap().clone()));
        let (listener, address) = listener();
        Self { address, says, _running: spawn(serve(listener, router, Shutdown::new())) }
    }

    fn say(&self, status: u16, body: String) {
        *self.says.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body);
    }

    fn say_rate(&self, rate: &str) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        self.say(
            200,
            vector(&format!(r#"{{"metric":{{}},"value":[{},"{rate}"]}}"#, now.as_secs())),
        );
    }
}

fn vector(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
}

struct Watcher {
    address: SocketAddr,
    _kubeconfig: NamedTempFile,
    _running: Running,
}

impl Watcher {
    fn start(prometheus: SocketAddr, kubernetes: SocketAddr, arguments: &[&str]) -> Self {
        let kubeconfig = NamedTempFile::new().unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, \
             user: u}}}}]\nclusters: [{{name: c, cluster: {{server: 'http://{kubernetes}'}}}}]\nusers: \
             [{{name: u, user: {{}}}}]\n"
        );
        std::fs::write(kubeconfig.path(), text).unwrap();
        let prometheus = format!("--prometheus-url=http://{prometheus}");
        let path = format!("--kubeconfig={}", kubeconfig.path().display());
        let defaults =
            [prometheus.as_str(), path.as_str(), "--interval=100ms", "--home-hold=300ms"];
        let config = from_arguments(&[&defaults, arguments].concat()).unwrap();
        let (listener, address) = listener();
        let running = spawn(watcher::run(config, listener, Shutdown::new()));
        Self { address, _kubeconfig: kubeconfig, _running: running }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let response = http().get(format!("http://{}{path}", self.address)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// How many answers of a kind it has counted.
    async fn count(&self, metric: &str, result: &str) -> u64 {
        let (_, metrics) = self.get("/metrics").await;
        let line = format!("watcher_{metric}_total{{result=\"{result}\"}} ");
        metrics
            .lines()
            .find_map(|it| it.strip_prefix(&line))
            .map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until it has counted a few more.
    async fn sees(&self, metric: &str, result: &str) {
        let before = self.count(metric, result).await;
        let what = format!("it sees {metric} {result}");
        eventually(&what, async || before + 2 < self.count(metric, result).await).await;
    }
}

/// An API server with one `VirtualService`.
struct Kubernetes {
    address: SocketAddr,
    virtual_service: VirtualService,
    _running: Running,
}

impl Kubernetes {
    fn start_on(port: u16, virtual_service: VirtualService) -> Self {
        let listener = chassis::server::listen_locally("test", port).unwrap();
        let address = listener.local_addr().unwrap();
        let router = kubernetes::router(virtual_service.clone());
        Self { address, virtual_service, _running: spawn(serve(listener, router, Shutdown::new())) }
    }

    fn start() -> Self {
        Self::start_on(0, VirtualService::from_manifest().unwrap())
    }

    async fn reaches(&self, weights: Weights) {
        let what = format!("the weights are {weights:?}");
        eventually(&what, async || self.virtual_service.weights() == weights).await;
    }
}

#[tokio::test]
async fn follows_the_rate_between_the_clusters() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    for _ in 0..2 {
        prometheus.say_rate("18.9");
        kubernetes.reaches(BURST).await;
        prometheus.say_rate("12");
        watcher.sees("readings", "ok").await;
        assert_eq!(kubernetes.virtual_service.weights(), BURST);
        prometheus.say_rate("9.9");
        kubernetes.reaches(PRIMARY).await;
    }
    assert_eq!(watcher.count("writes", "ok").await, 4, "written only when something changes");
    assert_eq!(watcher.get("/_healthz").await, (200, "ok".to_owned()));
    assert_eq!(watcher.get("/").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn holds_whenever_the_rate_is_not_known() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    prometheus.say_rate("20");
    kubernetes.reaches(BURST).await;

    let series = |at: &str, value: &str| format!(r#"{{"value":[{at},"{value}"]}}"#);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = now.to_string();
    let answers = [
        (500, String::new(), "http"),
        (503, r#"{"status":"error","error":"overloaded"}"#.to_owned(), "http"),
        (302, String::new(), "http"),
        (200, String::new(), "malformed"),
        (200, "<html>".to_owned(), "malformed"),
        (200, r#"{"status":"error","error":"no"}"#.to_owned(), "malformed"),
        (200, vector(""), "empty"),
        (200, vector(&format!("{0},{0}", series(&now, "0"))), "many_series"),
        (200, vector(&series(&now, "NaN")), "not_a_number"),
        (200, vector(&series(&now, "+Inf")), "infinite"),
        (200, vector(&series(&now, "-1")), "negative"),
        (200, vector(&series("1544404907", "0")), "stale"),
        (200, " ".repeat(2 * 1024 * 1024), "too_large"),
    ];
    for (status, body, kind) in answers {
        prometheus.say(status, body);
        watcher.sees("readings", kind).await;
        assert_eq!(kubernetes.virtual_service.weights(), BURST, "{kind}");
        let (status, lacks) = watcher.get("/_healthz").await;
        assert!(status == 503 && lacks.starts_with("request rate: "), "{kind}: {status} {lacks}");
    }
    prometheus.say_rate("5");
    kubernetes.reaches(PRIMARY).await;
}

#[tokio::test]
async fn holds_when_prometheus_is_away_or_silent() {
    let kubernetes = Kubernetes::start();
    let prometheus = Prometheus::start();
    prometheus.say_rate("20");
    let first = Watcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    drop(first);
    let silent = Silent::start();
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for (prometheus, kind) in [(nobody, "unreachable"), (silent.address, "timeout")] {
        let watcher = Watcher::start(prometheus, kubernetes.address, &["--home-below=15"]);
        watcher.sees("readings", kind).await;
        assert_eq!(kubernetes.virtual_service.weights(), BURST, "no answer is not zero");
    }
}

#[tokio::test]
async fn a_write_that_is_refused_is_made_good() {
    let (prometheus, virtual_service) =
        (Prometheus::start(), VirtualService::from_manifest().unwrap());
    prometheus.say_rate("20");
    // Reads as ever, and refuses every write until it is told otherwise.
    let refusal = Arc::new(Mutex::new(Some(StatusCode::FORBIDDEN)));
    let refuses = Arc::clone(&refusal);
    let router = kubernetes::router(virtual_service.clone()).layer(from_fn(
        move |request: Request, next: Next| {
            let refusal = *refuses.lock().unwrap();
            async move {
                match refusal {
                    Some(status) if request.method() == Method::PATCH => status.into_response(),
                    _ => next.run(request).await,
                }
            }
        },
    ));
    let (listener, address) = listener();
    let _kubernetes = spawn(serve(listener, router, Shutdown::new()));
    let watcher = Watcher::start(prometheus.address, address, &[]);
    for status in [StatusCode::FORBIDDEN, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY] {
        *refusal.lock().unwrap() = Some(status);
        watcher.sees("writes", "refused").await;
        let (code, lacks) = watcher.get("/_healthz").await;
        assert!(code == 503 && lacks.starts_with("writing the VirtualService: "), "{code} {lacks}");
    }
    prometheus.say(200, String::new());
    watcher.sees("readings", "malformed").await;
    assert_eq!(watcher.get("/_healthz").await.0, 503, "not knowing the rate mends nothing");
    prometheus.say_rate("20");
    *refusal.lock().unwrap() = None;
    eventually("it is written", async || virtual_service.weights() == BURST).await;
    eventually("it is ready", async || watcher.get("/_healthz").await.0 == 200).await;
}

#[tokio::test]
async fn an_api_server_that_was_away_is_written_to_when_it_is_back() {
    let prometheus = Prometheus::start();
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let watcher = Watcher::start(prometheus.address, address, &[]);
    prometheus.say_rate("20");
    watcher.sees("observations", "unreachable").await;
    let kubernetes = Kubernetes::start_on(port, VirtualService::from_manifest().unwrap());
    kubernetes.reaches(BURST).await;
}

#[tokio::test]
async fn a_restarted_watcher_goes_on_from_the_weights_in_force() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let first = Watcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    drop(first);
    prometheus.say_rate("12");
    let second = Watcher::start(prometheus.address, kubernetes.address, &[]);
    second.sees("readings", "ok").await;
    assert_eq!(kubernetes.virtual_service.weights(), BURST);
    prometheus.say_rate("5");
    kubernetes.reaches(PRIMARY).await;
    assert_eq!(second.count("writes", "ok").await, 1);
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &["--dry-run"]);
    prometheus.say_rate("20");
    watcher.sees("readings", "ok").await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(kubernetes.virtual_service.weights(), PRIMARY);
}

#[tokio::test]
async fn is_ready_before_the_first_request_has_been_counted() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say(200, vector(""));
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.sees("readings", "empty").await;
    let (status, lacks) = watcher.get("/_healthz").await;
    assert!(!lacks.contains("request rate"), "{status} {lacks}");
}

#[tokio::test]
async fn an_object_that_is_not_there_is_named() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let watcher =
        Watcher::start(prometheus.address, kubernetes.address, &["--virtual-service=other"]);
    watcher.sees("observations", "refused").await;
    let (status, lacks) = watcher.get("/_healthz").await;
    assert!(status == 503 && lacks.contains("\"other\" not found"), "{status} {lacks}");
}
