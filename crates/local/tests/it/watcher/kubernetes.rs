//! What the watcher makes of what the API server says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json,
    extract::Request,
    http::{Method, StatusCode},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use chassis::{Shutdown, server::serve};
use futures_util::future::join_all;
use local::kubernetes::{self, VirtualService};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, sleep},
};

use super::parts::{BURST, HOME, Kubernetes, Prometheus, Watcher};
use crate::support::{Running, Silent, eventually, free_port, listener, spawn};

/// What an API server does instead of what it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instead {
    Answers(u16),
    Sleeps,
}

/// An API server that fails as it is told to.
struct Failing {
    address: SocketAddr,
    virtual_service: VirtualService,
    instead: Arc<Mutex<Option<(Method, Instead)>>>,
    _running: Running,
}

impl Failing {
    fn start() -> Self {
        let virtual_service = VirtualService::from_manifest().unwrap();
        let instead = Arc::new(Mutex::new(None::<(Method, Instead)>));
        let told = Arc::clone(&instead);
        let fail = from_fn(move |request: Request, next: Next| {
            let instead = told.lock().unwrap().clone();
            async move {
                match instead {
                    Some((method, Instead::Answers(status))) if request.method() == method => {
                        refusal(status)
                    }
                    Some((method, Instead::Sleeps)) if request.method() == method => {
                        sleep(Duration::from_secs(60)).await;
                        next.run(request).await
                    }
                    _ => next.run(request).await,
                }
            }
        });
        let router = kubernetes::router(virtual_service.clone()).layer(fail);
        let (listener, address) = listener();
        let running = spawn(serve(listener, router, Shutdown::new()));
        Self { address, virtual_service, instead, _running: running }
    }

    fn fail(&self, method: Method, instead: Instead) {
        *self.instead.lock().unwrap() = Some((method, instead));
    }

    fn mend(&self) {
        *self.instead.lock().unwrap() = None;
    }
}

fn refusal(status: u16) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "it says no", "reason": "Refused", "code": status});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

const FAILURES: [(Instead, &str); 8] = [
    (Instead::Answers(401), "unauthorized"),
    (Instead::Answers(403), "forbidden"),
    (Instead::Answers(404), "not_found"),
    (Instead::Answers(409), "conflict"),
    (Instead::Answers(422), "invalid"),
    (Instead::Answers(429), "too_many_requests"),
    (Instead::Answers(500), "server_error"),
    (Instead::Sleeps, "timeout"),
];

/// A watcher that wants to write while something fails; it is right within two ticks of the recovery.
async fn check(method: Method, instead: Instead, kind: &str) {
    let (metric, lacking) = match method {
        Method::GET => ("observations", "reading the VirtualService: "),
        _ => ("writes", "writing the VirtualService: "),
    };
    let (prometheus, kubernetes) = (Prometheus::start(), Failing::start());
    kubernetes.fail(method, instead);
    prometheus.say_rate("20");
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.sees(metric, kind).await;
    let (status, lacks) = watcher.get("/_healthz").await;
    assert!(status == 503 && lacks.starts_with(lacking), "{kind}: {status} {lacks}");
    // Long enough to use up any number of attempts.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(kubernetes.virtual_service.weights(), HOME);
    kubernetes.mend();
    let (start, ticks) = (Instant::now(), watcher.count("query", "ok").await);
    eventually("it is written", async || kubernetes.virtual_service.weights() == BURST).await;
    let ticks = watcher.count("query", "ok").await - ticks;
    // One that was under way, two, and one that ends the wait; on a busy machine a tick may be cut short.
    assert!(ticks <= 6, "{kind}: {ticks} ticks, {:?}", start.elapsed());
    eventually("it is ready", async || watcher.get("/_healthz").await.0 == 200).await;
}

#[tokio::test]
async fn whatever_is_wrong_with_writing_is_made_good() {
    join_all(FAILURES.map(|(instead, kind)| check(Method::PATCH, instead, kind))).await;
}

#[tokio::test]
async fn whatever_is_wrong_with_reading_is_made_good() {
    join_all(FAILURES.map(|(instead, kind)| check(Method::GET, instead, kind))).await;
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
async fn one_that_is_silent_or_speaks_no_tls_is_named() {
    let prometheus = Prometheus::start();
    prometheus.say_rate("20");
    let silent = Silent::start();
    let watcher = Watcher::start(prometheus.address, silent.address, &[]);
    watcher.sees("observations", "timeout").await;

    let (listener, address) = listener();
    let _garbage = spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let watcher = Watcher::start_with(prometheus.address, &format!("https://{address}"), &[]);
    watcher.sees("observations", "unreachable").await;
    let (status, lacks) = watcher.get("/_healthz").await;
    assert!(status == 503 && lacks.contains("the API server cannot be reached: "), "{lacks}");
}

#[tokio::test]
async fn an_object_that_is_not_there_or_lacks_a_destination_is_named() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let watcher =
        Watcher::start(prometheus.address, kubernetes.address, &["--virtual-service=other"]);
    watcher.sees("observations", "not_found").await;
    let (status, lacks) = watcher.get("/_healthz").await;
    assert!(
        status == 503 && lacks.contains("\"other\" not found; apply it, or"),
        "{status} {lacks}"
    );
}

#[tokio::test]
async fn a_weight_that_istio_leaves_out_is_zero() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let remove = json!([{"op": "remove", "path": "/spec/http/0/route/1/weight"}]);
    kubernetes.virtual_service.change(remove, "test").unwrap();
    prometheus.say_rate("20");
    let _watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
}

#[tokio::test]
async fn nothing_but_the_weights_is_touched() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let url = format!(
        "http://{}/apis/networking.istio.io/v1/namespaces/default/virtualservices/worker-virtual-service",
        kubernetes.address
    );
    let object = async || -> serde_json::Value {
        let text = crate::support::http().get(&url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut before = object().await;
    prometheus.say_rate("20");
    let _watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    let mut after = object().await;
    assert_eq!(after["metadata"]["managedFields"][0]["manager"], "istiowatcher");
    for (object, weights) in [(&mut before, [100, 0]), (&mut after, [0, 100])] {
        for (index, expected) in weights.into_iter().enumerate() {
            let weight = object["spec"]["http"][0]["route"][index]["weight"].take();
            assert_eq!(weight, expected);
        }
        for field in ["resourceVersion", "generation", "managedFields"] {
            object["metadata"].as_object_mut().unwrap().remove(field);
        }
    }
    assert_eq!(before, after);
}

#[tokio::test]
async fn events_that_are_refused_delay_nothing() {
    let (prometheus, kubernetes) = (Prometheus::start(), Failing::start());
    kubernetes.fail(Method::POST, Instead::Sleeps);
    prometheus.say_rate("20");
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    eventually("it is written", async || kubernetes.virtual_service.weights() == BURST).await;
    eventually("it is counted", async || watcher.count("events", "failed").await == 1).await;
    assert_eq!(watcher.get("/_healthz").await.0, 200);
    kubernetes.mend();
    prometheus.say_rate("5");
    eventually("it is told", async || kubernetes.virtual_service.events().len() == 1).await;
}
