//! The form in which an id travels: bare, or signed when the server has secrets.

use arrayvec::{ArrayString, ArrayVec};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::id::{ID_CHARS, SessionId, ascii, decode, encode};

/// Bytes of the tag behind a signed id: 128 bits of an HMAC-SHA-256.
const TAG_BYTES: usize = 16;
/// Characters of the tag.
const TAG_CHARS: usize = 22;
/// Most characters of an id in the form that travels.
const WIRE_CHARS: usize = ID_CHARS + 1 + TAG_CHARS;

/// An id in the form that travels.
pub type Wire = ArrayString<WIRE_CHARS>;

/// What is signed before the id, so that a tag made here is worth nothing elsewhere.
const PURPOSE: &[u8] = b"mod_session_store id 1";

/// Most secrets that are kept.
pub const SECRETS_MAX: usize = 8;

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// An id. `stale`: signed by a secret that is not the first, to be signed again.
    Id {
        /// The id.
        id: SessionId,
        /// Whether it should be signed anew.
        stale: bool,
    },
    /// An id without a signature, or with one that no secret made.
    BadSignature,
    /// No id at all.
    Malformed,
}

/// The server's secrets: the first signs, all verify. None: ids travel bare.
#[derive(Clone, Default)]
pub struct Secrets(Vec<Hmac<Sha256>>);

impl Secrets {
    /// Prepares secrets in order; at most [`SECRETS_MAX`] are taken.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Secrets {
        let keyed = secrets.iter().take(SECRETS_MAX).filter_map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_ref()).ok()?;
            mac.update(PURPOSE);
            Some(mac)
        });
        Secrets(keyed.collect())
    }

    /// Whether ids are signed.
    pub fn signing(&self) -> bool {
        !self.0.is_empty()
    }

    /// The form of `id` that goes to the client.
    pub fn wire(&self, id: &SessionId) -> Wire {
        let mut text = ArrayVec::new();
        encode(id.as_bytes(), &mut text);
        if let Some(first) = self.0.first() {
            let tag = first.clone().chain_update(id.as_bytes()).finalize().into_bytes();
            text.push(b'.');
            encode(&tag[..TAG_BYTES], &mut text);
        }
        ascii(&text)
    }

    /// Reads what a client sent. With secrets an unsigned id is refused: no downgrade.
    pub fn parse(&self, text: &[u8]) -> Parsed {
        if text.len() > WIRE_CHARS {
            return Parsed::Malformed;
        }
        let (head, tail) = text.split_at(text.len().min(ID_CHARS));
        let Some(id) = SessionId::parse(head) else { return Parsed::Malformed };
        if !self.signing() {
            return if tail.is_empty() {
                Parsed::Id { id, stale: false }
            } else {
                Parsed::Malformed
            };
        }
        let mut tag = [0; TAG_BYTES];
        match tail.split_first() {
            None => return Parsed::BadSignature,
            Some((b'.', rest)) if decode(rest, &mut tag) => {}
            Some(_) => return Parsed::Malformed,
        }
        let made = |mac: &Hmac<Sha256>| {
            mac.clone().chain_update(id.as_bytes()).verify_truncated_left(&tag).is_ok()
        };
        match self.0.iter().position(made) {
            Some(by) => Parsed::Id { id, stale: by > 0 },
            None => Parsed::BadSignature,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::session::id::SystemRandom;

    fn id() -> SessionId {
        SessionId::generate(&SystemRandom).unwrap()
    }

    #[test]
    fn without_secrets_an_id_travels_bare_and_a_signed_one_is_malformed() {
        let (id, none, some) = (id(), Secrets::default(), Secrets::new(&["a".repeat(32)]));
        assert_eq!(none.parse(none.wire(&id).as_bytes()), Parsed::Id { id, stale: false });
        assert_eq!(none.parse(some.wire(&id).as_bytes()), Parsed::Malformed);
    }

    #[test]
    fn a_signed_id_is_known_again_and_an_unsigned_one_refused() {
        let (id, secrets) = (id(), Secrets::new(&["a".repeat(32)]));
        let wire = secrets.wire(&id);
        assert_eq!(wire.len(), WIRE_CHARS);
        assert_eq!(secrets.parse(wire.as_bytes()), Parsed::Id { id, stale: false });
        assert_eq!(secrets.parse(id.text().as_bytes()), Parsed::BadSignature);
    }

    #[test]
    fn an_older_secret_verifies_and_asks_for_a_new_signature() {
        let (id, old) = (id(), Secrets::new(&["old old old old!"]));
        let both = Secrets::new(&["new new new new!", "old old old old!"]);
        assert_eq!(both.parse(old.wire(&id).as_bytes()), Parsed::Id { id, stale: true });
        assert_eq!(old.parse(both.wire(&id).as_bytes()), Parsed::BadSignature);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let secrets = Secrets::new(&["a".repeat(32)]);
        let wire = secrets.wire(&id());
        for place in 0..wire.len() {
            let mut text = wire.as_bytes().to_vec();
            text[place] = if text[place] == b'A' { b'B' } else { b'A' };
            assert!(!matches!(secrets.parse(&text), Parsed::Id { .. }), "character {place}");
        }
        for cut in 0..wire.len() {
            assert!(!matches!(secrets.parse(&wire.as_bytes()[..cut]), Parsed::Id { .. }));
        }
        assert_eq!(secrets.parse(format!("{wire}A").as_bytes()), Parsed::Malformed);
    }
}
