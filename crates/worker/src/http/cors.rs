//! Cross-origin requests: any web page may have its texts hashed, as with the original workshop.

use axum::{
    extract::Request,
    http::{
        HeaderValue, StatusCode,
        header::{self, HeaderMap},
    },
    response::{IntoResponse, Response},
};
use contract::calculation;

/// Answers the question that a browser asks before a page's request.
pub(super) async fn preflight(headers: HeaderMap) -> impl IntoResponse {
    let requested = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,POST")),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, requested.unwrap_or(HeaderValue::from_static("*"))),
        (header::VARY, HeaderValue::from_name(header::ACCESS_CONTROL_REQUEST_HEADERS)),
    ];
    (StatusCode::NO_CONTENT, allowed)
}

/// Whether a browser sent the request for a page.
pub(super) fn is_cross_origin(request: &Request) -> bool {
    request.headers().contains_key(header::ORIGIN)
}

/// Allows the page to read the answer.
pub(super) fn allow(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let calculation = HeaderValue::from_static(calculation::HEADER);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, calculation);
}
