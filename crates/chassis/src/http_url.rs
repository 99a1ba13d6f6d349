//! The address of an HTTP server.

use std::{fmt, str::FromStr};

use url::Url;

/// An `http://` or `https://` URL without a query. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

/// Why a text is not the address of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("accepted: http://host:port or https://host:port, with or without a path ({0})")]
pub struct HttpUrlError(String);

impl HttpUrl {
    /// The URL, with its password if it has one.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The URL of a path below this one: `api/v1` below `http://host/a` is `http://host/a/api/v1`.
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
            "http" | "https" if url.query().is_some() || url.fragment().is_some() => {
                Err(HttpUrlError("it has a query or a fragment".to_owned()))
            }
            "http" | "https" if url.port() == Some(0) => {
                Err(HttpUrlError("port 0 cannot be connected to".to_owned()))
            }
            "http" | "https" => Ok(Self(url)),
            other => Err(HttpUrlError(format!("{other}: is another protocol"))),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            // Cannot fail: an HTTP URL has a host.
            let _ = shown.set_password(Some("***"));
        }
        shown.fmt(f)
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
    fn accepts_http_and_https() {
        let url: HttpUrl = "http://prometheus.istio-system:9090".parse().unwrap();
        assert_eq!(
            url.join("api/v1/query").as_str(),
            "http://prometheus.istio-system:9090/api/v1/query"
        );
        let url: HttpUrl = "https://host/prometheus/".parse().unwrap();
        assert_eq!(url.join("api").as_str(), "https://host/prometheus/api");
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for (text, why) in [
            ("", "relative URL without a base"),
            ("prometheus:9090", "prometheus: is another protocol"),
            ("http://", "empty host"),
            ("http://host:99999", "invalid port"),
            ("http://host:0", "port 0"),
            ("http://host/?a=b", "it has a query"),
        ] {
            let error = text.parse::<HttpUrl>().unwrap_err().to_string();
            assert!(error.contains(why), "{error} does not say {why:?}");
        }
    }

    #[test]
    fn never_shows_its_password() {
        let url: HttpUrl = "http://me:secret@host".parse().unwrap();
        assert_eq!(format!("{url:?}"), "http://me:***@host/");
    }
}
