//! The watcher and a Prometheus that fails.

use std::{net::SocketAddr, time::Duration};

use fakes::{
    StoredWeights,
    testing::{SilentServer, eventually, free_port, listener, spawn},
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::{
    PATIENT,
    support::{
        BURST, HOME, KubernetesServer, RunningWatcher, ScriptedPrometheus, series, since_epoch,
        start_both, vector,
    },
};

/// The kind of a failure, and what causes it.
type Fault = (&'static str, fn(&ScriptedPrometheus));

const FAULTS: [Fault; 10] = [
    ("timeout", |prometheus| prometheus.set_delay(Duration::from_secs(60))),
    ("http", |prometheus| prometheus.set_answer(500, String::new())),
    ("http", |prometheus| {
        prometheus.set_answer(503, r#"{"status":"error","error":"overloaded"}"#.to_owned())
    }),
    ("http", |prometheus| prometheus.set_answer(302, String::new())),
    ("not_json", |prometheus| prometheus.set_answer(200, "<html>".to_owned())),
    ("status_error", |prometheus| {
        prometheus.set_answer(200, r#"{"status":"error","error":"no"}"#.to_owned())
    }),
    ("malformed", |prometheus| prometheus.set_answer(200, vector(&series("0")))),
    ("empty", |prometheus| prometheus.set_answer(200, vector("").replace("vector", "matrix"))),
    ("partial", |prometheus| {
        let warned = vector("")
            .replace("vector", "matrix")
            .replace("{\"status", "{\"warnings\":[\"a store is away\"],\"status");
        prometheus.set_answer(200, warned);
    }),
    ("too_large", |prometheus| prometheus.set_answer(200, " ".repeat(9 * 1024 * 1024))),
];

/// At a steady rate: some failure of Prometheus for twenty ticks, then all is well again.
async fn check(fault: Fault, rate: f64, in_force: StoredWeights) {
    let (kind, fail) = fault;
    let (prometheus, kubernetes) = start_both();
    kubernetes.apply(in_force, "test");
    prometheus.set_rate(rate);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.counts("queries", "ok").await;
    fail(&prometheus);
    watcher.counts("queries", kind).await;
    // On a busy machine an answer may come too late for once: that is another kind.
    let what = format!("{kind} is named everywhere");
    eventually(&what, async || {
        let (ready, reason) = watcher.get("/_healthz").await;
        let status = watcher.status().await;
        let is_held =
            status.is_holding && status.reason == "RateUnknown" && status.text.contains(kind);
        let is_seen = status.observed.unknown.as_deref() == Some(kind);
        ready == 503 && reason.starts_with("request rate: ") && is_held && is_seen
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    prometheus.set_rate(rate);
    eventually("it is ready again", async || watcher.get("/_healthz").await.0 == 200).await;
    watcher.counts("queries", "ok").await;
    let decisions = watcher.status().await.decisions;
    assert_eq!(watcher.count("writes", "ok").await, 0, "{kind} at {rate}/s: {decisions:?}");
}

/// Five at a time: each asks forty times a second, and is to be answered in time on a slow machine, too.
async fn check_all(rate: f64, in_force: StoredWeights) {
    for faults in FAULTS.chunks(5) {
        join_all(faults.iter().map(|&fault| check(fault, rate, in_force))).await;
    }
}

#[tokio::test]
async fn holds_in_burst_while_the_rate_is_unknown() {
    check_all(200.0, BURST).await;
}

#[tokio::test]
async fn holds_at_home_while_the_rate_is_unknown() {
    check_all(50.0, HOME).await;
}

#[tokio::test]
async fn holds_when_prometheus_is_away_or_silent_and_goes_on_when_it_is_back() {
    for in_force in [HOME, BURST] {
        let silent = SilentServer::start();
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for (address, kind) in [(nobody, "unreachable"), (silent.address, "timeout")] {
            let kubernetes = KubernetesServer::start();
            kubernetes.apply(in_force, "test");
            let watcher = RunningWatcher::start(address, kubernetes.address, &[]);
            watcher.counts("queries", kind).await;
            assert_eq!(watcher.status().await.observed.unknown.as_deref(), Some(kind));
            assert_eq!(kubernetes.objects.weights(), in_force, "no answer is not zero");
        }
        let kubernetes = KubernetesServer::start();
        let watcher = RunningWatcher::start(nobody, kubernetes.address, &[]);
        watcher.counts("queries", "unreachable").await;
        let listener = chassis::server::listen_locally("test", nobody.port()).unwrap();
        let prometheus = ScriptedPrometheus::start_on(listener);
        prometheus.set_rate(200.0);
        kubernetes.reaches(BURST).await;
    }
}

#[tokio::test]
async fn falls_back_to_the_configured_side_after_a_long_outage() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_answer(500, String::new());
    let arguments = ["--fallback=burst", "--fallback-after=1s"];
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    watcher.counts("queries", "http").await;
    assert_eq!(kubernetes.objects.weights(), HOME);
    kubernetes.reaches(BURST).await;
    eventually("it says so", async || {
        watcher.status().await.decisions.iter().any(|record| record.reason == "Fallback")
    })
    .await;
}

#[tokio::test]
async fn says_what_is_wrong_with_its_query() {
    let kubernetes = KubernetesServer::start();
    let check = async |arguments: &[&str], samples: Option<String>, expected: &str| {
        let prometheus = ScriptedPrometheus::start();
        prometheus.set_rate(50.0);
        if let Some(samples) = samples {
            prometheus.set_samples(samples);
        }
        let arguments = [&PATIENT, arguments].concat();
        let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
        let what = format!("it says {expected}");
        eventually(&what, async || watcher.status().await.query_check.contains(expected)).await;
    };
    let every = |gap: f64| {
        let values: Vec<_> =
            (0..10).map(|n| json!([since_epoch() + f64::from(n) * gap, "1"])).collect();
        let result = json!([{"metric": {}, "values": values}]);
        Some(
            json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
                .to_string(),
        )
    };
    check(&[], every(5.0), "SERIES is fine: 1 series with a sample every 5s").await;
    let query = "--query=sum(rate(a_total[30s]))";
    check(&[query], every(5.0), "QUERY is fine: its 30s hold 6 samples").await;
    check(&[query], every(15.0), "holds only two samples").await;
    let none = || Some(vector("").replace("vector", "matrix"));
    check(&["--query=sum(rate(a_total[15s]))"], every(15.0), "use a range of 60s or more").await;
    check(&["--series=a_total{b=\"c\"}"], none(), "Prometheus has no series of a_total").await;
    check(&["--query=sum(rate(a_total{b=\"c\"}[30s]))"], Some("<html>".to_owned()), "not JSON")
        .await;
    check(&["--query=sum(a)"], None, "no selector with a range").await;
    let destination = "--query=sum(rate(istio_requests_total{reporter=\"destination\"}[30s]))";
    check(&[destination], None, "select reporter=\"source\"").await;
    check(&["--query=sum(rate(istio_requests_total[30s]))"], None, "requests within primary twice")
        .await;
}

#[tokio::test]
async fn what_a_server_says_of_a_refusal_is_repeated() {
    let (prometheus, kubernetes) = start_both();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    for (status, body, says) in [
        (404, "\n  404 page not found\nmore", "Prometheus answered 404: 404 page not found"),
        (503, "no healthy upstream", "Prometheus answered 503: no healthy upstream"),
        (429, "slow down", "Prometheus answered 429: slow down"),
        (
            403,
            "RBAC: access denied",
            "Prometheus answered 403: RBAC: access denied: PROMETHEUS_HEADERS",
        ),
        (422, r#"{"status":"error","error":"bad query"}"#, "Prometheus answered 422: bad query"),
        (302, "", "Prometheus answered 302: it redirects to http"),
    ] {
        prometheus.set_answer(status, body.to_owned());
        eventually(says, async || watcher.get("/_healthz").await.1.contains(says)).await;
    }
}

#[tokio::test]
async fn an_idle_connection_that_the_server_has_just_closed_is_no_failure() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    // It answers one request of each connection, and closes the connection when the second arrives.
    let (listener, address) = listener();
    let upstream = prometheus.address;
    let _closing = spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut request = [0; 8192];
                let length = client.read(&mut request).await.unwrap();
                let mut server = TcpStream::connect(upstream).await.unwrap();
                server.write_all(&request[..length]).await.unwrap();
                let (mut read, mut write) = client.split();
                tokio::select! {
                    _ = tokio::io::copy(&mut server, &mut write) => {}
                    _ = read.read(&mut request) => {}
                }
            });
        }
    });
    let watcher = RunningWatcher::start(address, kubernetes.address, &[]);
    watcher.counts("queries", "ok").await;
    watcher.counts("queries", "ok").await;
    assert_eq!(watcher.count("queries", "unreachable").await, 0);
}
