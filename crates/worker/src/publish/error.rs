//! Why Redis did not take a calculation.

use redis::{ErrorKind, RedisError};

/// Why Redis did not take a calculation.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("redis is not connected")]
    NotConnected,
    #[error("redis did not answer in time")]
    Timeout,
    #[error("the connection to redis was lost")]
    ConnectionLost,
    #[error("nobody listens on redis, although somebody did a moment ago")]
    Unheard,
    #[error("redis refused: {text}")]
    Refused { reason: &'static str, text: String },
}

impl PublishError {
    /// The kind of failure, as the metrics name it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Timeout => "timeout",
            Self::ConnectionLost => "lost",
            Self::Unheard => "unheard",
            Self::Refused { reason, .. } => reason,
        }
    }
}

impl From<RedisError> for PublishError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Io => Self::ConnectionLost,
            _ => Self::Refused { reason: refusal_reason(&error), text: error.to_string() },
        }
    }
}

/// Why Redis refused, as the metrics name it.
pub(super) fn refusal_reason(error: &RedisError) -> &'static str {
    match error.code() {
        Some("LOADING") => "loading",
        Some("READONLY") => "readonly",
        Some("NOAUTH") => "noauth",
        Some("NOPERM") => "noperm",
        Some("OOM") => "oom",
        Some("MISCONF") => "misconf",
        Some("MASTERDOWN") => "masterdown",
        _ => "refused",
    }
}
