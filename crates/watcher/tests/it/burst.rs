//! What guards burst: whether it is ready, its budget, and who is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::any,
};
use fakes::testing::{BackgroundTask, eventually, listener, spawn};
use serde_json::{Value, json};

use crate::{
    PATIENT,
    controller::{Controller, spec},
    support::{BURST, HOME, RunningWatcher, start_both},
};

/// A server that answers each request with one code, and keeps what it has taken.
struct Receiver {
    address: SocketAddr,
    code: Arc<AtomicU16>,
    /// The type and the body of each message that was answered with 200.
    taken: Arc<Mutex<Vec<(String, Value)>>>,
    _task: BackgroundTask,
}

impl Receiver {
    fn start(code: u16) -> Self {
        let (code, taken) = (Arc::new(AtomicU16::new(code)), Arc::new(Mutex::new(Vec::new())));
        let (answered, kept) = (Arc::clone(&code), Arc::clone(&taken));
        let answer = async move |headers: HeaderMap, body: Bytes| {
            let code = StatusCode::from_u16(answered.load(Ordering::Relaxed)).unwrap();
            if code == StatusCode::OK && !body.is_empty() {
                let type_ = headers["ce-type"].to_str().unwrap().to_owned();
                for name in ["ce-id", "ce-time", "ce-source", "ce-specversion"] {
                    assert!(headers.contains_key(name), "{name}");
                }
                kept.lock().unwrap().push((type_, serde_json::from_slice(&body).unwrap()));
            }
            code
        };
        let (listener, address) = listener();
        let router = Router::new().route("/", any(answer));
        let task = spawn(chassis::server::serve(listener, router, chassis::Shutdown::new()));
        Self { address, code, taken, _task: task }
    }

    fn set(&self, code: u16) {
        self.code.store(code, Ordering::Relaxed);
    }

    fn types(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(type_, _)| type_.clone()).collect()
    }
}

const BEGAN: &str = "dev.istiowatcher.burst.began";
const ENDED: &str = "dev.istiowatcher.burst.ended";

#[tokio::test]
async fn a_webhook_is_told_when_bursting_begins_and_ends() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    let receiver = Receiver::start(200);
    let webhook = format!("--burst-webhook-url=http://{}", receiver.address);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[&webhook]);
    // A receiver that missed an end learns of it from the next watcher.
    eventually("the first message", async || receiver.types() == [ENDED]).await;
    receiver.set(503);
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    eventually("a failed call", async || 0 < watcher.count("webhook_calls", "failed").await).await;
    receiver.set(200);
    eventually("a repetition", async || receiver.types() == [ENDED, BEGAN]).await;
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
    eventually("the end", async || receiver.types() == [ENDED, BEGAN, ENDED]).await;
    let (_, body) = receiver.taken.lock().unwrap()[1].clone();
    let expected = json!({
        "bursting": true,
        "route": { "kind": "VirtualService", "namespace": "default", "name": "worker-virtual-service" },
        "weights": { "primary": 0, "burst": 100 },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_only_the_newest() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    let receiver = Receiver::start(500);
    let webhook = format!("--burst-webhook-url=http://{}", receiver.address);
    let arguments = [&PATIENT[..], &[webhook.as_str()]].concat();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    for (rate, weights) in [(200.0, BURST), (50.0, HOME), (200.0, BURST)] {
        prometheus.set_rate(rate);
        kubernetes.reaches(weights).await;
    }
    let before = watcher.count("webhook_calls", "failed").await;
    eventually("another call", async || before < watcher.count("webhook_calls", "failed").await)
        .await;
    receiver.set(200);
    eventually("the newest", async || receiver.types() == [BEGAN]).await;
    assert_eq!(watcher.get("/_healthz").await.0, 200, "it is no reason to be unready");
}

#[tokio::test]
async fn burst_receives_nothing_before_its_url_answers_well() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let burst = Receiver::start(503);
    let url = format!("--burst-ready-url=http://{}", burst.address);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[&url]);
    eventually("it waits", async || watcher.status().await.reason == "BurstNotReady").await;
    assert_eq!(kubernetes.objects.weights(), HOME);
    burst.set(200);
    kubernetes.reaches(BURST).await;
}

#[tokio::test]
async fn a_burst_that_cannot_be_asked_is_named() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let url = format!("--burst-ready-url=http://127.0.0.1:{}", fakes::testing::free_port());
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[&url]);
    eventually("it says why", async || {
        watcher.get("/_healthz").await.1.contains("readiness of burst: BURST_READY_URL: ")
    })
    .await;
    assert_eq!(kubernetes.objects.weights(), HOME);
}

#[tokio::test]
async fn a_spent_budget_is_in_the_status_and_outlives_the_controller() {
    let (prometheus, kubernetes) = start_both();
    let mut spec = spec();
    spec["burst"] = json!({ "requestsPerHour": 300 });
    kubernetes.objects.apply_policy("worker", spec);
    prometheus.set_rate(200.0);
    let status = || kubernetes.objects.policy_status("worker").unwrap_or_default();
    let first = Controller::start(prometheus.address, kubernetes.address);
    kubernetes.reaches(BURST).await;
    kubernetes.reaches(HOME).await;
    eventually("the budget is spent", async || {
        status()["reason"] == "OverBudget" && Some(300) <= status()["burstRequests"].as_i64()
    })
    .await;
    drop(first);
    let second = Controller::start(prometheus.address, kubernetes.address);
    let reason = async || second.get("/policies/default/worker/status").await.1;
    eventually("it is still spent", async || reason().await.contains("OverBudget")).await;
    assert_eq!(kubernetes.objects.weights(), HOME);
}
