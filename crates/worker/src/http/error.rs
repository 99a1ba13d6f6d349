//! The answers other than 200: a status, and one line that says what is wrong.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use chassis::server::Overloaded;

use super::body::BODY_TIMEOUT;
use crate::{calculator::CalculateError, publish::PublishError};

/// How many characters of the line are sent. The JSON parser may repeat what the client sent.
const MAX_LINE: usize = 200;

/// Why a request is not answered with 200.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("body: {0}; accepted: {{\"str\": \"<text>\"}}")]
    Malformed(String),
    #[error("content-type: {0:?} is not accepted; accepted: application/json, in UTF-8")]
    ContentType(String),
    #[error("content-encoding: {0:?} is not accepted; accepted: none")]
    ContentEncoding(String),
    #[error("body: too large; accepted: up to {0} bytes")]
    TooLarge(usize),
    #[error("body: not received within {BODY_TIMEOUT:?}")]
    Slow,
    #[error(transparent)]
    Overloaded(Overloaded),
    #[error(transparent)]
    NotCalculated(#[from] CalculateError),
    #[error("{0}; try again")]
    NotPublished(#[from] PublishError),
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::ContentType(_) | Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::NotCalculated(CalculateError::Failed) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotCalculated(CalculateError::Busy)
            | Self::NotPublished(_)
            | Self::Overloaded(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut line: String = self.to_string().chars().take(MAX_LINE).collect();
        line.push('\n');
        let mut response = (status, line).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
