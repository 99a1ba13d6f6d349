//! The worker's HTTP side: what it accepts, and how it says no.

use std::{num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{self, HeaderMap},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use chassis::probes::{self, Readiness};
use contract::{Work, calculation};
use http_body_util::LengthLimitError;
use mime::Mime;
use prometheus_client::registry::Registry;
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use crate::{
    access_log::AccessLog,
    announce::{Announcer, Failure},
    config::Config,
    hash,
    metrics::{Metrics, RequestLabels},
};

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const CALCULATION: HeaderName = HeaderName::from_static(calculation::HEADER);

/// The header in which Envoy names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Rounds that take less than about 100 µs.
const MAX_QUICK_ROUNDS: u32 = 1000;

/// How long a calculation may wait for a processor: less than callers wait for an answer.
const PROCESSOR_TIMEOUT: Duration = Duration::from_millis(1500);

/// How much of an error of the JSON parser is repeated: it may hold what the client sent.
const MAX_ERROR: usize = 200;

/// What every request handler may use.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    announcer: Announcer,
    prefix: String,
    rounds: u32,
    max_body: usize,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
    /// Places for calculations that take a while.
    processors: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(config: &Config, announcer: Announcer, metrics: Arc<Metrics>) -> Self {
        let max_body = usize::try_from(config.calculation.max_body.as_u64()).unwrap_or(usize::MAX);
        let rounds = config.calculation.rounds;
        let processors = available_parallelism().map_or(1, NonZero::get);
        let processors = Arc::new(Semaphore::new(processors));
        let prefix = config.prefix.clone();
        let access_log = AccessLog::new(config.access_log);
        Self(Arc::new(Inner {
            announcer,
            prefix,
            rounds,
            max_body,
            metrics,
            access_log,
            processors,
        }))
    }
}

/// Everything that the worker answers.
pub(crate) fn router(app: App, readiness: Readiness, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/", get(async || "ok").post(calculate).options(preflight))
        .merge(probes::router(readiness, registry))
        .with_state(app)
}

/// Allows any page to have its strings hashed, as it could with the original.
async fn preflight(headers: HeaderMap) -> impl IntoResponse {
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,POST")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("*"))),
        (header::VARY, HeaderValue::from_name(header::ACCESS_CONTROL_REQUEST_HEADERS)),
    ];
    (StatusCode::NO_CONTENT, allowed)
}

/// Lets the page that asked read the answer.
fn share(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let calculation = HeaderValue::from_static(calculation::HEADER);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, calculation);
}

async fn calculate(State(App(app)): State<App>, request: Request) -> Response {
    let (start, id) = (Instant::now(), request.headers().get(REQUEST_ID).cloned());
    let is_of_a_page = request.headers().contains_key(header::ORIGIN);
    let in_flight = InFlight::new(&app.metrics);
    let mut response = match answer(&app, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    if is_of_a_page {
        share(&mut response);
    }
    in_flight.answered();
    let status = response.status();
    app.metrics.requests.get_or_create(&RequestLabels { code: status.as_u16() }).inc();
    app.access_log.note(id.as_ref(), status, start.elapsed());
    response
}

/// Counts a request for as long as it is in flight, however it ends.
struct InFlight<'a> {
    metrics: &'a Metrics,
    is_answered: bool,
}

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.requests_in_flight.inc();
        Self { metrics, is_answered: false }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.requests_in_flight.dec();
        if !self.is_answered {
            self.metrics.requests_abandoned.inc();
        }
    }
}

async fn answer(app: &Arc<Inner>, request: Request) -> Result<Response, Error> {
    let (head, body) = request.into_parts();
    check_is_json(&head.headers)?;
    let body = read(body, &head.headers, app.max_body).await?;
    let text = std::str::from_utf8(&body).map_err(|error| Error::Malformed(error.to_string()))?;
    let work: Work<'_> =
        serde_json::from_str(text).map_err(|error| Error::Malformed(error.to_string()))?;

    let calculation = calculation_of(app, &work.text).await?;
    app.announcer.publish(calculation.clone()).await?;
    let mut response = "OK".into_response();
    // A prefix and base64, both of which a header may hold.
    let value = HeaderValue::try_from(calculation).map_err(|_| Error::NotComputed)?;
    response.headers_mut().insert(CALCULATION, value);
    Ok(response)
}

/// Computes here what is quick, and elsewhere what would keep others waiting: as many at once as there
/// are processors.
async fn calculation_of(app: &Arc<Inner>, text: &str) -> Result<String, Error> {
    if app.rounds <= MAX_QUICK_ROUNDS {
        return Ok(hash::calculation(&app.prefix, app.rounds, text));
    }
    let permit = Arc::clone(&app.processors).acquire_owned();
    let permit = timeout(PROCESSOR_TIMEOUT, permit).await.map_err(|_| Error::Busy)?;
    let (app, text) = (Arc::clone(app), text.to_owned());
    let calculation = spawn_blocking(move || {
        // Kept until the calculation ends, also when nobody waits for it any more.
        let _permit = permit;
        hash::calculation(&app.prefix, app.rounds, &text)
    });
    calculation.await.map_err(|_| Error::NotComputed)
}

fn check_is_json(headers: &HeaderMap) -> Result<(), Error> {
    let header = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let content_type = header(header::CONTENT_TYPE).unwrap_or_default();
    let mime = || content_type.parse::<Mime>().ok();
    // What almost everybody says need not be parsed.
    let is_json = content_type == "application/json"
        || mime().is_some_and(|mime| {
            let subtype = mime.suffix().unwrap_or_else(|| mime.subtype());
            let charset = mime.get_param(mime::CHARSET);
            mime.type_() == mime::APPLICATION
                && subtype == mime::JSON
                && charset.is_none_or(|charset| charset == mime::UTF_8)
        });
    if !is_json {
        return Err(Error::ContentType(content_type.to_owned()));
    }
    match header(header::CONTENT_ENCODING) {
        None | Some("identity") => Ok(()),
        Some(encoding) => Err(Error::ContentEncoding(encoding.to_owned())),
    }
}

async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Error> {
    // A body that says that it is too large is not read at all.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| limit < length) {
        return Err(Error::TooLarge(limit));
    }
    match timeout(BODY_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_length_limit(&error) => Err(Error::TooLarge(limit)),
        Ok(Err(error)) => Err(Error::Malformed(error.to_string())),
        Err(_) => Err(Error::Slow),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// Why a request was not answered with 200.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("body: {0}; accepted: {{\"str\": \"<text>\"}}")]
    Malformed(String),
    #[error("content-type: {0:?} is not accepted; accepted: application/json, in UTF-8")]
    ContentType(String),
    #[error("content-encoding: {0:?} is not accepted; accepted: none")]
    ContentEncoding(String),
    #[error("body: too large; accepted: up to {0} bytes")]
    TooLarge(usize),
    #[error("the calculation has failed")]
    NotComputed,
    #[error("all processors are busy; try again")]
    Busy,
    #[error("body: not there within {BODY_TIMEOUT:?}")]
    Slow,
    #[error("{0}; try again")]
    Unpublished(#[from] Failure),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::ContentType(_) | Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::NotComputed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::Unpublished(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut line: String = self.to_string().chars().take(MAX_ERROR).collect();
        line.push('\n');
        let mut response = (status, line).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Busy | Self::Unpublished(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What is left of the body is not read, so no further request can be.
            Self::TooLarge(_) | Self::Slow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
