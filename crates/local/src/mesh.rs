//! In the place of the sidecars: a proxy that sends each request to a worker of one cluster or the
//! other, by the weights of the `VirtualService`, and counts where it went.

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
    kubernetes::{VirtualService, Weights},
    telemetry::{Requests, Series},
};

/// The timeout of the route in `istio/`.
pub const ROUTE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection to a worker may take, by `istio/`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a connection is kept for the next request; a worker keeps it longer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a sidecar shows its metrics.
const SCRAPE_PATH: &str = "/stats/prometheus";

/// The ports of the workers on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// Of the worker of primary.
    pub primary: u16,
    /// Of the worker of burst.
    pub burst: u16,
}

impl Workers {
    fn port(self, cluster: Cluster) -> u16 {
        match cluster {
            Cluster::Primary => self.primary,
            Cluster::Burst => self.burst,
        }
    }
}

#[derive(Clone)]
struct Mesh {
    virtual_service: VirtualService,
    workers: Workers,
    requests: Requests,
    client: Client<HttpConnector, Body>,
}

/// The proxy: what it is asked goes to a worker, except for its own metrics.
pub fn router(virtual_service: VirtualService, workers: Workers, requests: Requests) -> Router {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(connector);
    let scraped = requests.clone();
    Router::new()
        .route(SCRAPE_PATH, get(async move || scraped.scrape()))
        .fallback(forward)
        .with_state(Mesh { virtual_service, workers, requests, client })
}

async fn forward(State(mesh): State<Mesh>, request: Request) -> Response {
    let cluster = choose(mesh.virtual_service.weights());
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

/// Counts a request when it has ended, whoever has ended it: one that its client gave up has the code 0,
/// as with Envoy.
struct Counted<'a> {
    requests: &'a Requests,
    series: Series,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.requests.count(self.series);
    }
}

impl Mesh {
    async fn send(&self, cluster: Cluster, mut request: Request) -> Option<Response> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let port = self.workers.port(cluster);
        *request.uri_mut() = Uri::try_from(format!("http://127.0.0.1:{port}{path}")).ok()?;
        self.client.request(request).await.ok().map(IntoResponse::into_response)
    }
}

/// Draws a cluster, as Envoy does: at random for each request, by weight.
fn choose(weights: Weights) -> Cluster {
    let Weights { primary, burst } = weights;
    let total = primary.saturating_add(burst).max(1);
    if fastrand::u64(..total) < primary { Cluster::Primary } else { Cluster::Burst }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divides_by_weight() {
        for (primary, burst) in [(100, 0), (0, 100), (50, 50), (1, 3)] {
            let chosen =
                (0..10_000).filter(|_| choose(Weights { primary, burst }) == Cluster::Primary);
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
