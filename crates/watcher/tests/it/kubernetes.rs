//! The watcher and an API server that fails.

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
use fakes::{
    FakeKubernetes,
    testing::{BackgroundTask, SilentServer, eventually, free_port, http, listener, spawn},
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, sleep},
};

use crate::{
    PATIENT,
    support::{BURST, HOME, KubernetesServer, RunningWatcher, ScriptedPrometheus, start_both},
};

/// A failure of an API server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    Answers(u16),
    Sleeps,
    /// It does what it is asked, after this time.
    IsSlow(Duration),
}

/// An API server that fails as a test wants.
struct FailingServer {
    address: SocketAddr,
    objects: FakeKubernetes,
    failure: Arc<Mutex<Option<(Method, Failure)>>>,
    _task: BackgroundTask,
}

impl FailingServer {
    fn start() -> Self {
        let objects = FakeKubernetes::from_manifest().unwrap();
        let failure = Arc::new(Mutex::new(None::<(Method, Failure)>));
        let told = Arc::clone(&failure);
        let fail = from_fn(move |request: Request, next: Next| {
            let failure = told.lock().unwrap().clone();
            async move {
                match failure {
                    Some((method, Failure::Answers(status))) if request.method() == method => {
                        refusal(status)
                    }
                    Some((method, Failure::IsSlow(delay))) if request.method() == method => {
                        sleep(delay).await;
                        next.run(request).await
                    }
                    Some((method, Failure::Sleeps)) if request.method() == method => {
                        sleep(Duration::from_secs(60)).await;
                        next.run(request).await
                    }
                    _ => next.run(request).await,
                }
            }
        });
        let router = objects.clone().router().layer(fail);
        let (listener, address) = listener();
        let task = spawn(serve(listener, router, Shutdown::new()));
        Self { address, objects, failure, _task: task }
    }

    fn fail(&self, method: Method, failure: Failure) {
        *self.failure.lock().unwrap() = Some((method, failure));
    }

    fn mend(&self) {
        *self.failure.lock().unwrap() = None;
    }
}

fn refusal(status: u16) -> Response {
    // As the API server words a refusal of RBAC.
    let message = match status {
        403 => "User \"watcher\" cannot patch resource \"virtualservices\"",
        _ => "it says no",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Refused", "code": status});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

const FAILURES: [(Failure, &str); 8] = [
    (Failure::Answers(401), "unauthorized"),
    (Failure::Answers(403), "forbidden"),
    (Failure::Answers(404), "not_found"),
    (Failure::Answers(409), "conflict"),
    (Failure::Answers(422), "invalid"),
    (Failure::Answers(429), "too_many_requests"),
    (Failure::Answers(500), "server_error"),
    (Failure::Sleeps, "timeout"),
];

/// A watcher that wants to write while something fails; it is right within two ticks of the recovery.
async fn check(method: Method, failure: Failure, kind: &str) {
    // Attempts to write are a second apart after one that failed; a read is repeated each tick.
    let (metric, lacking, limit) = match method {
        Method::GET => ("observations", "reading the VirtualService: ", 6),
        _ => ("writes", "writing the VirtualService: ", 16),
    };
    let (prometheus, kubernetes) = (ScriptedPrometheus::start(), FailingServer::start());
    kubernetes.fail(method, failure);
    prometheus.set_rate(200.0);
    let arguments = ["--writes-per-minute=60"];
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    watcher.counts(metric, kind).await;
    // On a busy machine a read may be late for once, which is then the reason.
    eventually(&format!("{kind} is the reason"), async || {
        let (status, reason) = watcher.get("/_healthz").await;
        status == 503 && reason.starts_with(lacking)
    })
    .await;
    // Long enough to use up any number of attempts.
    sleep(Duration::from_secs(3)).await;
    assert_eq!(kubernetes.objects.weights(), HOME);
    kubernetes.mend();
    let (start, ticks) = (Instant::now(), watcher.count("queries", "ok").await);
    eventually("it is written", async || kubernetes.objects.weights() == BURST).await;
    let ticks = watcher.count("queries", "ok").await - ticks;
    assert!(ticks <= limit, "{kind}: {ticks} ticks, {:?}", start.elapsed());
    eventually("it is ready", async || watcher.get("/_healthz").await.0 == 200).await;
}

/// Failures of a write: one that takes long is no failure.
fn failures_of_writes() -> impl Iterator<Item = (Failure, &'static str)> {
    FAILURES.into_iter().filter(|(failure, _)| *failure != Failure::Sleeps)
}

#[tokio::test]
async fn a_slow_write_is_made_once_and_is_nobody_elses() {
    let (prometheus, kubernetes) = (ScriptedPrometheus::start(), FailingServer::start());
    prometheus.follow(&kubernetes.objects);
    kubernetes.fail(Method::PATCH, Failure::IsSlow(Duration::from_millis(2500)));
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    eventually("it is written", async || kubernetes.objects.weights() == BURST).await;
    eventually("it is known", async || watcher.count("writes", "ok").await == 1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(watcher.count("writes", "ok").await, 1);
    assert_eq!(watcher.count("writes", "timeout").await, 0);
    let (_, metrics) = watcher.get("/metrics").await;
    assert!(!metrics.contains("watcher_drift_total{"), "{metrics}");
    assert_eq!(watcher.get("/_healthz").await.0, 200);
}

#[tokio::test]
async fn a_role_that_may_not_write_is_named_before_the_first_burst() {
    let (prometheus, kubernetes) = (ScriptedPrometheus::start(), FailingServer::start());
    kubernetes.fail(Method::PATCH, Failure::Answers(403));
    prometheus.set_rate(50.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    eventually("it is named", async || {
        watcher.status().await.write_check.contains("must allow get and patch")
    })
    .await;
    assert_eq!(watcher.count("write_checks", "forbidden").await, 1);
    assert_eq!(watcher.count("writes", "forbidden").await, 0);
}

#[tokio::test]
async fn a_write_that_fails_is_repeated_until_it_succeeds() {
    join_all(failures_of_writes().map(|(failure, kind)| check(Method::PATCH, failure, kind))).await;
}

#[tokio::test]
async fn a_read_that_fails_is_repeated_until_it_succeeds() {
    join_all(FAILURES.map(|(failure, kind)| check(Method::GET, failure, kind))).await;
}

#[tokio::test]
async fn an_api_server_that_was_away_is_written_to_when_it_is_back() {
    let prometheus = ScriptedPrometheus::start();
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let watcher = RunningWatcher::start(prometheus.address, address, &[]);
    prometheus.set_rate(200.0);
    watcher.counts("observations", "unreachable").await;
    let kubernetes = KubernetesServer::start_on(port, FakeKubernetes::from_manifest().unwrap());
    kubernetes.reaches(BURST).await;
}

#[tokio::test]
async fn a_silent_server_and_one_without_tls_are_named() {
    let prometheus = ScriptedPrometheus::start();
    prometheus.set_rate(200.0);
    let silent = SilentServer::start();
    let watcher = RunningWatcher::start(prometheus.address, silent.address, &[]);
    watcher.counts("observations", "timeout").await;

    let (listener, address) = listener();
    let _garbage = spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let watcher =
        RunningWatcher::start_with(prometheus.address, &format!("https://{address}"), &[]);
    watcher.counts("observations", "unreachable").await;
    let (status, reason) = watcher.get("/_healthz").await;
    assert!(status == 503 && reason.contains("the API server cannot be reached: "), "{reason}");
}

#[tokio::test]
async fn an_object_that_does_not_exist_is_named() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &["--route=other"]);
    watcher.counts("observations", "not_found").await;
    let (status, reason) = watcher.get("/_healthz").await;
    assert!(
        status == 503 && reason.contains("\"other\" not found; apply it, or"),
        "{status} {reason}"
    );
}

#[tokio::test]
async fn a_weight_that_istio_leaves_out_is_zero() {
    let (prometheus, kubernetes) = start_both();
    let remove = json!([{"op": "remove", "path": "/spec/http/0/route/1/weight"}]);
    kubernetes.objects.change(remove, "test").unwrap();
    prometheus.set_rate(200.0);
    let _watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
}

#[tokio::test]
async fn nothing_but_the_weights_is_touched() {
    let (prometheus, kubernetes) = start_both();
    let url = format!(
        "http://{}/apis/networking.istio.io/v1/namespaces/default/virtualservices/worker-virtual-service",
        kubernetes.address
    );
    let object = async || -> serde_json::Value {
        let text = http().get(&url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut before = object().await;
    prometheus.set_rate(200.0);
    let _watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
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
    let (prometheus, kubernetes) = (ScriptedPrometheus::start(), FailingServer::start());
    kubernetes.fail(Method::POST, Failure::Sleeps);
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &PATIENT);
    eventually("it is written", async || kubernetes.objects.weights() == BURST).await;
    eventually("it is counted", async || watcher.count("events", "failed").await == 1).await;
    assert_eq!(watcher.get("/_healthz").await.0, 200);
    kubernetes.mend();
    prometheus.set_rate(50.0);
    eventually("it is told", async || kubernetes.objects.events().len() == 1).await;
}
