//! Refuses, in words, what the socket.io library would answer with something that no client
//! understands.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::origins::SOCKET_IO;

/// The only version of the WebSocket protocol: <https://www.rfc-editor.org/rfc/rfc6455#section-4.4>.
const WEBSOCKET_VERSION: &str = "13";

/// Passes on a socket.io request that can be answered.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(SOCKET_IO) {
        return next.run(request).await;
    }
    let refused = |status: StatusCode, line: &'static str| (status, line).into_response();
    let headers = request.headers();
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    // Version 2 of the client sends `j` if it may use no other transport; it expects a script.
    if !parameter("j").is_empty() {
        let line = "j: JSONP is not supported; accepted: the transports websocket and polling\n";
        return refused(StatusCode::BAD_REQUEST, line);
    }
    let is_websocket = headers.contains_key(header::SEC_WEBSOCKET_KEY)
        || has_token(headers, &header::UPGRADE, "websocket")
        || parameter("transport") == "websocket";
    if !is_websocket {
        return next.run(request).await;
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
        return (StatusCode::UPGRADE_REQUIRED, upgrade, line).into_response();
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    if !key.is_some_and(is_key) {
        let line = "Sec-WebSocket-Key: not accepted; accepted: sixteen bytes in base64\n";
        return refused(StatusCode::BAD_REQUEST, line);
    }
    next.run(request).await
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
