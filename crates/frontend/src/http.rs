//! The HTTP server: the page, its data, and the probes.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{HeaderValue, header},
    middleware,
    response::IntoResponse as _,
    routing::get,
};
use chassis::probes::{self, Readiness};
use prometheus_client::registry::Registry;
use tower_http::compression::CompressionLayer;

use crate::{
    base_path::BasePath,
    handshake::{self, Sessions},
    headers,
    history::History,
    origins::{self, AllowedOrigins},
    page::{self, PageSettings},
    snapshot::Snapshots,
    socket::SocketIoLayer,
};

/// What the server needs.
pub(crate) struct Parts {
    pub(crate) base_path: BasePath,
    pub(crate) settings: PageSettings,
    pub(crate) snapshots: Snapshots,
    pub(crate) history: History,
    pub(crate) sockets: SocketIoLayer,
    pub(crate) origins: AllowedOrigins,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
}

/// Returns the router of the whole server.
///
/// # Errors
/// When the page cannot be rendered.
pub(crate) fn router(parts: Parts) -> anyhow::Result<Router> {
    let Parts { base_path, settings, snapshots, history, sockets, origins, readiness, registry } =
        parts;
    let page = page::render(settings)?;
    let page = move || async move {
        // The links of the page change with each version.
        let mut response = page.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    };
    let stats = async move || Json(snapshots.take());
    let history =
        async move || ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], history.csv());
    let router = Router::new()
        .route("/api/stats", get(stats))
        .route("/api/history.csv", get(history))
        .route("/", get(page))
        .route("/assets/{version}/{name}", get(page::asset))
        .merge(probes::router(readiness, Arc::new(registry)))
        // Not for socket.io: its messages are small and frequent, and each browser would cost anew.
        .layer(CompressionLayer::new())
        .layer(sockets)
        .layer(middleware::from_fn_with_state(Sessions::default(), handshake::check))
        .layer(origins.cors())
        .layer(middleware::from_fn_with_state(origins, origins::check));
    Ok(base_path.serve(headers::protect(router)?))
}
