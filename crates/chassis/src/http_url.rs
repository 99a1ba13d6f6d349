//! The URL of an HTTP server.

use std::{fmt, str::FromStr};

use url::Url;

/// An `http://` or `https://` URL, with or without a query. `Display` and `Debug` hide its password
/// and its query, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

/// Why a text is not the URL of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("accepted: http://host:port or https://host:port, with or without a path ({0})")]
pub struct HttpUrlError(String);

impl HttpUrl {
    /// The URL, with its password.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The URL of a path below this one, with the same query: `api/v1` below `http://host/a?b` is
    /// `http://host/a/api/v1?b`.
    #[must_use]
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        let url = Url::parse(text).map_err(|error| HttpUrlError(error.to_string()))?;
        match url.scheme() {
            "http" | "https" if url.fragment().is_some() => {
                Err(HttpUrlError("it has a fragment".to_owned()))
            }
            "http" | "https" if url.port() == Some(0) => {
                Err(HttpUrlError("port 0 accepts no connections".to_owned()))
            }
            "http" | "https" => Ok(Self(url)),
            other => Err(HttpUrlError(format!("{other}: is not HTTP"))),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        if url.query().is_some() {
            url.set_query(Some("***"));
        }
        if url.password().is_some() {
            // This cannot fail, because an HTTP URL has a host.
            let _ = url.set_password(Some("***"));
        }
        url.fmt(f)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_https_are_accepted() {
        let url: HttpUrl = "http://prometheus.istio-system:9090".parse().unwrap();
        assert_eq!(
            url.join("api/v1/query").as_str(),
            "http://prometheus.istio-system:9090/api/v1/query"
        );
        let url: HttpUrl = "https://host/prometheus/".parse().unwrap();
        assert_eq!(url.join("api").as_str(), "https://host/prometheus/api");
    }

    #[test]
    fn an_error_says_why_a_text_is_refused() {
        for (text, reason) in [
            ("", "relative URL without a base"),
            ("prometheus:9090", "prometheus: is not HTTP"),
            ("http://", "empty host"),
            ("http://host:99999", "invalid port"),
            ("http://host:0", "port 0"),
            ("http://host/#a", "it has a fragment"),
        ] {
            let error = text.parse::<HttpUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error} does not say {reason:?}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        let url: HttpUrl = "http://me:secret@host".parse().unwrap();
        assert_eq!(format!("{url:?}"), "http://me:***@host/");
        let url: HttpUrl = "http://host/a?token=secret".parse().unwrap();
        assert_eq!(url.to_string(), "http://host/a?***");
        assert_eq!(url.join("b").as_str(), "http://host/a/b?token=secret");
    }
}
