//! The watcher between a scripted Prometheus and a fake API server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod burst;
mod callers;
mod controller;
mod credentials;
mod documentation;
mod history;
mod http_route;
mod kubernetes;
mod lease;
mod prometheus;
mod replay;
mod samples;
mod support;

use std::time::Duration;

use fakes::testing::eventually;
use serde_json::json;
use tokio::time::sleep;

use support::{BURST, HOME, RunningWatcher, start_both};

/// Settings that leave time for each answer on a busy machine, for tests that count exactly.
const PATIENT: [&str; 2] = ["--interval=300ms", "--stale-after=2s"];

#[tokio::test]
async fn follows_the_rate_between_the_clusters() {
    let (prometheus, kubernetes) = start_both();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &PATIENT);
    for _ in 0..2 {
        prometheus.set_rate(189.0);
        kubernetes.reaches(BURST).await;
        prometheus.set_rate(120.0);
        watcher.counts("queries", "ok").await;
        assert_eq!(kubernetes.objects.weights(), BURST);
        prometheus.set_rate(50.0);
        kubernetes.reaches(HOME).await;
    }
    assert_eq!(watcher.count("writes", "ok").await, 4, "written only when something changes");
    assert_eq!(watcher.get("/_healthz").await, (200, "ok".to_owned()));
    assert_eq!(watcher.get("/").await, (200, "ok".to_owned()));
    for line in
        ["watcher_reversals_total 3", "watcher_mode{mode=\"home\"} 1", "watcher_capacity_rps 150"]
    {
        eventually(line, async || watcher.get("/metrics").await.1.contains(line)).await;
    }
}

#[tokio::test]
async fn a_restarted_watcher_goes_on_from_the_weights_in_force() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let first = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    drop(first);
    prometheus.set_rate(120.0);
    let second = RunningWatcher::start(prometheus.address, kubernetes.address, &PATIENT);
    second.counts("queries", "ok").await;
    assert_eq!(kubernetes.objects.weights(), BURST);
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
    assert_eq!(second.count("writes", "ok").await, 1);
}

#[tokio::test]
async fn weights_that_somebody_has_applied_are_put_right_within_two_ticks() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &PATIENT);
    kubernetes.reaches(BURST).await;
    let ticks = watcher.count("queries", "ok").await;
    kubernetes.apply(HOME, "kubectl-client-side-apply");
    kubernetes.reaches(BURST).await;
    let ticks = watcher.count("queries", "ok").await - ticks;
    // One that was under way, two to see and write, one that ends the wait.
    assert!(ticks <= 4, "{ticks} ticks");
    let (_, metrics) = watcher.get("/metrics").await;
    let line = "watcher_drift_total{manager=\"kubectl-client-side-apply\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn it_backs_off_in_a_conflict() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &PATIENT);
    for _ in 0..3 {
        kubernetes.reaches(BURST).await;
        kubernetes.apply(HOME, "argocd-controller");
    }
    eventually("it says so", async || watcher.status().await.reason == "ConflictBackoff").await;
    let status = watcher.status().await;
    assert!(
        status.text.contains("argocd-controller keeps changing the weights"),
        "{}",
        status.text
    );
    assert_eq!(kubernetes.objects.weights(), HOME);
    assert_eq!(watcher.count("writes", "ok").await, 3);
}

#[tokio::test]
async fn two_watchers_do_not_fight() {
    let (prometheus, kubernetes) = start_both();
    let watchers = [(); 2].map(|()| {
        RunningWatcher::start(prometheus.address, kubernetes.address, &["--stale-after=1s"])
    });
    for (rate, weights) in [(200.0, BURST), (50.0, HOME)] {
        prometheus.set_rate(rate);
        kubernetes.reaches(weights).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(kubernetes.objects.weights(), weights);
    }
    let mut writes = 0;
    for watcher in &watchers {
        writes += watcher.count("writes", "ok").await;
    }
    assert!((2..=4).contains(&writes), "{writes} writes");
}

#[tokio::test]
async fn a_dry_run_decides_and_writes_nothing() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &["--dry-run"]);
    eventually("it decides", async || watcher.status().await.reason == "RateHigh").await;
    watcher.counts("queries", "ok").await;
    let status = watcher.status().await;
    assert!(status.dry_run && status.decisions.iter().all(|record| record.outcome != "written"));
    assert!(status.decisions.iter().any(|record| record.outcome == "dry run"));
    assert_eq!(kubernetes.objects.weights(), HOME);
    assert_eq!(watcher.get("/_healthz").await.0, 200);
    assert_eq!(kubernetes.objects.events().len(), 0);
}

#[tokio::test]
async fn annotations_override_decisions() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    kubernetes.annotate(json!({"istiowatcher/pause": "true"}));
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    eventually("it is paused", async || watcher.status().await.reason == "Paused").await;
    assert_eq!(kubernetes.objects.weights(), HOME);
    kubernetes.annotate(json!({}));
    kubernetes.reaches(BURST).await;
    kubernetes.annotate(json!({"istiowatcher/force": "primary"}));
    kubernetes.reaches(HOME).await;
    kubernetes.annotate(json!({"istiowatcher/force": "both"}));
    eventually("it holds what it cannot read", async || {
        let (ready, reason) = watcher.get("/_healthz").await;
        ready == 503 && reason.contains("istiowatcher/force: \"both\"")
    })
    .await;
    assert_eq!(kubernetes.objects.weights(), HOME);
    kubernetes.annotate(json!({"istiowatcher/hold-home": "true"}));
    kubernetes.reaches(BURST).await;
    prometheus.set_rate(50.0);
    eventually("it is held", async || watcher.status().await.reason == "HomeHeld").await;
    kubernetes.annotate(json!({}));
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn traffic_leaves_a_burst_that_fails() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    prometheus.set_clusters(&[("burst", "200", 200.0)]);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &[]);
    kubernetes.reaches(BURST).await;
    prometheus.set_clusters(&[
        ("burst", "200", 120.0),
        ("burst", "503", 60.0),
        ("unknown", "0", 20.0),
    ]);
    kubernetes.reaches(HOME).await;
    let status = watcher.status().await;
    let record =
        status.decisions.iter().find(|record| record.reason == "ClusterUnhealthy").unwrap();
    assert!(
        record.text.starts_with("all traffic home: ")
            && record.text.contains("requests to burst failed"),
        "{}",
        record.text
    );
    eventually("it is tried", async || watcher.status().await.reason == "ClusterOnTrial").await;
    assert_eq!(kubernetes.objects.weights().burst, 10);
}

#[tokio::test]
async fn spills_only_what_primary_cannot_carry() {
    let (prometheus, kubernetes) = start_both();
    let arguments = ["--policy=spill", "--spill-stabilization-window=1s", "--spill-step-every=1s"];
    let _watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    prometheus.set_rate(200.0);
    eventually("some goes to burst", async || {
        (28..45).contains(&kubernetes.objects.weights().burst)
    })
    .await;
    prometheus.set_rate(50.0);
    eventually("it is home", async || kubernetes.objects.weights().burst == 1).await;
}

#[tokio::test]
async fn status_log_event_and_metric_show_the_same_reason() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &PATIENT);
    kubernetes.reaches(BURST).await;
    eventually("there is an Event", async || kubernetes.objects.events().len() == 1).await;
    let event = kubernetes.objects.events().remove(0);
    let status = watcher.status().await;
    let record = status.decisions.iter().find(|record| record.outcome == "written").unwrap();
    assert_eq!(event["reason"], record.reason);
    assert!(event["note"].as_str().unwrap().starts_with(&record.text), "{event}");
    assert_eq!(event["regarding"]["name"], "worker-virtual-service");
    let (_, metrics) = watcher.get("/metrics").await;
    assert!(metrics.contains("watcher_decisions_total{reason=\"RateHigh\"}"), "{metrics}");
    // Again within six minutes: one Event with a count.
    kubernetes.apply(HOME, "somebody");
    eventually("it is counted", async || kubernetes.objects.events()[0]["series"]["count"] == 2)
        .await;
    assert_eq!(kubernetes.objects.events().len(), 1);
}
