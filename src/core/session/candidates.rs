//! The ids a request brings.

use arrayvec::ArrayVec;

use super::id::SessionId;
use super::wire::{Parsed, Secrets};

/// Most well-formed ids of one request that are looked for: more is an attack on the store.
pub const CANDIDATES_MAX: usize = 3;

/// Where an id came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The cookie.
    Cookie,
    /// A request header.
    Header,
    /// The query string.
    Query,
}

/// Why a request has no session, or a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reason {
    /// It brought no id, or its session was found.
    #[default]
    None,
    /// Its id names no session.
    Unknown,
    /// Its session is over.
    Expired,
    /// What it brought is no id.
    Malformed,
    /// Its record was damaged.
    Corrupt,
    /// Its id is not signed, or not by us.
    BadSignature,
}

impl Reason {
    /// The word for notes and the C interface.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::None => "none",
            Reason::Unknown => "unknown",
            Reason::Expired => "expired",
            Reason::Malformed => "malformed",
            Reason::Corrupt => "corrupt",
            Reason::BadSignature => "badsig",
        }
    }
}

/// An id that was presented in the right form, with the right signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The id.
    pub id: SessionId,
    /// Where it came from.
    pub source: Source,
    /// Signed by an older secret.
    pub stale: bool,
}

/// The ids of a request in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    found: ArrayVec<Candidate, CANDIDATES_MAX>,
    reason: Reason,
}

impl Candidates {
    /// Takes the next text that was presented as an id.
    pub fn add(&mut self, secrets: &Secrets, source: Source, text: &[u8]) {
        if text.is_empty() || self.found.is_full() {
            return;
        }
        match secrets.parse(text) {
            Parsed::Id { id, stale } => {
                if !self.found.iter().any(|known| known.id == id) {
                    self.found.push(Candidate { id, source, stale });
                }
            }
            Parsed::BadSignature => self.reason = Reason::BadSignature,
            Parsed::Malformed if self.reason == Reason::None => self.reason = Reason::Malformed,
            Parsed::Malformed => {}
        }
    }

    /// The ids to be tried, in order.
    pub fn ids(&self) -> &[Candidate] {
        &self.found
    }

    /// Why there is none among what was presented; [`Reason::None`] if nothing was.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether nothing was presented at all, not even something malformed.
    pub fn is_nothing(&self) -> bool {
        self.found.is_empty() && self.reason == Reason::None
    }

    /// Whether an id came by cookie: such a cookie is cleared when its session ends.
    pub fn by_cookie(&self) -> bool {
        self.found.iter().any(|candidate| candidate.source == Source::Cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::session::id::SystemRandom;

    fn text() -> String {
        SessionId::generate(&SystemRandom).unwrap().text().to_string()
    }

    #[test]
    fn at_most_three_different_ids_are_tried_in_order() {
        let (mut candidates, secrets) = (Candidates::default(), Secrets::default());
        let ids: Vec<String> = (0..5).map(|_| text()).collect();
        candidates.add(&secrets, Source::Cookie, b"malformed");
        candidates.add(&secrets, Source::Cookie, ids[0].as_bytes());
        for id in &ids {
            candidates.add(&secrets, Source::Query, id.as_bytes());
        }
        let tried: Vec<String> = candidates.ids().iter().map(|c| c.id.text().to_string()).collect();
        assert_eq!(tried, &ids[..3]);
        assert!(candidates.by_cookie());
    }

    #[test]
    fn the_reason_tells_a_bad_signature_from_a_malformed_id_and_from_nothing() {
        let signing = Secrets::new(&["0123456789abcdef"]);
        let mut candidates = Candidates::default();
        candidates.add(&signing, Source::Cookie, b"");
        assert_eq!(candidates.reason(), Reason::None);
        candidates.add(&signing, Source::Cookie, b"junk");
        assert_eq!(candidates.reason(), Reason::Malformed);
        candidates.add(&signing, Source::Cookie, text().as_bytes());
        assert_eq!(candidates.reason(), Reason::BadSignature);
        assert!(candidates.ids().is_empty());
    }
}
