//! The token that a visitor may need to change the rate.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The token that a visitor needs to change the rate. The frontend keeps only its digest.
#[derive(Clone)]
pub struct ControlToken([u8; 32]);

impl ControlToken {
    /// Whether `token` is this token. The comparison takes the same time whatever differs.
    pub(crate) fn matches(&self, token: &str) -> bool {
        digest(token).ct_eq(&self.0).into()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl FromStr for ControlToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_printable && (8..=256).contains(&text.len()) {
            Ok(Self(digest(text)))
        } else {
            Err("accepted: 8 to 256 printable ASCII characters without spaces")
        }
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_only_itself() {
        let token: ControlToken = "correct-horse".parse().unwrap();
        assert!(token.matches("correct-horse"));
        for wrong in ["", "correct-hors", "correct-horse ", "Correct-horse"] {
            assert!(!token.matches(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "ControlToken(…)");
        for malformed in ["", "seven77", "with a space", "newline\n", &"x".repeat(257), "émigré-é"]
        {
            assert!(malformed.parse::<ControlToken>().is_err(), "{malformed:?}");
        }
    }
}
