//! The worker's HTTP interface: its routes, and the handler of a request for work.

mod body;
mod cors;
mod error;
mod in_flight;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue},
    response::{IntoResponse as _, Response},
    routing::get,
};
use chassis::probes::{self, Readiness};
use contract::calculation;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use self::{error::Error, in_flight::InFlight};
use crate::{
    access_log::AccessLog,
    calculator::{CalculateError, Calculator},
    metrics::Metrics,
    publish::Publisher,
};

const CALCULATION: HeaderName = HeaderName::from_static(calculation::HEADER);

/// The header in which Envoy names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the request handlers of a core share.
pub(crate) struct App {
    pub(crate) calculator: Calculator,
    pub(crate) publisher: Publisher,
    /// The largest body that the worker reads, in bytes.
    pub(crate) max_body: usize,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Arc<AccessLog>,
}

/// The routes of the worker.
pub(crate) fn router(app: App, readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/", get(async || "ok").post(handle).options(cors::preflight))
        .merge(probes::router(readiness, registry))
        .with_state(Arc::new(app))
}

/// Answers a request for work; counts and logs it.
///
/// What it reads of the request's head it reads at once, so that the future need not keep the head.
fn handle(State(app): State<Arc<App>>, request: Request) -> impl Future<Output = Response> {
    let (start, id) = (Instant::now(), request.headers().get(REQUEST_ID).cloned());
    let is_cross_origin = cors::is_cross_origin(&request);
    let body = body::check(request, app.max_body);
    async move {
        let in_flight = InFlight::new(&app.metrics);
        let mut response = work(&app, start, body).await.unwrap_or_else(Error::into_response);
        if is_cross_origin {
            cors::allow(&mut response);
        }
        in_flight.end_answered();
        app.metrics.record_answer(response.status());
        app.access_log.record(id.as_ref(), response.status(), start);
        response
    }
}

/// Reads the text, hashes it, publishes the hash, and returns the answer.
async fn work(app: &App, start: Instant, body: Result<Body, Error>) -> Result<Response, Error> {
    let body = body::read(body?, app.max_body, start).await?;
    let work = body::parse(&body)?;
    let calculation = app.calculator.calculate(&work.text).await?;
    app.publisher.publish(calculation.clone()).await?;
    let mut response = "OK".into_response();
    // This cannot fail, because a prefix and base64 are valid in a header.
    let value = HeaderValue::try_from(calculation).map_err(|_| CalculateError::Failed)?;
    response.headers_mut().insert(CALCULATION, value);
    Ok(response)
}
