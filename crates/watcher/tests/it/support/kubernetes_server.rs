//! A running fake API server.

use std::net::SocketAddr;

use chassis::{Shutdown, server::serve};
use fakes::{
    FakeKubernetes, StoredWeights,
    testing::{BackgroundTask, eventually, spawn},
};
use serde_json::{Value, json};

/// A running fake API server.
pub(crate) struct KubernetesServer {
    pub(crate) address: SocketAddr,
    pub(crate) objects: FakeKubernetes,
    _task: BackgroundTask,
}

impl KubernetesServer {
    pub(crate) fn start_on(port: u16, objects: FakeKubernetes) -> Self {
        let listener = chassis::server::listen_locally("test", port).unwrap();
        let address = listener.local_addr().unwrap();
        let router = objects.clone().router();
        Self { address, objects, _task: spawn(serve(listener, router, Shutdown::new())) }
    }

    pub(crate) fn start() -> Self {
        Self::start_on(0, FakeKubernetes::from_manifest().unwrap())
    }

    /// Starts one whose route is an `HTTPRoute`.
    pub(crate) fn start_with_http_route() -> Self {
        Self::start_on(0, FakeKubernetes::with_http_route().unwrap())
    }

    /// Waits until the weights are these.
    pub(crate) async fn reaches(&self, weights: StoredWeights) {
        let what = format!("the weights are {weights:?}");
        eventually(&what, async || self.objects.weights() == weights).await;
    }

    /// Changes the weights as another field manager does.
    pub(crate) fn apply(&self, weights: StoredWeights, manager: &str) {
        let add = |index: usize, weight: u64| json!({"op": "add", "path": format!("/spec/http/0/route/{index}/weight"), "value": weight});
        let patch = json!([add(0, weights.primary), add(1, weights.burst)]);
        self.objects.change(patch, manager).unwrap();
    }

    pub(crate) fn annotate(&self, annotations: Value) {
        let patch = json!([{"op": "add", "path": "/metadata/annotations", "value": annotations}]);
        self.objects.change(patch, "kubectl-annotate").unwrap();
    }
}
