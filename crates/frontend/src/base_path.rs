//! Serves everything under a path, for a proxy that does not strip the path.

use std::str::FromStr;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, Uri, header, uri::PathAndQuery},
    response::{IntoResponse as _, Response},
};
use tower_service::Service as _;

/// The path under which a proxy passes requests on: `/`, or `/hashr`, without a slash at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl FromStr for BasePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.trim_end_matches('/');
        let is_segment = |segment: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            !segment.is_empty() && segment.bytes().all(is_plain) && ![".", ".."].contains(&segment)
        };
        let is_path = path.is_empty()
            || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
        if text.starts_with('/') && is_path && path.len() <= 256 {
            Ok(Self(path.to_owned()))
        } else {
            Err(
                "accepted: a path that begins with a slash, such as /hashr, of letters, digits, -, _, . and ~",
            )
        }
    }
}

impl BasePath {
    /// Serves a router under this path, and at the root, where probes and stripping proxies ask.
    pub(crate) fn serve(self, router: Router) -> Router {
        if self.0.is_empty() {
            return router;
        }
        Router::new().fallback(async move |mut request: Request| {
            match self.strip(request.uri()) {
                Stripped::Missing => {}
                // Without the slash, the links of the page would be relative to another path.
                Stripped::WithoutSlash => return self.redirect(request.uri()),
                Stripped::To(uri) => *request.uri_mut() = uri,
            }
            router.clone().call(request).await.into_response()
        })
    }

    fn strip(&self, uri: &Uri) -> Stripped {
        let Some(rest) = uri.path().strip_prefix(&self.0) else { return Stripped::Missing };
        if rest.is_empty() {
            return Stripped::WithoutSlash;
        }
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        match format!("{rest}{query}").parse::<PathAndQuery>() {
            Ok(path) if rest.starts_with('/') => Stripped::To(path.into()),
            _ => Stripped::Missing,
        }
    }

    fn redirect(&self, uri: &Uri) -> Response {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let location = format!("{}/{query}", self.0);
        (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
    }
}

/// A request's path without the base path.
enum Stripped {
    /// It is not under the base path.
    Missing,
    /// It is the base path itself.
    WithoutSlash,
    /// It is under the base path.
    To(Uri),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_plain_segments() {
        for (text, path) in
            [("/", ""), ("/hashr", "/hashr"), ("/hashr/", "/hashr"), ("/a/b.c", "/a/b.c")]
        {
            assert_eq!(text.parse(), Ok(BasePath(path.to_owned())), "{text}");
        }
        for text in ["", "hashr", "/a//b", "/a b", "/..", "/a?b", "http://h/a"] {
            assert!(text.parse::<BasePath>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_is_under_the_path_is_stripped() {
        let base: BasePath = "/hashr".parse().unwrap();
        let strip = |path: &str| match base.strip(&path.parse().unwrap()) {
            Stripped::Missing => "missing".to_owned(),
            Stripped::WithoutSlash => "without slash".to_owned(),
            Stripped::To(uri) => uri.to_string(),
        };
        assert_eq!(strip("/hashr/"), "/");
        assert_eq!(strip("/hashr/api/stats?x=1"), "/api/stats?x=1");
        assert_eq!(strip("/hashr"), "without slash");
        assert_eq!(strip("/hashrs/x"), "missing");
        assert_eq!(strip("/api/stats"), "missing");
    }
}
