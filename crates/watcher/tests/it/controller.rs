//! The controller follows `BurstPolicies`.

use std::net::SocketAddr;

use chassis::{Shutdown, settings::from_arguments};
use fakes::{
    StoredWeights,
    testing::{BackgroundTask, eventually, http, listener, spawn},
};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::{BURST, HOME, KubernetesServer, ScriptedPrometheus, kubeconfig, start_both};

/// A controller that runs in the background of a test.
pub(crate) struct Controller {
    address: SocketAddr,
    shutdown: Shutdown,
    _kubeconfig: NamedTempFile,
    _task: BackgroundTask,
}

impl Controller {
    pub(crate) fn start(prometheus: SocketAddr, kubernetes: SocketAddr) -> Self {
        let kubeconfig = kubeconfig(&format!("http://{kubernetes}"), "{token: secret}");
        let prometheus = format!("--prometheus-url=http://{prometheus}");
        let path = format!("--kubeconfig={}", kubeconfig.path().display());
        let config = from_arguments(&[&prometheus, &path]).unwrap();
        let (listener, address) = listener();
        let shutdown = Shutdown::new();
        let task = spawn(watcher::control(config, listener, shutdown.clone()));
        Self { address, shutdown, _kubeconfig: kubeconfig, _task: task }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = http().get(format!("http://{}{path}", self.address)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// A policy that is ten times as quick as usual, at ten times the rates.
pub(crate) fn spec() -> Value {
    json!({
        "route": { "name": "worker-virtual-service" },
        "signal": { "series": "requests_total", "staleAfter": "400ms" },
        "interval": "100ms",
        "threshold": { "burstAbove": 150, "homeBelow": 100, "homeHold": "300ms" },
    })
}

fn start() -> (ScriptedPrometheus, KubernetesServer, Controller) {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(50.0);
    let controller = Controller::start(prometheus.address, kubernetes.address);
    (prometheus, kubernetes, controller)
}

/// A condition of a policy: its status, its reason and its message.
fn condition(kubernetes: &KubernetesServer, policy: &str, type_: &str) -> Option<[String; 3]> {
    let status = kubernetes.objects.policy_status(policy)?;
    let conditions = status["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == type_)?;
    Some(["status", "reason", "message"].map(|field| condition[field].as_str().unwrap().to_owned()))
}

async fn is_ready(kubernetes: &KubernetesServer, policy: &str) {
    eventually("the policy is ready", async || {
        condition(kubernetes, policy, "Ready").is_some_and(|[status, ..]| status == "True")
    })
    .await;
}

async fn is_refused(kubernetes: &KubernetesServer, policy: &str, reason: &str, part: &str) {
    let what = format!("{policy} is refused: {reason}");
    eventually(&what, async || {
        condition(kubernetes, policy, "Ready").is_some_and(|[status, is, why]| {
            status == "False" && is == reason && why.contains(part)
        })
    })
    .await;
}

#[tokio::test]
async fn a_policy_moves_its_route_and_says_so() {
    let (prometheus, kubernetes, controller) = start();
    kubernetes.objects.apply_policy("worker", spec());
    is_ready(&kubernetes, "worker").await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    eventually("the status says burst", async || {
        let status = kubernetes.objects.policy_status("worker");
        status.is_some_and(|status| status["state"] == "Burst" && status["burstPercent"] == 100)
    })
    .await;
    let status = kubernetes.objects.policy_status("worker").unwrap();
    assert_eq!(status["decisions"][0]["reason"], "RateHigh", "{status}");
    assert_eq!(status["observedGeneration"], 1);
    let events = kubernetes.objects.events();
    assert_eq!(events.last().unwrap()["regarding"]["kind"], "BurstPolicy", "{events:?}");
    let (code, watcher) = controller.get("/policies/default/worker/status").await;
    assert!(code == 200 && watcher.contains("\"reason\""), "{watcher}");
    assert_eq!(controller.get("/policies/default/other/status").await.0, 404);
    let metrics = controller.get("/metrics").await.1;
    for line in [
        "watcher_writes_total{namespace=\"default\",policy=\"worker\",result=\"ok\"} 1",
        "watcher_policies{state=\"at_work\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn a_bad_policy_says_why_and_harms_no_other() {
    let (prometheus, kubernetes, controller) = start();
    let with = |pointer: &str, value: Value| {
        let mut spec = spec();
        *spec.pointer_mut(pointer).unwrap() = value;
        spec
    };
    kubernetes.objects.apply_policy("worker", spec());
    kubernetes.objects.apply_policy("same-route", spec());
    kubernetes.objects.apply_policy("no-route", with("/route/name", json!("absent")));
    kubernetes.objects.apply_policy("bad-series", with("/signal/series", json!("rate(a[1m])")));
    kubernetes.objects.apply_policy("bad-thresholds", with("/threshold/homeBelow", json!(200)));
    is_refused(&kubernetes, "same-route", "Conflict", "the BurstPolicy worker, which is").await;
    is_refused(&kubernetes, "no-route", "RouteUnusable", "absent").await;
    is_refused(&kubernetes, "bad-series", "Invalid", "a PromQL selector without a range").await;
    is_refused(&kubernetes, "bad-thresholds", "Invalid", "threshold.homeBelow: 200").await;
    is_ready(&kubernetes, "worker").await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    assert_eq!(controller.get("/_healthz").await.0, 200);
    kubernetes.objects.delete_policy("worker");
    is_ready(&kubernetes, "same-route").await;
    assert_eq!(kubernetes.objects.weights(), BURST, "the next policy goes on");
}

#[tokio::test]
async fn a_policy_that_sees_nothing_is_not_ready_and_says_what_its_check_found() {
    let (prometheus, kubernetes, _controller) = start();
    prometheus.end_counters();
    kubernetes.objects.apply_policy("worker", spec());
    is_refused(&kubernetes, "worker", "NotYet", "there is no rate yet (empty): ").await;
    let [status, reason, message] = condition(&kubernetes, "worker", "RateKnown").unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "NotYet"), "{message}");
    assert!(!message.contains("SERIES"), "a policy has signal.series: {message}");
}

#[tokio::test]
async fn clusters_that_nobody_can_tell_apart_are_not_called_healthy() {
    let (_prometheus, kubernetes, _controller) = start();
    let mut other = spec();
    other["signal"]["primaryClusters"] = json!(["east"]);
    other["signal"]["burstClusters"] = json!(["west"]);
    kubernetes.objects.apply_policy("worker", other);
    eventually("it says so", async || {
        condition(&kubernetes, "worker", "ClustersHealthy").is_some_and(|[status, reason, why]| {
            status == "Unknown"
                && reason == "ClustersUnknown"
                && why.contains("signal.primaryClusters")
        })
    })
    .await;
}

#[tokio::test]
async fn the_probe_of_spill_is_no_burst() {
    let (_prometheus, kubernetes, _controller) = start();
    let mut spill = spec();
    spill["policy"] = json!("Spill");
    spill["capacity"] = json!({ "requestsPerSecond": 150 });
    kubernetes.objects.apply_policy("worker", spill);
    kubernetes.reaches(StoredWeights { primary: 99, burst: 1 }).await;
    eventually("it is home", async || {
        let status = kubernetes.objects.policy_status("worker").unwrap_or_default();
        status["state"] == "Home" && status["burstPercent"] == 1
    })
    .await;
}

#[tokio::test]
async fn an_edit_in_mid_burst_moves_nothing_by_itself() {
    let (prometheus, kubernetes, _controller) = start();
    kubernetes.objects.apply_policy("worker", spec());
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    let mut spill = spec();
    spill["policy"] = json!("Spill");
    spill["capacity"] = json!({ "requestsPerSecond": 150 });
    spill["spill"] = json!({ "stabilizationWindow": "1s", "stepEvery": "1s" });
    kubernetes.objects.apply_policy("worker", spill);
    eventually("the new policy is followed", async || {
        let status = kubernetes.objects.policy_status("worker");
        status.is_some_and(|status| status["observedGeneration"] == 2)
    })
    .await;
    eventually("spill brings home what primary can carry", async || {
        let weights = kubernetes.objects.weights();
        (1..60).contains(&weights.burst)
    })
    .await;
}

#[tokio::test]
async fn annotations_of_a_policy_are_overrides() {
    let (prometheus, kubernetes, _controller) = start();
    kubernetes.objects.apply_policy("worker", spec());
    is_ready(&kubernetes, "worker").await;
    kubernetes.objects.annotate_policy("worker", json!({ "istiowatcher/force": "burst" }));
    kubernetes.reaches(BURST).await;
    kubernetes.objects.annotate_policy("worker", json!({ "istiowatcher/pause": "true" }));
    eventually("the status says paused", async || {
        let status = kubernetes.objects.policy_status("worker");
        status.is_some_and(|status| status["reason"] == "Paused")
    })
    .await;
    prometheus.set_rate(50.0);
    kubernetes.objects.annotate_policy("worker", json!({ "istiowatcher/puase": "true" }));
    is_refused(&kubernetes, "worker", "InvalidAnnotation", "istiowatcher/puase").await;
    kubernetes.objects.annotate_policy("worker", json!({ "istiowatcher/pause-until": "later" }));
    is_refused(&kubernetes, "worker", "InvalidAnnotation", "istiowatcher/pause-until").await;
    kubernetes.objects.annotate_policy("worker", json!({}));
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn without_the_custom_resource_nothing_moves_and_with_it_all_goes_on() {
    let (prometheus, kubernetes, controller) = start();
    kubernetes.objects.apply_policy("worker", spec());
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    kubernetes.objects.define_policies(false);
    prometheus.set_rate(50.0);
    eventually("nobody watches", async || {
        controller.get("/metrics").await.1.contains("watcher_policies{state=\"at_work\"} 0")
    })
    .await;
    assert_eq!(kubernetes.objects.weights(), BURST);
    kubernetes.objects.define_policies(true);
    kubernetes.objects.apply_policy("worker", spec());
    kubernetes.reaches(HOME).await;
}

#[tokio::test]
async fn a_status_is_written_on_change_and_seldom() {
    let (_prometheus, kubernetes, controller) = start();
    kubernetes.objects.apply_policy("worker", spec());
    is_ready(&kubernetes, "worker").await;
    let before = kubernetes.objects.status_writes();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(kubernetes.objects.status_writes() <= before + 2, "{before}");
    controller.shutdown.stop();
}

#[tokio::test]
async fn the_status_goes_on_when_another_controller_takes_over() {
    let (prometheus, kubernetes, first) = start();
    kubernetes.objects.apply_policy("worker", spec());
    is_ready(&kubernetes, "worker").await;
    let second = Controller::start(prometheus.address, kubernetes.address);
    let standby = async || second.get("/policies/default/worker/status").await.1;
    eventually("the second stands by", async || standby().await.contains("Standby")).await;
    prometheus.set_rate(200.0);
    kubernetes.reaches(BURST).await;
    let status = || kubernetes.objects.policy_status("worker").unwrap_or_default();
    eventually("the decision is in the status", async || status()["state"] == "Burst").await;
    let before = status();
    first.shutdown.stop();
    eventually("the second decides", async || !standby().await.contains("Standby")).await;
    prometheus.set_rate(160.0);
    eventually("the second writes the status", async || status()["rate"] == "160.0/s").await;
    let after = status();
    assert_eq!(after["since"], before["since"]);
    let decisions = after["decisions"].as_array().unwrap();
    let is_burst = |decision: &Value| decision["from"] == "100/0" && decision["to"] == "0/100";
    assert!(decisions.iter().any(is_burst), "{decisions:?}");
}
