//! What the watcher makes of what Prometheus says.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use local::kubernetes::Weights;
use serde_json::json;
use tokio::time::sleep;

use super::parts::{BURST, HOME, Kubernetes, Prometheus, Watcher, one, since_epoch, vector};
use crate::support::{Silent, eventually, free_port};

/// A way to fail, and what it is called.
type Fault = (&'static str, fn(&Prometheus));

const FAULTS: [Fault; 15] = [
    ("timeout", |it| it.delay(Duration::from_secs(60))),
    ("http", |it| it.say(500, String::new())),
    ("http", |it| it.say(503, r#"{"status":"error","error":"overloaded"}"#.to_owned())),
    ("http", |it| it.say(302, String::new())),
    ("not_json", |it| it.say(200, "<html>".to_owned())),
    ("status_error", |it| it.say(200, r#"{"status":"error","error":"no"}"#.to_owned())),
    ("empty", |it| it.say(200, vector(""))),
    ("nan", |it| it.say_rate("NaN")),
    ("infinite", |it| it.say_rate("+Inf")),
    ("negative", |it| it.say_rate("-1")),
    ("many_series", |it| it.say(200, vector(&format!("{0},{0}", one("0"))))),
    ("stale", |it| it.say_age(Some(1.0))),
    ("stale", |it| it.say_age(None)),
    ("partial", |it| {
        let warned =
            vector(&one("0")).replace("{\"status", "{\"warnings\":[\"a store is away\"],\"status");
        it.say(200, warned);
    }),
    ("too_large", |it| it.say(200, " ".repeat(2 * 1024 * 1024))),
];

/// At a steady rate: some failure of Prometheus for twenty ticks, then all is well again.
async fn check(fault: Fault, rate: &str, in_force: Weights) {
    let (kind, fail) = fault;
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    kubernetes.apply(in_force, "test");
    prometheus.say_rate(rate);
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.sees("query", "ok").await;
    fail(&prometheus);
    watcher.sees("query", kind).await;
    // On a busy machine an answer may come too late for once: that is another kind.
    let what = format!("{kind} is named everywhere");
    eventually(&what, async || {
        let (ready, lacks) = watcher.get("/_healthz").await;
        let status = watcher.status().await;
        let is_held =
            status.holding && status.reason == "RateUnknown" && status.text.contains(kind);
        let is_seen = status.seen.unknown.as_deref() == Some(kind);
        ready == 503 && lacks.starts_with("request rate: ") && is_held && is_seen
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    prometheus.say_rate(rate);
    eventually("it is ready again", async || watcher.get("/_healthz").await.0 == 200).await;
    watcher.sees("query", "ok").await;
    assert_eq!(kubernetes.virtual_service.weights(), in_force, "{kind}");
    assert_eq!(watcher.count("writes", "ok").await, 0, "{kind} at {rate}/s");
}

/// Five at a time: each asks forty times a second, and is to be answered in time on a slow machine, too.
async fn check_all(rate: &str, in_force: Weights) {
    for faults in FAULTS.chunks(5) {
        join_all(faults.iter().map(|&fault| check(fault, rate, in_force))).await;
    }
}

#[tokio::test]
async fn holds_in_burst_whenever_the_rate_is_not_known() {
    check_all("20", BURST).await;
}

#[tokio::test]
async fn holds_at_home_whenever_the_rate_is_not_known() {
    check_all("5", HOME).await;
}

#[tokio::test]
async fn holds_when_prometheus_is_away_or_silent_and_goes_on_when_it_is_back() {
    for in_force in [HOME, BURST] {
        let silent = Silent::start();
        let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
        for (address, kind) in [(nobody, "unreachable"), (silent.address, "timeout")] {
            let kubernetes = Kubernetes::start();
            kubernetes.apply(in_force, "test");
            let watcher = Watcher::start(address, kubernetes.address, &[]);
            watcher.sees("query", kind).await;
            assert_eq!(watcher.status().await.seen.unknown.as_deref(), Some(kind));
            assert_eq!(kubernetes.virtual_service.weights(), in_force, "no answer is not zero");
        }
        let kubernetes = Kubernetes::start();
        let watcher = Watcher::start(nobody, kubernetes.address, &[]);
        watcher.sees("query", "unreachable").await;
        let listener = chassis::server::listen_locally("test", nobody.port()).unwrap();
        let prometheus = Prometheus::start_on(listener);
        prometheus.say_rate("20");
        kubernetes.reaches(BURST).await;
    }
}

#[tokio::test]
async fn is_ready_before_the_first_request_has_been_counted() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    watcher.sees("query", "empty").await;
    assert_eq!(watcher.get("/_healthz").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn nothing_is_zero_where_what_is_asked_for_is_known_to_be_scraped() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    kubernetes.apply(BURST, "test");
    // The query matches nothing; this Prometheus answers `up…` as it answers the query.
    prometheus.say(200, vector(&one("1")));
    let arguments =
        ["--query=rate(b_total[300ms])", "--up-query=up{app=\"frontend\"}", "--burst-above=20"];
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &arguments);
    prometheus.say_samples(vector(""));
    prometheus.say_age(None);
    kubernetes.reaches(HOME).await;
    assert_eq!(watcher.status().await.seen.rate, Some(0.0));
}

#[tokio::test]
async fn falls_back_to_the_configured_side_after_a_long_outage() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say(500, String::new());
    let arguments = ["--fallback=burst", "--fallback-after=1s"];
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &arguments);
    watcher.sees("query", "http").await;
    assert_eq!(kubernetes.virtual_service.weights(), HOME);
    kubernetes.reaches(BURST).await;
    eventually("it says so", async || {
        watcher.status().await.decisions.iter().any(|it| it.reason == "Fallback")
    })
    .await;
}

#[tokio::test]
async fn says_what_is_wrong_with_its_query() {
    let kubernetes = Kubernetes::start();
    let check = async |arguments: &[&str], samples: Option<String>, expected: &str| {
        let prometheus = Prometheus::start();
        prometheus.say_rate("5");
        if let Some(samples) = samples {
            prometheus.say_samples(samples);
        }
        let watcher = Watcher::start(prometheus.address, kubernetes.address, arguments);
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
    check(&[], every(5.0), "QUERY is fine: its 30s hold 6 samples").await;
    check(&[], every(15.0), "holds only two samples").await;
    check(&["--query=sum(rate(a_total[15s]))"], every(15.0), "use a range of 60s or more").await;
    check(&["--query=sum(rate(a_total[30s]))"], None, "there is no series of a_total").await;
    check(&["--query=sum(rate(a_total{b=\"c\"}[30s]))"], Some("<html>".to_owned()), "not JSON")
        .await;
    check(&["--query=sum(a)"], None, "no selector with a range").await;
    let destination = "--query=sum(rate(istio_requests_total{reporter=\"destination\"}[30s]))";
    check(&[destination], None, "ask for reporter=\"source\"").await;
    check(&["--query=sum(rate(istio_requests_total[30s]))"], None, "counted twice").await;
}
