//! Session ids: made, printed, parsed; never shown in a log.

use std::fmt;
use std::io;

use arrayvec::{ArrayString, ArrayVec};

/// Bytes of randomness in an id.
pub const ID_BYTES: usize = 32;
/// Characters of an id in base64url without padding.
pub const ID_CHARS: usize = 43;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Where randomness comes from.
pub trait Random: Send + Sync {
    /// Fills `bytes`; fails only if the operating system has no randomness to give.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The operating system's generator, asked anew each time: nothing is seeded before a fork.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}

/// 32 random bytes that name a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId([u8; ID_BYTES]);

impl SessionId {
    /// A new id.
    pub fn generate(random: &dyn Random) -> io::Result<SessionId> {
        let mut bytes = [0; ID_BYTES];
        random.fill(&mut bytes)?;
        Ok(SessionId(bytes))
    }

    /// Reads exactly 43 characters of base64url; none for every other text, including another spelling
    /// of the same bytes.
    pub fn parse(text: &[u8]) -> Option<SessionId> {
        let mut bytes = [0; ID_BYTES];
        (text.len() == ID_CHARS && decode(text, &mut bytes)).then_some(SessionId(bytes))
    }

    /// The 43 characters.
    pub fn text(&self) -> ArrayString<ID_CHARS> {
        let mut text = ArrayVec::new();
        encode(&self.0, &mut text);
        ascii(&text)
    }

    /// The bytes, to be hashed.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// Appends `bytes` to `text`, which has room, in base64url without padding (RFC 4648, section 5).
pub(super) fn encode<const N: usize>(bytes: &[u8], text: &mut ArrayVec<u8, N>) {
    let (groups, rest) = bytes.as_chunks::<3>();
    for group in groups {
        // There is room, the caller says; byte by byte this takes three times as long.
        let _ = text.try_extend_from_slice(&letters(*group));
    }
    let mut last = [0; 3];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let count = if rest.is_empty() { 0 } else { rest.len() + 1 };
    text.extend(letters(last).into_iter().take(count));
}

/// What [`encode`] has made, as a text.
pub(super) fn ascii<const N: usize>(text: &ArrayVec<u8, N>) -> ArrayString<N> {
    // The alphabet is ASCII, and there is as much room.
    let text = std::str::from_utf8(text).unwrap_or_default();
    ArrayString::from(text).unwrap_or_default()
}

fn letters([a, b, c]: [u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift) as usize & 63])
}

/// Fills `bytes` from exactly as many characters as they need; false if a character is foreign or the
/// unused bits of the last one are not zero, so that each value has one spelling only.
pub(super) fn decode(text: &[u8], bytes: &mut [u8]) -> bool {
    if text.len() != (bytes.len() * 8).div_ceil(6) {
        return false;
    }
    let (texts, last_text) = text.as_chunks::<4>();
    let (groups, last_group) = bytes.as_chunks_mut::<3>();
    for (four, group) in texts.iter().zip(groups) {
        let Some(three) = three(*four) else { return false };
        *group = three;
    }
    // What is not there counts as zero bits.
    let mut four = [ALPHABET[0]; 4];
    four.iter_mut().zip(last_text).for_each(|(to, from)| *to = *from);
    let Some(three) = three(four) else { return false };
    last_group.iter_mut().zip(three).for_each(|(to, from)| *to = from);
    three[last_group.len()..].iter().all(|&rest| rest == 0)
}

fn three(four: [u8; 4]) -> Option<[u8; 3]> {
    let mut bits = 0u32;
    for character in four {
        let value = VALUES[usize::from(character)];
        if value == FOREIGN {
            return None;
        }
        bits = bits << 6 | u32::from(value);
    }
    let [_, a, b, c] = bits.to_be_bytes();
    Some([a, b, c])
}

/// In [`VALUES`], what is no character of the alphabet.
const FOREIGN: u8 = 0xff;

/// The value of each character.
static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [FOREIGN; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_43_characters_and_never_the_same_twice() {
        let one = SessionId::generate(&SystemRandom).unwrap();
        let two = SessionId::generate(&SystemRandom).unwrap();
        assert_eq!(one.text().len(), ID_CHARS);
        assert_ne!(one, two);
        assert_eq!(SessionId::parse(one.text().as_bytes()), Some(one));
    }

    #[test]
    fn base64url_agrees_with_the_examples_of_rfc_4648() {
        for (plain, coded) in [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            let mut text = ArrayVec::<u8, 8>::new();
            encode(plain.as_bytes(), &mut text);
            assert_eq!(&*ascii(&text), coded);
        }
        let mut text = ArrayVec::<u8, 8>::new();
        encode(&[0xfb, 0xff], &mut text);
        assert_eq!(&*ascii(&text), "-_8");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let good = "A".repeat(ID_CHARS);
        assert!(SessionId::parse(good.as_bytes()).is_some());
        let cases = [
            "",
            "short",
            "../../../etc/passwd",
            &good[1..],
            &format!("{good}A"),
            &format!("{good}\n"),
        ];
        for bad in cases {
            assert!(SessionId::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
        for foreign in ["=", "+", "/", ".", "%", "\0", " ", ","] {
            let text = format!("{}{foreign}", &good[1..]);
            assert!(SessionId::parse(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn an_id_has_one_spelling_only() {
        let zero = "A".repeat(ID_CHARS);
        let same_bytes_other_text = format!("{}B", &zero[1..]);
        assert!(SessionId::parse(same_bytes_other_text.as_bytes()).is_none());
    }

    #[test]
    fn debug_output_does_not_give_the_id_away() {
        let id = SessionId::generate(&SystemRandom).unwrap();
        assert!(!format!("{id:?}").contains(&id.text()[..4]));
    }

    proptest! {
        #[test]
        fn every_accepted_text_prints_as_itself(text in "[A-Za-z0-9_-]{43}") {
            if let Some(id) = SessionId::parse(text.as_bytes()) {
                prop_assert_eq!(&*id.text(), &text);
            }
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = SessionId::parse(&text);
        }
    }
}
