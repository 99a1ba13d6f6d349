//! The proxy that the environment names for a server, by the usual rules: `HTTP_PROXY`, `HTTPS_PROXY`,
//! `ALL_PROXY`, and the exceptions of `NO_PROXY`, in upper or lower case.

use axum::http::{HeaderValue, Uri};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The proxy for a URL, without its user and password; `None` if there is none.
pub(crate) fn of(url: &str) -> Option<String> {
    Some(Matcher::from_env().intercept(&url.parse().ok()?)?.uri().to_string())
}

/// The proxy for the API server, with its user and password; `None` if there is none.
///
/// # Errors
/// When it is no HTTP proxy. The error does not repeat the user and the password.
pub(crate) fn of_api_server(url: &Uri) -> Result<Option<Uri>, String> {
    let Some(proxy) = Matcher::from_env().intercept(url) else { return Ok(None) };
    let refuse = || {
        let address = proxy.uri();
        format!("HTTPS_PROXY or ALL_PROXY: {address} is not accepted; accepted: http://host:port")
    };
    if proxy.uri().scheme_str() != Some("http") {
        return Err(refuse());
    }
    with_login(&proxy).map(Some).ok_or_else(refuse)
}

fn with_login(proxy: &Intercept) -> Option<Uri> {
    let Some((user, password)) = proxy.basic_auth().and_then(login) else {
        return Some(proxy.uri().clone());
    };
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let host = proxy.uri().authority()?;
    format!("http://{}:{}@{host}/", encode(&user), encode(&password)).parse().ok()
}

/// The user and the password of a `Basic` header.
fn login(header: &HeaderValue) -> Option<(String, String)> {
    let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_server_through(proxy: &str) -> Option<Uri> {
        let matcher = Matcher::builder().https(proxy).build();
        with_login(&matcher.intercept(&Uri::from_static("https://10.0.0.1:6443/")).unwrap())
    }

    #[test]
    fn the_user_and_the_password_of_a_proxy_are_kept() {
        let proxy = api_server_through("http://me:p%40ss@proxy:3128").unwrap();
        assert_eq!(proxy, "http://me:p%40ss@proxy:3128/");
        assert_eq!(api_server_through("http://proxy:3128").unwrap(), "http://proxy:3128/");
    }
}
