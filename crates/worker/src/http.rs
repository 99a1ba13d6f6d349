//! The worker's HTTP interface: its routes, and the handler of a request for work.

mod body;
mod cors;
mod error;
mod in_flight;

use std::sync::Arc;

use axum::{
    Router,
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
    config::Config,
    metrics::{Metrics, RequestLabels},
    publish::Publisher,
};

const CALCULATION: HeaderName = HeaderName::from_static(calculation::HEADER);

/// The header in which Envoy names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the request handlers share.
pub(crate) struct App {
    calculator: Calculator,
    publisher: Publisher,
    /// The largest body that the worker reads, in bytes.
    max_body: usize,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
}

impl App {
    pub(crate) fn new(config: &Config, publisher: Publisher, metrics: Arc<Metrics>) -> Self {
        Self {
            calculator: Calculator::new(&config.prefix, config.calculation.rounds),
            publisher,
            max_body: usize::try_from(config.calculation.max_body.as_u64()).unwrap_or(usize::MAX),
            metrics,
            access_log: AccessLog::new(config.access_log),
        }
    }
}

/// The routes of the worker.
pub(crate) fn router(app: App, readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/", get(async || "ok").post(handle).options(cors::preflight))
        .merge(probes::router(readiness, registry))
        .with_state(Arc::new(app))
}

/// Answers a request for work; counts and logs it.
async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let (start, id) = (Instant::now(), request.headers().get(REQUEST_ID).cloned());
    let is_cross_origin = cors::is_cross_origin(&request);
    let in_flight = InFlight::new(&app.metrics);
    let mut response = work(&app, request).await.unwrap_or_else(Error::into_response);
    if is_cross_origin {
        cors::allow(&mut response);
    }
    in_flight.end_answered();
    let status = response.status();
    app.metrics.requests.get_or_create(&RequestLabels { code: status.as_u16() }).inc();
    app.access_log.record(id.as_ref(), status, start.elapsed());
    response
}

/// Reads the text, hashes it, publishes the hash, and returns the answer.
async fn work(app: &App, request: Request) -> Result<Response, Error> {
    let body = body::read(request, app.max_body).await?;
    let work = body::parse(&body)?;
    let calculation = app.calculator.calculate(&work.text).await?;
    app.publisher.publish(calculation.clone()).await?;
    let mut response = "OK".into_response();
    // This cannot fail, because a prefix and base64 are valid in a header.
    let value = HeaderValue::try_from(calculation).map_err(|_| CalculateError::Failed)?;
    response.headers_mut().insert(CALCULATION, value);
    Ok(response)
}
