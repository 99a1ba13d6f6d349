//! The watcher and a route of Gateway API.

use serde_json::json;

use crate::support::{BURST, HOME, KubernetesServer, RunningWatcher, ScriptedPrometheus};

#[tokio::test]
async fn an_http_route_is_moved_between_its_services() {
    let prometheus = ScriptedPrometheus::start();
    let kubernetes = KubernetesServer::start_with_http_route();
    prometheus.follow(&kubernetes.objects);
    prometheus.set_rate(200.0);
    let arguments = [
        "--route-kind=HTTPRoute",
        "--primary-destination=worker-primary",
        "--burst-destination=worker-burst",
    ];
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    kubernetes.reaches(BURST).await;
    prometheus.set_rate(50.0);
    kubernetes.reaches(HOME).await;
    assert_eq!(watcher.count("writes", "ok").await, 2);
    let wrong = json!([{"op": "remove", "path": "/spec/rules/0/backendRefs/1/weight"},
        {"op": "add", "path": "/spec/rules/0/backendRefs/0/weight", "value": 99}]);
    kubernetes.objects.change(wrong, "gitops").unwrap();
    // Gateway API takes a weight that is not given for 1.
    kubernetes.reaches(HOME).await;
    assert!(watcher.get("/metrics").await.1.contains("watcher_drift_total{manager=\"gitops\"} 1"));
}
