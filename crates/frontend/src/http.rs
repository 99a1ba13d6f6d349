//! The frontend's HTTP side.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::IntoResponse as _,
    routing::get,
};
use chassis::probes::{self, Readiness};
use prometheus_client::registry::Registry;
use socketioxide::layer::SocketIoLayer;
use std::sync::Arc;

use crate::page;

/// Everything that the frontend answers.
///
/// # Errors
/// When the page cannot be rendered.
pub(crate) fn router(
    max_rate: u32,
    sockets: SocketIoLayer,
    readiness: Readiness,
    registry: Arc<Registry>,
) -> anyhow::Result<Router> {
    let page = page::render(max_rate)?;
    let page = move || async move {
        // Its links change with each version.
        let mut response = page.into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    };
    Ok(Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(page::asset))
        .merge(probes::router(readiness, registry))
        .layer(sockets))
}
