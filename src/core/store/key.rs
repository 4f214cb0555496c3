//! The name of a record in a store: a hash that gives the session id away to nobody.

use std::fmt;

use sha2::{Digest, Sha256};

/// What is hashed first, so that these hashes mean nothing elsewhere. Changing it loses all sessions.
const TAG: &[u8] = b"mod_session_store key 1";

/// SHA-256 over a tag, the scope and the id, each with its length in front: sessions of one scope are
/// unknown in every other, and who reads the store learns no id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// The key of the session `id` (its 32 random bytes) in `scope`.
    pub fn new(scope: &str, id: &[u8; 32]) -> StoreKey {
        let mut hash = Sha256::new();
        for part in [TAG, scope.as_bytes(), id.as_slice()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        StoreKey(hash.finalize().into())
    }

    /// A key read back from a store.
    pub const fn from_bytes(bytes: [u8; 32]) -> StoreKey {
        StoreKey(bytes)
    }

    /// The key whose [`StoreKey::hex`] this is.
    pub fn from_hex(hex: &[u8]) -> Option<StoreKey> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = hex.as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(StoreKey(bytes))
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its 64 lower-case hexadecimal digits: the name of its file.
    pub fn hex(&self) -> String {
        self.digits().iter().map(|&digit| char::from(digit)).collect()
    }

    /// The digits of [`StoreKey::hex`].
    pub fn digits(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }
}

/// Shows eight digits: enough to follow one session through a log, too few to ask a store for it.
impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({}…)", &self.hex()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_ids_do_not_run_into_each_other() {
        let id = [7; 32];
        assert_eq!(StoreKey::new("a", &id), StoreKey::new("a", &id));
        assert_ne!(StoreKey::new("a", &id), StoreKey::new("b", &id));
        assert_ne!(StoreKey::new("", &id), StoreKey::new("\u{7}", &id));
        assert_ne!(StoreKey::new("a", &id), StoreKey::new("a", &[8; 32]));
    }

    #[test]
    fn the_digits_of_a_key_lead_back_to_it_and_no_others_do() {
        let key = StoreKey::new("a", &[7; 32]);
        let hex = key.hex();
        assert_eq!(StoreKey::from_hex(hex.as_bytes()), Some(key));
        for other in ["", &hex[1..], &format!("{hex}00"), &format!("{}g", &hex[1..])] {
            assert_eq!(StoreKey::from_hex(other.as_bytes()), None, "{other}");
        }
        let upper = StoreKey::from_bytes([0xab; 32]).hex().to_uppercase();
        assert_eq!(StoreKey::from_hex(upper.as_bytes()), None);
    }

    #[test]
    fn the_key_of_a_session_is_the_same_in_every_release() {
        // printf of the three length-prefixed parts | sha256sum: sessions outlive an upgrade.
        let hex = |scope: &str| StoreKey::new(scope, &[0; 32]).hex();
        assert_eq!(
            hex("example.org"),
            "7e6b15a0e26fb407263286114432f5561bdfc54a94b8f03d96dba1afd2858606"
        );
        assert_eq!(
            hex(&"s".repeat(300)),
            "0d91adeda3f1ce959246bcd45d8d1c8875ea681225a53d382cbb2bd8256ccdec"
        );
    }

    #[test]
    fn debug_output_shows_a_part_only() {
        let key = StoreKey::new("example.org", &[0; 32]);
        assert!(!format!("{key:?}").contains(&key.hex()));
    }
}
