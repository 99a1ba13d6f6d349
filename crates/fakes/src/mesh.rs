//! Stands for the sidecars: a proxy that sends each request to the worker of one cluster, by the
//! weights of the `VirtualService`, and counts it.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use contract::Cluster;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use crate::{
    kubernetes::{FakeKubernetes, StoredWeights},
    request_counts::{RequestCounts, Series},
};

/// The timeout of the route in `istio/`.
pub const ROUTE_TIMEOUT: Duration = Duration::from_secs(2);

/// The connection timeout of the `DestinationRule` in `istio/`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an idle connection is kept. A worker keeps it longer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The path of a sidecar's metrics.
const SCRAPE_PATH: &str = "/stats/prometheus";

/// The ports of the workers on this machine.
#[derive(Clone, Copy, Debug)]
pub struct WorkerPorts {
    /// The port of primary's worker.
    pub primary: u16,
    /// The port of burst's worker.
    pub burst: u16,
}

impl WorkerPorts {
    fn port(self, cluster: Cluster) -> u16 {
        match cluster {
            Cluster::Primary => self.primary,
            Cluster::Burst => self.burst,
        }
    }
}

/// The proxy.
#[derive(Clone)]
pub struct FakeMesh {
    kubernetes: FakeKubernetes,
    workers: WorkerPorts,
    requests: RequestCounts,
    client: Client<HttpConnector, Body>,
}

impl FakeMesh {
    /// A proxy that takes the weights from `kubernetes` and counts into `requests`.
    #[must_use]
    pub fn new(kubernetes: FakeKubernetes, workers: WorkerPorts, requests: RequestCounts) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self { kubernetes, workers, requests, client }
    }

    /// Serves the metrics at [`SCRAPE_PATH`], and forwards every other request.
    pub fn router(self) -> Router {
        let requests = self.requests.clone();
        Router::new()
            .route(SCRAPE_PATH, get(async move || requests.render()))
            .fallback(forward)
            .with_state(self)
    }

    async fn send(&self, cluster: Cluster, mut request: Request) -> Option<Response> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let port = self.workers.port(cluster);
        *request.uri_mut() = Uri::try_from(format!("http://127.0.0.1:{port}{path}")).ok()?;
        self.client.request(request).await.ok().map(IntoResponse::into_response)
    }
}

async fn forward(State(mesh): State<FakeMesh>, request: Request) -> Response {
    let cluster = choose(mesh.kubernetes.weights());
    let mut counted =
        Counted { requests: &mesh.requests, series: Series { cluster, response_code: 0 } };
    let response = match timeout(ROUTE_TIMEOUT, mesh.send(cluster, request)).await {
        Ok(Some(response)) => response,
        Ok(None) => (StatusCode::SERVICE_UNAVAILABLE, "no healthy upstream").into_response(),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream request timeout").into_response(),
    };
    counted.series.response_code = response.status().as_u16();
    response
}

/// Counts a request when it ends. As with Envoy, the code is 0 when the client gave up.
struct Counted<'a> {
    requests: &'a RequestCounts,
    series: Series,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.requests.count(self.series);
    }
}

/// Chooses a cluster at random by weight, as Envoy does for each request.
fn choose(weights: StoredWeights) -> Cluster {
    let StoredWeights { primary, burst } = weights;
    let total = primary.saturating_add(burst).max(1);
    if fastrand::u64(..total) < primary { Cluster::Primary } else { Cluster::Burst }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_by_weight() {
        for (primary, burst) in [(100, 0), (0, 100), (50, 50), (1, 3)] {
            let chosen = (0..10_000)
                .filter(|_| choose(StoredWeights { primary, burst }) == Cluster::Primary);
            let share = chosen.count() as f64 / 10_000.0;
            let expected = primary as f64 / (primary + burst) as f64;
            assert!((share - expected).abs() < 0.03, "{share} instead of {expected}");
            assert!(
                expected.fract() != 0.0 || (share - expected).abs() < f64::EPSILON,
                "all means all"
            );
        }
    }
}
