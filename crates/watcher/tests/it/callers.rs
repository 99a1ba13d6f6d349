//! The watcher and callers that it reads itself.

use std::time::Duration;

use chassis::{Shutdown, server::serve};
use fakes::{
    FakeMesh, RequestCounts, WorkerPorts,
    testing::{eventually, free_port, spawn},
};
use tokio::time::Instant;

use crate::support::{BURST, RunningWatcher, start_both};

#[tokio::test]
async fn without_callers_the_watcher_asks_prometheus_and_returns_when_they_answer() {
    let (prometheus, kubernetes) = start_both();
    prometheus.set_rate(200.0);
    let port = free_port();
    let url = format!("--callers-url=http://127.0.0.1:{port}/stats/prometheus");
    let arguments = ["--source=callers", &url];
    let start = Instant::now();
    let watcher = RunningWatcher::start(prometheus.address, kubernetes.address, &arguments);
    eventually("the reason is named", async || {
        let status = watcher.status().await;
        status.observed.unknown.as_deref() == Some("no_caller")
            && status.query_check.contains("1 of 1 callers cannot be read; 127.0.0.1:")
    })
    .await;
    eventually("Prometheus is asked", async || {
        watcher.status().await.observed.source == "prometheus"
    })
    .await;
    assert!(Duration::from_secs(10) <= start.elapsed());
    kubernetes.reaches(BURST).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mesh = FakeMesh::new(
        kubernetes.objects.clone(),
        WorkerPorts { primary: 1, burst: 1 },
        RequestCounts::default(),
    );
    let _mesh = spawn(async move { serve(listener, mesh.router(), Shutdown::new()).await });
    eventually("the callers are read again", async || {
        watcher.status().await.observed.source == "callers"
    })
    .await;
    for line in ["watcher_callers{state=\"answering\"} 1", "watcher_source{source=\"callers\"} 1"] {
        eventually(line, async || watcher.get("/metrics").await.1.contains(line)).await;
    }
}
