//! Refuses, in words, what the socket.io library would answer with something that no client
//! understands, and limits the sessions, which the library does not.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{origins::SOCKET_IO, socket::MAX_VIEWERS};

/// The only version of the WebSocket protocol: <https://www.rfc-editor.org/rfc/rfc6455#section-4.4>.
const WEBSOCKET_VERSION: &str = "13";

/// How many sessions of socket.io there may be: those of all viewers, and of others that join or are refused. It is
/// less than the server has connections, so sessions alone do not keep the probes and the page from an answer.
const MAX_SESSIONS: usize = MAX_VIEWERS + 280;

/// The headers that a session needs of its first request.
const KEPT: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Limits the sessions. Clones share the limit.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Semaphore>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_SESSIONS)))
    }
}

impl Sessions {
    /// Counts a session until the last clone of the permit is dropped; `None` if there are too many.
    fn begin(&self) -> Option<Arc<OwnedSemaphorePermit>> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(Arc::new)
    }
}

/// Passes on a socket.io request that can be answered.
pub(crate) async fn check(
    State(sessions): State<Sessions>,
    request: Request,
    next: Next,
) -> Response {
    if !request.uri().path().starts_with(SOCKET_IO) {
        return next.run(request).await;
    }
    match refusal(&request) {
        Some(response) => response,
        None if has_session(&request) => next.run(request).await,
        None => begin_session(&sessions, request, next).await,
    }
}

/// Passes on the first request of a session, if there may be one more.
async fn begin_session(sessions: &Sessions, mut request: Request, next: Next) -> Response {
    let Some(session) = sessions.begin() else {
        let line = format!("socket.io: {MAX_SESSIONS} sessions are open; try again later\n");
        return (StatusCode::SERVICE_UNAVAILABLE, line).into_response();
    };
    // The library keeps its first request for as long as the session lasts.
    request.extensions_mut().insert(session);
    let headers = request.headers_mut();
    let kept = |name: HeaderName| headers.get(&name).cloned().map(|value| (name, value));
    *headers = KEPT.into_iter().filter_map(kept).collect();
    next.run(request).await
}

/// The answer to a request that the library would not understand; `None` if it would.
fn refusal(request: &Request) -> Option<Response> {
    let refused = |status: StatusCode, line: &'static str| Some((status, line).into_response());
    let headers = request.headers();
    // Version 2 of the client sends `j` if it may use no other transport; it expects a script.
    if !parameter(request, "j").is_empty() {
        let line = "j: JSONP is not supported; accepted: the transports websocket and polling\n";
        return refused(StatusCode::BAD_REQUEST, line);
    }
    let is_websocket = headers.contains_key(header::SEC_WEBSOCKET_KEY)
        || has_token(headers, &header::UPGRADE, "websocket")
        || parameter(request, "transport") == "websocket";
    if !is_websocket {
        return None;
    }
    if !has_token(headers, &header::UPGRADE, "websocket")
        || !has_token(headers, &header::CONNECTION, "upgrade")
    {
        let line = "Upgrade, Connection: missing; accepted for a WebSocket: Upgrade: websocket and \
                    Connection: Upgrade\n";
        return refused(StatusCode::BAD_REQUEST, line);
    }
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != WEBSOCKET_VERSION) {
        let line = "Sec-WebSocket-Version: not accepted; accepted: 13\n";
        let upgrade =
            [(header::SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION), (header::UPGRADE, "websocket")];
        return Some((StatusCode::UPGRADE_REQUIRED, upgrade, line).into_response());
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    if !key.is_some_and(is_key) {
        let line = "Sec-WebSocket-Key: not accepted; accepted: sixteen bytes in base64\n";
        return refused(StatusCode::BAD_REQUEST, line);
    }
    None
}

/// Whether a request belongs to a session that has begun.
fn has_session(request: &Request) -> bool {
    !parameter(request, "sid").is_empty()
}

/// A parameter of the query; empty if there is none.
fn parameter<'a>(request: &'a Request, name: &str) -> &'a str {
    let query = request.uri().query().unwrap_or_default();
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    values.next().unwrap_or_default()
}

/// Whether a text may be sixteen bytes in base64.
fn is_key(text: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    text.len() == 24 && text.ends_with(b"==") && text[..22].iter().all(is_base64)
}

/// Whether a header, which is a list, has a token.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}
