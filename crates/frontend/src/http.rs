//! The frontend's HTTP side.

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    middleware,
    response::IntoResponse as _,
    routing::get,
};
use chassis::probes::{self, Readiness};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

use crate::{
    access::{self, Gate},
    headers,
    page::{self, Shown},
    snapshot::Snapshots,
    socket::SocketIoLayer,
};

/// Everything that the frontend answers.
///
/// # Errors
/// When the page cannot be rendered.
pub(crate) fn router(
    shown: Shown,
    snapshots: Snapshots,
    sockets: SocketIoLayer,
    gate: Gate,
    readiness: Readiness,
    registry: Arc<Registry>,
) -> anyhow::Result<Router> {
    let page = page::render(shown)?;
    let page = move || async move {
        // Its links change with each version.
        let mut response = page.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    };
    let stats = {
        let snapshots = snapshots.clone();
        async move || Json(snapshots.take())
    };
    let history =
        async move || ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], snapshots.history());
    let router = Router::new()
        .route("/api/stats", get(stats))
        .route("/api/history.csv", get(history))
        .route("/", get(page))
        .route("/assets/{version}/{name}", get(page::asset))
        .merge(probes::router(readiness, registry))
        // Not what goes over socket.io: small, often, and for each browser anew.
        .layer(CompressionLayer::new())
        .layer(sockets)
        .layer(gate.cors())
        .layer(middleware::from_fn_with_state(gate, access::gate));
    headers::protected(router)
}
