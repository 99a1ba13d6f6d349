//! Reads the body of a request for work, and checks it.

use std::{error::Error as StdError, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{
        HeaderValue,
        header::{self, HeaderMap},
    },
};
use chassis::server::Overloaded;
use contract::Work;
use http_body_util::LengthLimitError;
use mime::Mime;
use tokio::time::{Instant, timeout_at};

use super::error::Error;

/// How long a client may take to send a body.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks by its head that a request has a body of JSON, of up to `limit` bytes. The body is not read yet.
pub(super) fn check(request: Request, limit: usize) -> Result<Body, Error> {
    check_content_type(request.headers())?;
    check_length(request.headers(), limit)?;
    Ok(request.into_body())
}

/// Reads a body of up to `limit` bytes, of a request that arrived at `start`.
pub(super) async fn read(body: Body, limit: usize, start: Instant) -> Result<Bytes, Error> {
    match timeout_at(start + BODY_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_caused_by::<LengthLimitError>(&error) => Err(Error::TooLarge(limit)),
        Ok(Err(error)) if is_caused_by::<Overloaded>(&error) => Err(Error::Overloaded(Overloaded)),
        Ok(Err(error)) => Err(Error::Malformed(error.to_string())),
        Err(_) => Err(Error::Slow),
    }
}

/// Parses a body.
pub(super) fn parse(body: &[u8]) -> Result<Work<'_>, Error> {
    let text = std::str::from_utf8(body).map_err(|error| Error::Malformed(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| Error::Malformed(error.to_string()))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let header = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let content_type = header(header::CONTENT_TYPE).unwrap_or_default();
    if !is_json(content_type) {
        return Err(Error::ContentType(content_type.to_owned()));
    }
    match header(header::CONTENT_ENCODING) {
        None | Some("identity") => Ok(()),
        Some(encoding) => Err(Error::ContentEncoding(encoding.to_owned())),
    }
}

fn is_json(content_type: &str) -> bool {
    // Most clients send exactly this, which needs no parser.
    if content_type == "application/json" {
        return true;
    }
    content_type.parse::<Mime>().is_ok_and(|mime| {
        let subtype = mime.suffix().unwrap_or_else(|| mime.subtype());
        let charset = mime.get_param(mime::CHARSET);
        mime.type_() == mime::APPLICATION
            && subtype == mime::JSON
            && charset.is_none_or(|charset| charset == mime::UTF_8)
    })
}

/// Refuses a body whose header already says that it is too large.
fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Error> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if limit < length => Err(Error::TooLarge(limit)),
        _ => Ok(()),
    }
}

fn is_caused_by<E: StdError + 'static>(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn StdError> = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}
