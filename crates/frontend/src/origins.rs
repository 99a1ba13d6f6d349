//! Refuses socket.io to the pages of other sites.

use std::{str::FromStr, sync::Arc};

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
use tokio::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;
use value_parsers::List;

/// The start of the paths of socket.io, which answers with and without a slash at the end. Visitors
/// can change something only there.
pub(crate) const SOCKET_IO: &str = "/socket.io";

/// The origin of a page, as browsers write it in `Origin`: `https://host`, or `https://host:port`.
#[derive(Clone, Debug, PartialEq)]
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

/// The origins whose pages may use socket.io. Clones share their count.
#[derive(Clone)]
pub(crate) struct AllowedOrigins {
    /// The allowed origins. If there are none, the frontend allows its own page.
    origins: Vec<Origin>,
    refused: Counter,
    log: Arc<Sampler>,
    start: Instant,
}

impl AllowedOrigins {
    pub(crate) fn new(origins: Option<List<Origin>>) -> Self {
        let origins = origins.map(|list| list.0).unwrap_or_default();
        let log = Arc::new(Sampler::per_second(1));
        Self { origins, refused: Counter::default(), log, start: Instant::now() }
    }

    /// The number of refused requests.
    pub(crate) fn refused(&self) -> Counter {
        self.refused.clone()
    }

    /// Lets pages of the allowed origins read the answers.
    pub(crate) fn cors(&self) -> CorsLayer {
        let origins = self.origins.iter().map(|Origin(origin)| origin.clone());
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([CONTENT_TYPE])
    }

    fn allow(&self, headers: &HeaderMap) -> bool {
        // A browser sends the origin whenever a page of another site could read or change anything.
        let Some(origin) = headers.get(ORIGIN) else { return true };
        if !self.origins.is_empty() {
            let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Origin>().ok());
            return origin.is_some_and(|origin| self.origins.contains(&origin));
        }
        let origin = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        origin
            .filter(is_origin)
            .zip(host)
            .is_some_and(|(origin, host)| is_same_site(&origin, &host))
    }
}

/// Whether a page's origin is the host that it asks. The scheme does not count, because a proxy may
/// end TLS; so each default port stands for the other.
fn is_same_site(origin: &Url, host: &Url) -> bool {
    let name = |url: &Url| url.host_str().map(|name| name.trim_end_matches('.').to_owned());
    let port = |url: &Url| url.port().filter(|port| ![80, 443].contains(port));
    name(origin) == name(host) && port(origin) == port(host)
}

/// Answers 403 to socket.io requests of pages from other sites.
pub(crate) async fn check(
    State(allowed): State<AllowedOrigins>,
    request: Request,
    next: Next,
) -> Response {
    if !request.uri().path().starts_with(SOCKET_IO) || allowed.allow(request.headers()) {
        return next.run(request).await;
    }
    allowed.refused.inc();
    if allowed.log.lets_through(allowed.start.elapsed()) {
        tracing::warn!(origin = ?request.headers().get(ORIGIN), "refused a page of another site");
    }
    let error = "Origin: pages of this address may not use this frontend; accepted: its own page, or \
                 those that its setting ALLOWED_ORIGINS names\n";
    (StatusCode::FORBIDDEN, error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &[&str], host: &str, origin: Option<&str>, expected: bool) {
        let origins = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        let origins = (!allowed.is_empty()).then_some(List(origins));
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        let is_allowed = AllowedOrigins::new(origins).allow(&headers);
        assert_eq!(is_allowed, expected, "{origin:?} at {host}, allowed {allowed:?}");
    }

    #[test]
    fn the_frontends_own_page_is_allowed_unless_others_are_named() {
        check(&[], "hashr.example", None, true);
        check(&[], "hashr.example", Some("https://hashr.example"), true);
        check(&[], "Hashr.example:8080", Some("http://hashr.example:8080"), true);
        check(&[], "[::1]:8080", Some("http://[::1]:8080"), true);
        check(&[], "hashr.example:443", Some("https://hashr.example"), true);
        check(&[], "hashr.example:80", Some("https://hashr.example"), true);
        check(&[], "hashr.example:80", Some("http://hashr.example"), true);
        check(&[], "hashr.example", Some("https://hashr.example:443"), true);
        check(&[], "hashr.example.", Some("https://hashr.example"), true);
        check(&[], "[0:0:0:0:0:0:0:1]:8080", Some("http://[::1]:8080"), true);
        check(&[], "hashr.example:8443", Some("https://hashr.example"), false);
        check(&[], "hashr.example", Some("https://evil.example"), false);
        check(&[], "hashr.example", Some("https://hashr.example.evil"), false);
        check(&[], "hashr.example", Some("https://hashr.example:8443"), false);
        check(&[], "hashr.example", Some("null"), false);

        let allowed =
            ["https://one.example", "http://Two.example:8080/", "https://three.example:443"];
        check(&allowed, "hashr.example", Some("https://one.example"), true);
        check(&allowed, "hashr.example", Some("http://two.example:8080"), true);
        check(&allowed, "hashr.example", Some("HTTPS://One.example:443"), true);
        check(&allowed, "hashr.example", Some("https://three.example"), true);
        check(&allowed, "hashr.example", Some("http://one.example"), false);
        check(&allowed, "hashr.example", Some("https://hashr.example"), false);
        check(&allowed, "hashr.example", None, true);
    }

    #[test]
    fn a_text_that_is_no_origin_is_refused() {
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
