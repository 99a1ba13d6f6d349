//! The watcher: what it makes of what Prometheus and the API server say.

mod kubernetes;
mod parts;
mod prometheus;

use std::time::Duration;

use contract::WatcherStatus;
use serde_json::json;
use tokio::time::sleep;

use crate::support::eventually;
use parts::{BURST, HOME, Kubernetes, Prometheus, Watcher};

/// With time enough for each answer on a busy machine, where a test counts exactly.
const PATIENT: [&str; 2] = ["--interval=300ms", "--window=600ms"];

#[tokio::test]
async fn follows_the_rate_between_the_clusters() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &PATIENT);
    for _ in 0..2 {
        prometheus.say_rate("18.9");
        kubernetes.reaches(BURST).await;
        prometheus.say_rate("12");
        watcher.sees("query", "ok").await;
        assert_eq!(kubernetes.virtual_service.weights(), BURST);
        prometheus.say_rate("9.9");
        kubernetes.reaches(HOME).await;
    }
    assert_eq!(watcher.count("writes", "ok").await, 4, "written only when something changes");
    assert_eq!(watcher.get("/_healthz").await, (200, "ok".to_owned()));
    assert_eq!(watcher.get("/").await, (200, "ok".to_owned()));
    for line in
        ["watcher_reversals_total 3", "watcher_mode{mode=\"home\"} 1", "watcher_demand_rps 9.9"]
    {
        eventually(line, async || watcher.get("/metrics").await.1.contains(line)).await;
    }
}

#[tokio::test]
async fn a_restarted_watcher_goes_on_from_the_weights_in_force() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let first = Watcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    drop(first);
    prometheus.say_rate("12");
    let second = Watcher::start(prometheus.address, kubernetes.address, &PATIENT);
    second.sees("query", "ok").await;
    assert_eq!(kubernetes.virtual_service.weights(), BURST);
    prometheus.say_rate("5");
    kubernetes.reaches(HOME).await;
    assert_eq!(second.count("writes", "ok").await, 1);
}

#[tokio::test]
async fn weights_that_somebody_has_applied_are_put_right_within_two_ticks() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &PATIENT);
    kubernetes.reaches(BURST).await;
    let ticks = watcher.count("query", "ok").await;
    kubernetes.apply(HOME, "kubectl-client-side-apply");
    kubernetes.reaches(BURST).await;
    let ticks = watcher.count("query", "ok").await - ticks;
    // One that was under way, two to see and write, one that ends the wait.
    assert!(ticks <= 4, "{ticks} ticks");
    let (_, metrics) = watcher.get("/metrics").await;
    let line = "watcher_drift_total{manager=\"kubectl-client-side-apply\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn in_a_fight_it_backs_off() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &PATIENT);
    for _ in 0..3 {
        kubernetes.reaches(BURST).await;
        kubernetes.apply(HOME, "argocd-controller");
    }
    eventually("it says so", async || watcher.status().await.reason == "Fight").await;
    let status = watcher.status().await;
    assert!(
        status.text.contains("argocd-controller keeps changing the weights"),
        "{}",
        status.text
    );
    assert_eq!(kubernetes.virtual_service.weights(), HOME);
    assert_eq!(watcher.count("writes", "ok").await, 3);
}

#[tokio::test]
async fn two_watchers_do_not_fight() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watchers = [(); 2]
        .map(|()| Watcher::start(prometheus.address, kubernetes.address, &["--window=500ms"]));
    for (rate, weights) in [("20", BURST), ("5", HOME)] {
        prometheus.say_rate(rate);
        kubernetes.reaches(weights).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(kubernetes.virtual_service.weights(), weights);
    }
    let mut writes = 0;
    for watcher in &watchers {
        writes += watcher.count("writes", "ok").await;
    }
    assert!((2..=4).contains(&writes), "{writes} writes");
}

#[tokio::test]
async fn a_dry_run_decides_and_writes_nothing() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &["--dry-run"]);
    eventually("it decides", async || watcher.status().await.reason == "RateHigh").await;
    watcher.sees("query", "ok").await;
    let status = watcher.status().await;
    assert!(status.dry_run && status.decisions.iter().all(|it| it.outcome == "dry run"));
    assert_eq!(kubernetes.virtual_service.weights(), HOME);
    assert_eq!(watcher.get("/_healthz").await.0, 200);
    assert_eq!(kubernetes.virtual_service.events().len(), 0);
}

#[tokio::test]
async fn annotations_are_obeyed() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    kubernetes.annotate(json!({"istiowatcher/pause": "true"}));
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    eventually("it is paused", async || watcher.status().await.reason == "Paused").await;
    assert_eq!(kubernetes.virtual_service.weights(), HOME);
    kubernetes.annotate(json!({}));
    kubernetes.reaches(BURST).await;
    kubernetes.annotate(json!({"istiowatcher/force": "primary"}));
    kubernetes.reaches(HOME).await;
    kubernetes.annotate(json!({"istiowatcher/force": "both"}));
    eventually("it holds what it cannot read", async || {
        let (ready, lacks) = watcher.get("/_healthz").await;
        ready == 503 && lacks.contains("istiowatcher/force: \"both\"")
    })
    .await;
    assert_eq!(kubernetes.virtual_service.weights(), HOME);
    kubernetes.annotate(json!({"istiowatcher/hold-home": "true"}));
    kubernetes.reaches(BURST).await;
    prometheus.say_rate("5");
    eventually("it is held", async || watcher.status().await.reason == "HomeHeld").await;
    kubernetes.annotate(json!({}));
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn a_burst_that_fails_sends_traffic_home() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    prometheus.say_clusters(&[("burst", "200", "20")]);
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    prometheus.say_clusters(&[
        ("burst", "200", "12"),
        ("burst", "503", "6"),
        ("unknown", "0", "2"),
    ]);
    kubernetes.reaches(HOME).await;
    let status = watcher.status().await;
    let record = status.decisions.iter().find(|it| it.reason == "BurstFails").unwrap();
    assert!(record.text.starts_with("all home: 33 % of burst's requests fail"), "{}", record.text);
    assert_eq!(status.seen.by_cluster, Some([0.0, 18.0, 2.0]));
    eventually("it is tried", async || watcher.status().await.reason == "BurstTried").await;
    assert_eq!(kubernetes.virtual_service.weights().burst, 10);
}

#[tokio::test]
async fn spills_only_what_primary_cannot_carry() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let arguments = ["--policy=spill", "--spill-window=1s", "--spill-step-every=1s"];
    let _watcher = Watcher::start(prometheus.address, kubernetes.address, &arguments);
    prometheus.say_rate("20");
    eventually("some goes to burst", async || {
        (26..40).contains(&kubernetes.virtual_service.weights().burst)
    })
    .await;
    prometheus.say_rate("5");
    eventually("it is home", async || kubernetes.virtual_service.weights().burst == 1).await;
}

#[tokio::test]
async fn what_it_does_is_told_alike_everywhere() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    prometheus.say_rate("20");
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &PATIENT);
    kubernetes.reaches(BURST).await;
    eventually("there is an Event", async || kubernetes.virtual_service.events().len() == 1).await;
    let event = kubernetes.virtual_service.events().remove(0);
    let status = watcher.status().await;
    let record = status.decisions.iter().find(|it| it.outcome == "written").unwrap();
    assert_eq!(event["reason"], record.reason);
    assert!(event["note"].as_str().unwrap().starts_with(&record.text), "{event}");
    assert_eq!(event["regarding"]["name"], "worker-virtual-service");
    let (_, metrics) = watcher.get("/metrics").await;
    assert!(metrics.contains("watcher_decisions_total{reason=\"RateHigh\"}"), "{metrics}");
    // Again within six minutes: one Event with a count.
    kubernetes.apply(HOME, "somebody");
    eventually("it is counted", async || {
        kubernetes.virtual_service.events()[0]["series"]["count"] == 2
    })
    .await;
    assert_eq!(kubernetes.virtual_service.events().len(), 1);
}

#[tokio::test]
async fn the_status_keeps_fifty_decisions() {
    let (prometheus, kubernetes) = (Prometheus::start(), Kubernetes::start());
    let watcher = Watcher::start(prometheus.address, kubernetes.address, &["--dry-run"]);
    for round in 0..60 {
        prometheus.say_rate(if round % 2 == 0 { "20" } else { "12" });
        let reason = if round % 2 == 0 { "RateHigh" } else { "RateBetweenThresholds" };
        eventually("it sees it", async || watcher.status().await.reason == reason).await;
    }
    let status = watcher.status().await;
    assert_eq!(status.decisions.len(), WatcherStatus::MAX_DECISIONS);
    assert!(status.decisions.is_sorted_by_key(|it| it.at));
}
