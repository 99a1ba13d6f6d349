//! Several watchers of one route, which elect one by a Lease.

use std::{net::SocketAddr, time::Duration};

use fakes::testing::eventually;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    controller::{Controller, spec},
    support::{BURST, HOME, KubernetesServer, RunningWatcher, ScriptedPrometheus, start_both},
};

/// A watcher in an election.
fn start(prometheus: &ScriptedPrometheus, kubernetes: SocketAddr) -> RunningWatcher {
    start_with(prometheus, kubernetes, &["--lease=istiowatcher"])
}

fn start_with(
    prometheus: &ScriptedPrometheus,
    kubernetes: SocketAddr,
    arguments: &[&str],
) -> RunningWatcher {
    let arguments = [arguments, &["--interval=300ms", "--stale-after=2s"]].concat();
    RunningWatcher::start(prometheus.address, kubernetes, &arguments)
}

async fn leads(watcher: &RunningWatcher) -> bool {
    watcher.get("/metrics").await.1.contains("watcher_leader 1")
}

/// Two watchers, the first of which leads.
async fn start_two() -> (ScriptedPrometheus, KubernetesServer, RunningWatcher, RunningWatcher) {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    let first = start(&prometheus, kubernetes.address);
    eventually("the first leads", async || leads(&first).await).await;
    let second = start(&prometheus, kubernetes.address);
    eventually("the second stands by", async || second.status().await.reason == "Standby").await;
    (prometheus, kubernetes, first, second)
}

#[tokio::test]
async fn one_of_two_decides_and_the_other_is_ready() {
    let (prometheus, kubernetes, first, second) = start_two().await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!((first.count("writes", "ok").await, second.count("writes", "ok").await), (1, 0));
    assert!(leads(&first).await && !leads(&second).await);
    assert_eq!(second.get("/_healthz").await.0, 200);
    let status = second.status().await;
    assert!(status.text.starts_with("another watcher decides: "), "{}", status.text);
    assert!(status.observed.rate.is_some() && status.desired.is_none());
}

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced() {
    let (prometheus, kubernetes, first, second) = start_two().await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    let before = kubernetes.objects.annotation("istiowatcher/leader");
    drop(first);
    prometheus.set_rate(50.0);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(kubernetes.objects.weights(), BURST, "the Lease is still the other one's");
    eventually("the second leads", async || leads(&second).await).await;
    kubernetes.reaches(HOME).await;
    assert_ne!(kubernetes.objects.annotation("istiowatcher/leader"), before, "it claims the route");
    let drift = second.get("/metrics").await.1;
    assert!(!drift.contains("watcher_drift_total{"), "the first one's writes are nobody else's");
}

#[tokio::test]
async fn a_leader_that_ends_gives_the_lease_away() {
    let (_prometheus, _kubernetes, first, second) = start_two().await;
    let start = tokio::time::Instant::now();
    first.shutdown.stop();
    eventually("the second leads", async || leads(&second).await).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn without_an_answer_about_the_lease_nobody_decides() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let watcher = start(&prometheus, kubernetes.address);
    kubernetes.reaches(BURST).await;
    kubernetes.objects.refuse_leases(true);
    eventually("it leads no more", async || !leads(&watcher).await).await;
    eventually("it says why", async || {
        let (status, reason) = watcher.get("/_healthz").await;
        status == 503
            && reason.contains("electing the watcher that decides: ")
            && reason.contains("Role must allow get, create and update")
    })
    .await;
    prometheus.set_rate(50.0);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(kubernetes.objects.weights(), BURST);
    kubernetes.objects.refuse_leases(false);
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn a_policy_that_writes_nothing_takes_the_route_from_nobody() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    let watcher = start_with(&prometheus, kubernetes.address, &["--lease=another"]);
    eventually("it leads", async || leads(&watcher).await).await;
    let named = kubernetes.objects.annotation("istiowatcher/leader");
    let controller = Controller::start(prometheus.address, kubernetes.address);
    let (mut dry, paused) = (spec(), spec());
    dry["dryRun"] = json!(true);
    kubernetes.objects.apply_policy("dry", dry);
    kubernetes.objects.apply_policy("paused", paused);
    kubernetes.objects.annotate_policy("paused", json!({ "istiowatcher/pause": "true" }));
    let decides = async |policy: &str, reason: &str| {
        let path = format!("/policies/default/{policy}/status");
        eventually(policy, async || controller.get(&path).await.1.contains(reason)).await;
    };
    decides("dry", "\"NoChange\"").await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    kubernetes.objects.delete_policy("dry");
    decides("paused", "\"Paused\"").await;
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
    assert_eq!(kubernetes.objects.annotation("istiowatcher/leader"), named);
    assert_eq!(watcher.count("writes", "ok").await, 2);
}

#[tokio::test]
async fn of_two_leases_one_decides_and_the_other_says_so() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    let first = start_with(&prometheus, kubernetes.address, &["--lease=one"]);
    eventually("the first leads", async || leads(&first).await).await;
    let second = start_with(&prometheus, kubernetes.address, &["--lease=two"]);
    eventually("the second leads", async || leads(&second).await).await;
    eventually("the first says why it waits", async || {
        first.status().await.text.contains("decides for this route by another Lease")
    })
    .await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
    assert_eq!((first.count("writes", "ok").await, second.count("writes", "ok").await), (0, 2));
}

#[tokio::test]
async fn a_leader_whose_route_is_replaced_keeps_its_ejections() {
    let (prometheus, kubernetes) = start_both();
    kubernetes.apply(BURST, "test");
    prometheus.set_clusters(&[("burst", "503", 200.0)]);
    let arguments = ["--lease=istiowatcher", "--ejection-time=60s"];
    let watcher = start_with(&prometheus, kubernetes.address, &arguments);
    kubernetes.reaches(HOME).await;
    prometheus.set_clusters(&[("primary", "200", 200.0)]);
    let is_ejected = async || watcher.status().await.reason == "ClusterEjected";
    eventually("burst is needed, and ejected", is_ejected).await;
    kubernetes.annotate(json!({}));
    eventually("it names itself again", async || {
        kubernetes.objects.annotation("istiowatcher/leader").is_some()
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert!(is_ejected().await, "{:?}", watcher.status().await.text);
    let metrics = watcher.get("/metrics").await.1;
    let once = "watcher_decisions_total{reason=\"ClusterUnhealthy\"} 1\n";
    assert!(metrics.contains(once), "it is judged only once: {metrics}");
    assert_eq!(kubernetes.objects.weights(), HOME);
}
