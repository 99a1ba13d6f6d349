//! Parsers for the values of settings, to be used as clap's `value_parser`.
//!
//! The error of each is a sentence that says what is accepted. The name of the setting and the
//! value are added by whoever reads the settings (`chassis::settings`).

pub mod defaults;
pub mod duration_text;
pub mod schema;

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Parses a duration with its unit, such as `10s` or `500ms`; zero is `0s`.
///
/// # Errors
/// When the text is not a duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "accepted: a duration with its unit, such as 500ms, 10s or 5m".to_owned())
}

/// Returns a parser of durations from `shortest` to `longest`, which its error repeats as written.
///
/// # Errors
/// The parser fails when the text is not such a duration.
pub fn duration_between(
    shortest: &'static str,
    longest: &'static str,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let value = duration(text)?;
        if (duration(shortest)?..=duration(longest)?).contains(&value) {
            Ok(value)
        } else {
            Err(format!("accepted: {shortest} to {longest}"))
        }
    }
}

/// The items of a setting that is a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> std::ops::Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Returns a parser of items that are separated by commas. Spaces around an item and empty items
/// do not count.
///
/// # Errors
/// The parser fails when there is no item, or with the error of `item`.
pub fn list<T: Clone + Send + Sync + 'static, E: ToString>(
    item: impl Fn(&str) -> Result<T, E> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<List<T>, String> + Clone + Send + Sync + 'static {
    move |text| {
        let items = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        let parse =
            |text| item(text).map_err(|error| format!("{} ({text:?} is not)", error.to_string()));
        let items: Vec<T> = items.map(parse).collect::<Result<_, _>>()?;
        if items.is_empty() {
            return Err("accepted: at least one item; several are separated by commas".to_owned());
        }
        Ok(List(items))
    }
}

/// Parses a port; 0 stands for any free port.
///
/// # Errors
/// When the text is not a port.
pub fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "accepted: a port, 0 to 65535".to_owned())
}

/// Returns a parser of whole numbers in a range.
///
/// # Errors
/// The parser fails when the text is not such a number.
pub fn whole_number(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("accepted: a whole number, {} to {}", range.start(), range.end())
        })
    }
}

/// Returns a parser of numbers in a range.
///
/// # Errors
/// The parser fails when the text is not such a number.
pub fn number(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("accepted: a number, {} to {}", range.start(), range.end()))
    }
}

/// Parses a finite number that is not negative.
///
/// # Errors
/// When the text is not such a number.
pub fn not_negative(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && 0.0 <= *number)
        .ok_or_else(|| "accepted: a number, 0 or more".to_owned())
}

/// What [`object_name`] accepts, in words, and as a rule of CEL.
pub const OBJECT_NAME: &str = "the name of an object, of a to z, 0 to 9, - and .";
/// See [`OBJECT_NAME`].
pub const OBJECT_NAME_RULE: &str = "self.matches('^[a-z0-9.-]+$')";

/// Parses the name of an object of Kubernetes.
///
/// # Errors
/// When the text cannot be such a name.
pub fn object_name(text: &str) -> Result<String, String> {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if (1..=253).contains(&text.len()) && text.bytes().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err(format!("accepted: {OBJECT_NAME}"))
    }
}

/// Parses a text that is not blank.
///
/// # Errors
/// When there is nothing but spaces.
pub fn not_empty(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("accepted: a text that is not empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// What [`http_url`] accepts, in words, and as a rule of CEL.
pub const HTTP_URL: &str = "http:// or https:// with a host, and without a user and a password";
/// See [`HTTP_URL`].
pub const HTTP_URL_RULE: &str = "self.matches('^https?://[^/@?#]+([/?][^#]*)?$')";

/// Parses a URL of HTTP or HTTPS.
///
/// # Errors
/// When the text is no such URL, or has a user, a password or a fragment.
pub fn http_url(text: &str) -> Result<String, String> {
    let is_accepted = |url: &Url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_http = ["http", "https"].contains(&url.scheme());
        is_http && !has_user && url.port() != Some(0) && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(is_accepted);
    url.map(String::from).ok_or_else(|| format!("accepted: {HTTP_URL}"))
}

/// A URL whose path and query may hold a secret. What is logged of it is its host.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The whole URL.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        http_url(text).map(Self)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Url::parse(&self.0).ok().map(|url| url.origin().ascii_serialization());
        write!(f, "{}/…", host.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_lie_between_their_bounds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("5").unwrap_err().contains("accepted: a duration with its unit"));
        let parse = duration_between("1s", "1h");
        assert_eq!(parse("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        for text in ["999ms", "61m", "", "-1s"] {
            assert!(parse(text).unwrap_err().starts_with("accepted: "), "{text}");
        }
    }

    #[test]
    fn a_list_has_its_items_without_spaces_and_without_empty_ones() {
        let parse = list(port);
        assert_eq!(parse("1, 2,,3,"), Ok(List(vec![1, 2, 3])));
        assert_eq!(parse("1,x").unwrap_err(), "accepted: a port, 0 to 65535 (\"x\" is not)");
        for text in ["", ",", " , "] {
            assert!(parse(text).unwrap_err().starts_with("accepted: at least one"), "{text:?}");
        }
    }

    #[test]
    fn urls_have_a_host_and_no_user() {
        for text in ["http://a", "https://a.b:8443/c?d=e", "http://[::1]:80/"] {
            assert!(http_url(text).is_ok(), "{text}");
        }
        for text in
            ["a", "ftp://a", "http://", "http://u@a", "http://a:0", "http://a/#b", "http://a b"]
        {
            assert!(http_url(text).unwrap_err().starts_with("accepted: http:// or"), "{text}");
        }
    }

    #[test]
    fn a_secret_url_shows_only_its_host() {
        let url: SecretUrl = "https://hooks.example:8443/T0K3N?key=b".parse().unwrap();
        assert_eq!(format!("{url:?}"), "https://hooks.example:8443/…");
        assert_eq!(url.expose(), "https://hooks.example:8443/T0K3N?key=b");
    }

    #[test]
    fn numbers_lie_in_their_range() {
        assert_eq!(number(0.5..=1.0)("0.5"), Ok(0.5));
        assert_eq!(number(0.5..=1.0)("NaN").unwrap_err(), "accepted: a number, 0.5 to 1");
        assert_eq!(whole_number(1..=60)("60"), Ok(60));
        assert_eq!(whole_number(1..=60)("0").unwrap_err(), "accepted: a whole number, 1 to 60");
        assert_eq!(not_negative("0"), Ok(0.0));
        for text in ["NaN", "inf", "-1", ""] {
            assert_eq!(not_negative(text).unwrap_err(), "accepted: a number, 0 or more", "{text}");
        }
        assert_eq!(port("0"), Ok(0));
        assert_eq!(port("65536").unwrap_err(), "accepted: a port, 0 to 65535");
    }
}
