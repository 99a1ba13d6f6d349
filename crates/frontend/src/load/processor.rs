//! Sends requests to the worker.

use std::time::Duration;

use super::{Workers, tally::Failure};
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

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection is kept for the next request: less than the worker keeps it, so that it is
/// never closed as a request is sent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How many idle connections are kept.
const MAX_IDLE: usize = 256;

/// How much of an answer is read, in bytes. `OK` is two.
const MAX_ANSWER: usize = 64 * 1024;

/// Length of the random strings.
const TEXT_LENGTH: usize = 11;

/// The worker's address and the connections to it. Clones share them.
#[derive(Clone)]
pub(crate) struct Processor {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl Processor {
    /// Prepares to send requests to `url`.
    ///
    /// # Errors
    /// When it is not a URI by the rules of HTTP.
    pub(crate) fn new(url: &HttpUrl) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self { client, uri: url.url().as_str().parse()? })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let text: String = (0..TEXT_LENGTH).map(|_| fastrand::alphanumeric()).collect();
        // Neither can fail: a string is JSON, and the address was a URI when it was parsed.
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
            self.client.request(self.request()?).await.map_err(|error| {
                if error.is_connect() { Failure::Connect } else { Failure::Reset }
            })?;
        let status = response.status();
        let calculation = response.headers().get(calculation::HEADER);
        let calculation = calculation.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Read to its end, so that the connection can be used again.
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        body.collect().await.map_err(|_| Failure::Reset)?;
        if status == StatusCode::OK {
            Ok(calculation)
        } else {
            Err(Failure::Status(status.as_u16()))
        }
    }
}
