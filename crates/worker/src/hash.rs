//! The calculation itself: SHA-256 in base64, without a clock or IO.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contract::calculation::HASH_LENGTH;
use sha2::{Digest as _, Sha256};

/// Returns the calculation of `text`: `prefix`, then the SHA-256 of the text in base64.
///
/// Each further round applies SHA-256 to the digest, which makes a request cost more. Zero rounds
/// count as one.
#[must_use]
pub fn calculate(prefix: &str, rounds: u32, text: &str) -> String {
    let mut digest = Sha256::digest(text);
    for _ in 1..rounds {
        digest = Sha256::digest(digest);
    }
    let mut calculation = String::with_capacity(prefix.len() + HASH_LENGTH);
    calculation.push_str(prefix);
    BASE64_STANDARD.encode_string(digest, &mut calculation);
    calculation
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2 has the digest of abc. All digests here are also those of
    // `openssl dgst -sha256 -binary | base64`; for two rounds, of the digest of abc.
    #[test]
    fn the_hashes_are_the_known_ones() {
        let abc = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        assert_eq!(calculate("", 1, "abc"), abc);
        assert_eq!(calculate("bursty-", 1, "abc"), format!("bursty-{abc}"));
        assert_eq!(calculate("", 1, ""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(calculate("", 2, "abc"), "T4tCwi3TcptRm6b2jS2nzFstYG0F2u1a1RKMwD5sY1g=");
    }
}
