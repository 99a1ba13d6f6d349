//! Sends requests to the worker.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Workers, resolver::ShuffledResolver, tally::Failure};
use bytes::Bytes;
use chassis::HttpUrl;
use contract::{Work, calculation};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, HeaderValue},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an idle connection stays open for the next request. The worker keeps it longer, so the
/// worker never closes a connection while a request is sent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long connections are used. Then the name of the worker is looked up again, and new
/// connections may reach another worker: without a mesh, a connection is what is balanced.
const MAX_AGE: Duration = Duration::from_secs(2);

/// How many idle connections stay open.
const MAX_IDLE: usize = 256;

/// The largest answer, in bytes. `OK` has two.
const MAX_ANSWER: usize = 64 * 1024;

/// The length of the random strings.
const TEXT_LENGTH: usize = 11;

/// The worker's address and the connections to it. Clones share them.
#[derive(Clone)]
pub(crate) struct Processor {
    connections: Arc<Mutex<Connections>>,
    uri: Uri,
}

type HttpClient = Client<HttpConnector<ShuffledResolver>, Full<Bytes>>;

/// The connections of the last seconds.
struct Connections {
    client: HttpClient,
    since: Instant,
}

impl Connections {
    fn new() -> Self {
        let mut connector = HttpConnector::new_with_resolver(ShuffledResolver::default());
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Self { client, since: Instant::now() }
    }
}

impl Processor {
    /// Prepares to send requests to `url`.
    ///
    /// # Errors
    /// When the address is not a URI by the rules of HTTP.
    pub(crate) fn new(url: &HttpUrl) -> anyhow::Result<Self> {
        let connections = Arc::new(Mutex::new(Connections::new()));
        Ok(Self { connections, uri: url.url().as_str().parse()? })
    }

    /// The client of the present connections. Requests in flight keep the connections of a client
    /// before.
    fn client(&self) -> HttpClient {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if MAX_AGE <= connections.since.elapsed() {
            *connections = Connections::new();
        }
        connections.client.clone()
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let text: String = (0..TEXT_LENGTH).map(|_| fastrand::alphanumeric()).collect();
        // Neither can fail: a string can be JSON, and the address is a URI.
        let body = serde_json::to_vec(&Work { text: text.into() }).map_err(|_| Failure::Reset)?;
        Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::from(body))
            .map_err(|_| Failure::Reset)
    }
}

impl Workers for Processor {
    async fn process(&self) -> Result<Option<String>, Failure> {
        let response =
            self.client().request(self.request()?).await.map_err(|error| {
                if error.is_connect() { Failure::Connect } else { Failure::Reset }
            })?;
        let status = response.status();
        let calculation = response.headers().get(calculation::HEADER);
        let calculation = calculation.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // The body is read to its end, so that the connection can be used again.
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        body.collect().await.map_err(|_| Failure::Reset)?;
        if status == StatusCode::OK {
            Ok(calculation)
        } else {
            Err(Failure::Status(status.as_u16()))
        }
    }
}
