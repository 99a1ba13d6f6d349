//! The answers other than 200: a status, and one line that says what is wrong.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use chassis::server::Overloaded;

use super::body::BODY_TIMEOUT;
use crate::{calculator::CalculateError, publish::PublishError};

/// How many characters of the line are sent.
const MAX_LINE: usize = 200;

/// How many characters of the JSON parser's error are sent. The parser may repeat the whole body.
const MAX_SAID: usize = 120;

/// How many characters of a header are sent. Each may be escaped.
const MAX_HEADER: usize = 60;

/// Why a request is not answered with 200.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("body: {}; accepted: {{\"str\": \"<text>\"}}", start_of(.0, MAX_SAID))]
    Malformed(String),
    #[error("content-type: {:?} is not accepted; accepted: application/json, in UTF-8", start_of(.0, MAX_HEADER))]
    ContentType(String),
    #[error("content-encoding: {:?} is not accepted; accepted: none", start_of(.0, MAX_HEADER))]
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

/// The start of a text: so many characters at most, with a sign if there are more.
fn start_of(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_refusal_still_says_what_is_accepted() {
        let long = "\"é".repeat(500);
        for error in [
            Error::Malformed(long.clone()),
            Error::ContentType(long.clone()),
            Error::ContentEncoding(long),
        ] {
            let line = error.to_string();
            let accepted = line.split_once("accepted: ").map(|(_, accepted)| accepted);
            assert!(line.chars().count() <= MAX_LINE, "{line}");
            assert!(accepted.is_some_and(|accepted| !accepted.is_empty()), "{line}");
        }
        assert_eq!(start_of("ab", 2), "ab");
        assert_eq!(start_of("abc", 2), "ab…");
    }
}
