//! A calculation: the message that a worker publishes for each request.
//!
//! It is the worker's prefix, then the standard base64 of a SHA-256 digest. A digest always has the
//! same length in base64, so the prefix needs no separator.

/// The Redis channel that carries every calculation.
pub const CHANNEL: &str = "calculation";

/// The header of a worker's answer that repeats the published calculation.
pub const HEADER: &str = "x-calculation";

/// Length in bytes of the hash at the end of every calculation: 32 bytes as padded base64.
pub const HASH_LENGTH: usize = 44;

/// Returns the prefix of a calculation: all but its hash.
///
/// `None` if the message holds no hash: it is too short, or the hash would begin inside a
/// character. No worker published such a message.
#[must_use]
pub fn prefix(message: &str) -> Option<&str> {
    message.len().checked_sub(HASH_LENGTH).and_then(|end| message.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

    #[test]
    fn prefix_is_all_but_the_hash() {
        assert_eq!(prefix(HASH), Some(""));
        assert_eq!(prefix(&format!("bursty-{HASH}")), Some("bursty-"));
    }

    #[test]
    fn a_message_without_a_hash_has_no_prefix() {
        assert_eq!(prefix(""), None);
        assert_eq!(prefix(&HASH[1..]), None);
        let inside_a_character = format!("é{}", &HASH[1..]);
        assert_eq!(prefix(&inside_a_character), None);
    }
}
