//! The calculation itself: SHA-256, as often as it is asked for, in base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contract::calculation::HASH_LENGTH;
use sha2::{Digest as _, Sha256};

/// Returns the calculation of `text`: `prefix`, then the base64 of its SHA-256.
///
/// With more than one round, SHA-256 is applied to the digest again, so that a request can be made to
/// cost more. Zero rounds are one.
#[must_use]
pub fn calculation(prefix: &str, rounds: u32, text: &str) -> String {
    let mut digest = Sha256::digest(text);
    for _ in 1..rounds {
        digest = Sha256::digest(digest);
    }
    let mut message = String::with_capacity(prefix.len() + HASH_LENGTH);
    message.push_str(prefix);
    BASE64_STANDARD.encode_string(digest, &mut message);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    // The digests of FIPS 180-2 (abc) and of the empty string, and for two rounds the digest of abc's
    // digest, all three also computed with `openssl dgst -sha256 -binary | base64`.
    #[test]
    fn known_answers() {
        let abc = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        assert_eq!(calculation("", 1, "abc"), abc);
        assert_eq!(calculation("bursty-", 1, "abc"), format!("bursty-{abc}"));
        assert_eq!(calculation("", 1, ""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(calculation("", 2, "abc"), "T4tCwi3TcptRm6b2jS2nzFstYG0F2u1a1RKMwD5sY1g=");
    }
}
