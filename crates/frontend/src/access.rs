//! Who may do what: watching is free, changing the rate may need a token, and pages of other sites may do
//! neither.

use std::{fmt, str::FromStr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{CONTENT_TYPE, HOST, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use chassis::Sampler;
use prometheus_client::metrics::counter::Counter;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// What the paths of socket.io begin with, over which alone anything can be changed; it is answered with and
/// without a slash at the end.
const SOCKETS: &str = "/socket.io";

/// What a visitor must know to change the rate. Only its digest is kept.
#[derive(Clone)]
pub struct ControlToken([u8; 32]);

impl ControlToken {
    /// Whether this is it. Takes the same time whatever is wrong.
    pub(crate) fn is(&self, token: &str) -> bool {
        digest(token).ct_eq(&self.0).into()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl FromStr for ControlToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_printable && (8..=256).contains(&text.len()) {
            Ok(Self(digest(text)))
        } else {
            Err("accepted: 8 to 256 printable ASCII characters without spaces")
        }
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlToken(…)")
    }
}

/// Where a page comes from, as browsers write it in `Origin`: `https://host`, or `https://host:port`.
#[derive(Clone, Debug)]
pub struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let origin = Url::parse(text.trim()).ok().filter(is_origin).map(|url| url.origin());
        origin
            .and_then(|origin| origin.ascii_serialization().parse().ok())
            .map(Self)
            .ok_or("accepted: http://host, https://host:port and the like, separated by commas")
    }
}

fn is_origin(url: &Url) -> bool {
    ["http", "https"].contains(&url.scheme())
        && url.path() == "/"
        && !url.host_str().unwrap_or_default().contains('*')
        && (url.username(), url.password(), url.query(), url.fragment()) == ("", None, None, None)
}

/// Refuses socket.io to pages of other sites. Clones count together.
#[derive(Clone)]
pub(crate) struct Gate {
    /// The origins that may; if there are none, the page's own may.
    allowed: Vec<Origin>,
    refused: Counter,
    log: Arc<Sampler>,
    start: Instant,
}

impl Gate {
    pub(crate) fn new(allowed: Vec<Origin>) -> Self {
        let log = Arc::new(Sampler::per_second(1));
        Self { allowed, refused: Counter::default(), log, start: Instant::now() }
    }

    /// How many requests have been refused.
    pub(crate) fn refused(&self) -> Counter {
        self.refused.clone()
    }

    /// Lets pages of allowed origins read what they are answered.
    pub(crate) fn cors(&self) -> CorsLayer {
        let origins = self.allowed.iter().map(|Origin(origin)| origin.clone());
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([CONTENT_TYPE])
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        // A browser names the origin whenever a page of another site could read or change anything.
        let Some(origin) = headers.get(ORIGIN) else { return true };
        if !self.allowed.is_empty() {
            return self.allowed.iter().any(|Origin(allowed)| allowed == origin);
        }
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_ascii_lowercase);
        let (origin, host) = (text(origin), headers.get(HOST).and_then(text));
        let origin = origin.as_deref().and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, origin)| host.as_deref() == Some(origin))
    }
}

/// Answers 403 to requests for socket.io that come from pages of other sites.
pub(crate) async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(SOCKETS) || gate.admits(request.headers()) {
        return next.run(request).await;
    }
    gate.refused.inc();
    if gate.log.lets_through(gate.start.elapsed()) {
        tracing::warn!(origin = ?request.headers().get(ORIGIN), "refused a page of another site");
    }
    let why = "Origin: this page may not use this frontend; ALLOWED_ORIGINS names those that may\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token: ControlToken = "correct-horse".parse().unwrap();
        assert!(token.is("correct-horse"));
        for wrong in ["", "correct-hors", "correct-horse ", "Correct-horse"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "ControlToken(…)");
        for malformed in ["", "seven77", "with a space", "newline\n", &"x".repeat(257), "émigré-é"]
        {
            assert!(malformed.parse::<ControlToken>().is_err(), "{malformed:?}");
        }
    }

    #[track_caller]
    fn check(allowed: &[&str], host: &str, origin: Option<&str>, admits: bool) {
        let gate = Gate::new(allowed.iter().map(|origin| origin.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        assert_eq!(gate.admits(&headers), admits, "{origin:?} at {host}, allowed {allowed:?}");
    }

    #[test]
    fn the_pages_own_origin_may_unless_others_are_named() {
        check(&[], "hashr.example", None, true);
        check(&[], "hashr.example", Some("https://hashr.example"), true);
        check(&[], "Hashr.example:8080", Some("http://hashr.example:8080"), true);
        check(&[], "[::1]:8080", Some("http://[::1]:8080"), true);
        check(&[], "hashr.example", Some("https://evil.example"), false);
        check(&[], "hashr.example", Some("https://hashr.example.evil"), false);
        check(&[], "hashr.example", Some("https://hashr.example:8443"), false);
        check(&[], "hashr.example", Some("null"), false);

        let allowed =
            ["https://one.example", "http://Two.example:8080/", "https://three.example:443"];
        check(&allowed, "hashr.example", Some("https://one.example"), true);
        check(&allowed, "hashr.example", Some("http://two.example:8080"), true);
        check(&allowed, "hashr.example", Some("https://three.example"), true);
        check(&allowed, "hashr.example", Some("http://one.example"), false);
        check(&allowed, "hashr.example", Some("https://hashr.example"), false);
        check(&allowed, "hashr.example", None, true);
    }

    #[test]
    fn what_is_no_origin_is_not_accepted() {
        for text in [
            "",
            "*",
            "https://*.example",
            "null",
            "hashr.example",
            "ws://h",
            "http://h/path",
            "http://u@h",
            "http://h?q",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text:?}");
        }
    }
}
