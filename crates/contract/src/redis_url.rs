//! The address of Redis, in two forms.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use url::Url;

/// The address of Redis: `host:port`, as in the manifests, or a `redis://` or `rediss://` URL.
///
/// `Display` and `Debug` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(Url);

/// Why a text is not an address of Redis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "accepted: host:port, redis://[user:password@]host:port[/database] or rediss://…, user and password \
     percent-encoded ({0})"
)]
pub struct RedisUrlError(String);

impl RedisUrl {
    /// The address as a `redis://` or `rediss://` URL, with its password if it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let refuse = |why: &str| RedisUrlError(why.to_owned());
        let url = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("redis://{text}"))
        }
        .map_err(|error| refuse(&error.to_string()))?;

        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err(refuse(&format!("{}:// is another protocol", url.scheme())));
        }
        match url.host_str() {
            None | Some("") => return Err(refuse("there is no host")),
            Some("0.0.0.0" | "[::]") => {
                return Err(refuse("nobody can connect to a wildcard address"));
            }
            Some(_) => {}
        }
        if url.port() == Some(0) {
            return Err(refuse("nobody can connect to port 0"));
        }
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && database.parse::<u32>().is_err() {
            return Err(refuse(
                "the path must be the number of a database, as in redis://host:port/0",
            ));
        }
        let credentials = [url.username(), url.password().unwrap_or_default()];
        if credentials.into_iter().any(|text| percent_decode_str(text).decode_utf8().is_err()) {
            return Err(refuse("user and password must be UTF-8, percent-encoded"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("query and fragment are not allowed"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut redacted = self.0.clone();
        // Neither call can fail: a URL with a user or a password has a host.
        if redacted.password().is_some() {
            let _ = redacted.set_password(Some("***"));
        } else if !redacted.username().is_empty() {
            // A user without a password is most likely a password without its colon.
            let _ = redacted.set_username("***");
        }
        redacted.fmt(f)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (text.parse::<RedisUrl>(), expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error} does not say {part:?}");
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn accepts_both_forms() {
        check("redis-cache-service:6379", Ok("redis://redis-cache-service:6379"));
        check("127.0.0.1:6379", Ok("redis://127.0.0.1:6379"));
        check("[::1]:6379", Ok("redis://[::1]:6379"));
        check("localhost", Ok("redis://localhost"));
        check("redis://user:secret@host:1/2", Ok("redis://user:secret@host:1/2"));
        check("rediss://host:6380", Ok("rediss://host:6380"));
    }

    #[test]
    fn refuses_a_text_that_is_no_address_of_redis() {
        check("", Err("accepted: host:port"));
        check("http://host:80", Err("http:// is another protocol"));
        check("host:port", Err("invalid port number"));
        check("host:65536", Err("invalid port number"));
        check("host:0", Err("port 0"));
        check("redis://", Err("there is no host"));
        check("redis://host/zero", Err("number of a database"));
        check("redis://0.0.0.0:6379", Err("wildcard"));
        check("[::]:6379", Err("wildcard"));
        check("redis://:pd%80ss@host", Err("UTF-8"));
        check("redis://host?protocol=resp2", Err("query and fragment are not"));
        check("rediss://host#insecure", Err("query and fragment are not"));
    }

    #[test]
    fn never_shows_the_password() {
        let url: RedisUrl = "redis://user:secret@host:1".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "redis://user:***@host:1 redis://user:***@host:1");
        let url: RedisUrl = "redis://secret@host:1".parse().unwrap();
        assert_eq!(url.to_string(), "redis://***@host:1");
    }
}
