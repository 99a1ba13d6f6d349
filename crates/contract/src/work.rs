//! The request that the frontend sends to a worker.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

/// A string that the worker hashes, as the JSON object `{"str": "…"}`.
///
/// Deserializing accepts only an object: a derived implementation would also accept `["…"]`. It
/// ignores fields other than `str`; `str` twice is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Work<'a> {
    /// The string that the worker hashes.
    #[serde(rename = "str")]
    pub text: Cow<'a, str>,
}

impl<'de> Deserialize<'de> for Work<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WorkVisitor)
    }
}

struct WorkVisitor;

impl<'de> Visitor<'de> for WorkVisitor {
    type Value = Work<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut text = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == "str" {
                if text.is_some() {
                    return Err(de::Error::duplicate_field("str"));
                }
                let Text(value) = map.next_value()?;
                text = Some(value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let text = text.ok_or_else(|| de::Error::missing_field("str"))?;
        Ok(Work { text })
    }
}

// `Cow` alone always deserializes to an owned string; these borrow if the string has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Result<&str, &str>) {
        match (serde_json::from_str::<Work<'_>>(json), expected) {
            (Ok(work), Ok(text)) => assert_eq!(work.text, text),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error} does not say {part:?}");
            }
            (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn accepts_any_string() {
        check(r#"{"str": "abc"}"#, Ok("abc"));
        check(r#"{"str": ""}"#, Ok(""));
        check(r#"{"str": "a\u0000\n\ud83d\ude00é"}"#, Ok("a\0\n😀é"));
        check(r#"{"s\u0074r": "abc"}"#, Ok("abc"));
    }

    #[test]
    fn ignores_other_fields() {
        check(r#"{"a": [[{}]], "str": "abc", "b": {"str": 5}}"#, Ok("abc"));
    }

    #[test]
    fn an_error_says_why() {
        check("{}", Err("missing field `str`"));
        check(r#"{"str": null}"#, Err("invalid type: null, expected a string"));
        check(r#"{"str": 5}"#, Err("invalid type: integer `5`, expected a string"));
        check(r#"{"str": ["abc"]}"#, Err("invalid type: sequence, expected a string"));
        check(r#"{"str": {"a": 1}}"#, Err("invalid type: map, expected a string"));
        check(r#"{"str": "a", "str": "b"}"#, Err("duplicate field `str`"));
        check(r#"["abc"]"#, Err("invalid type: sequence, expected an object"));
        check(r#""abc""#, Err("expected an object"));
        check(r#"{"str": "\ud800"}"#, Err("hex escape"));
        check(r#"{"str": "\udc00"}"#, Err("surrogate"));
        check(r#"{"str": "\ud800\ud800"}"#, Err("surrogate"));
        check(r#"{"str": "a"} b"#, Err("trailing characters"));
    }

    #[test]
    fn a_serialized_work_can_be_deserialized() {
        let json = serde_json::to_string(&Work { text: "a\"b".into() }).unwrap();
        assert_eq!(json, r#"{"str":"a\"b"}"#);
    }
}
