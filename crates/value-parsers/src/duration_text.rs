//! Durations as they stand in YAML and JSON, such as `90s` or `1m30s`, for `#[serde(with = "duration_text")]`.

use std::time::Duration;

use humantime::format_duration;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Writes a duration as text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

/// Reads a duration.
///
/// # Errors
/// When the text is not a duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    super::duration(&text).map_err(D::Error::custom)
}

/// Kubernetes accepts no spaces in a duration.
fn text(duration: Duration) -> String {
    format_duration(duration).to_string().replace(' ', "")
}

/// The same for durations that may be left out, for `#[serde(with = "duration_text::option")]`.
pub mod option {
    use super::{Deserialize as _, Deserializer, Duration, Serializer, text};

    /// Writes a duration as text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            None => serializer.serialize_none(),
            Some(duration) => serializer.serialize_str(&text(*duration)),
        }
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// When the text is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let parse = |text: String| super::super::duration(&text).map_err(serde::de::Error::custom);
        text.map(parse).transpose()
    }
}
