//! The session as notes of a request: what a handler is offered, and what it made of it.
//!
//! Notes are a table of C strings that any handler, in any language, can read and write. They say
//! nothing by themselves: they are looked at when output leaves and when the handler ends, and what
//! differs from what was offered is the change.

use std::ffi::CStr;
use std::time::Duration;

use arrayvec::ArrayString;

use super::candidates::Reason;
use super::error::SessionError;
use super::state::Session;
use super::values::{KEY_MAX, Key};
use crate::core::clock::Clock;
use crate::core::export::text::decoded;

/// In front of a key in the name of a note.
pub const VALUE_PREFIX: &str = "session:";
/// In front of a fact in the name of a note.
pub const FACT_PREFIX: &str = "session-store.";

const NEW: &str = "session-store.new";
const REASON: &str = "session-store.reason";
/// What the notes say of a visitor who brought no id, but for [`TIMEOUT_NOTE`]: names and values.
pub const BLANK: [(&CStr, &CStr); 2] =
    [(c"session-store.new", c"1"), (c"session-store.reason", c"none")];
/// The note of how long a session lives, in seconds.
pub const TIMEOUT_NOTE: &CStr = c"session-store.timeout";
const CREATED: &str = "session-store.created";
const ACCESSED: &str = "session-store.accessed";
const TIMEOUT: &str = "session-store.timeout";
const USER: &str = "session-store.user";
const ID: &str = "session-store.id";
const DO: &str = "session-store.do";
/// Keys to be removed, for handlers whose language cannot take a note away: PHP's cannot.
const UNSET: &str = "session-store.unset";

/// The name of the note of a key.
pub fn note_of(key: &Key) -> ArrayString<{ VALUE_PREFIX.len() + KEY_MAX }> {
    let mut name = ArrayString::new();
    name.push_str(VALUE_PREFIX);
    name.push_str(key.as_str());
    name
}

/// Whether a note is one of ours.
pub fn is_ours(name: &[u8]) -> bool {
    // Most names of other modules are told apart by their first byte.
    matches!(name.first(), Some(b's' | b'S'))
        && (starts_with(name, VALUE_PREFIX) || starts_with(name, FACT_PREFIX))
}

fn starts_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A number as text, for which no memory is asked.
pub struct Decimal {
    /// Twenty digits are the most.
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// That of `number`.
    pub fn of(mut number: u64) -> Decimal {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Decimal { digits, start };
            }
        }
    }

    /// Its digits, without zeros in front.
    pub fn digits(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// The notes that a handler was offered, in one piece of memory: each name and behind it its value, a NUL
/// after each, as tables of notes have them. Neither has a NUL in it.
#[derive(Clone, Default)]
pub struct Offer {
    text: Vec<u8>,
}

impl Offer {
    /// What a visitor who brought no id is offered: that there is no session, and how long one would
    /// live. Nothing has to be opened to know that. The same notes as [`BLANK`] and [`TIMEOUT_NOTE`].
    pub fn blank(timeout: Duration) -> Offer {
        let mut offer = Offer { text: Vec::with_capacity(96) };
        offer.add(&[NEW], b"1");
        offer.add(&[REASON], Reason::None.word().as_bytes());
        offer.add_number(TIMEOUT, timeout.as_secs());
        offer
    }

    /// The session as notes. `wire_id` is its id in the form that travels, if it has one. A value
    /// with a NUL in it is not offered: no C string can hold it. Times are those of a session that
    /// was found; a new one has none yet.
    pub fn of(session: &Session, wire_id: Option<&str>, clock: &dyn Clock) -> Offer {
        let values = session.iter().map(|(key, value)| key.len() + value.len() + 16);
        let mut offer = Offer { text: Vec::with_capacity(320 + values.sum::<usize>()) };
        for (key, value) in session.iter() {
            offer.add(&[VALUE_PREFIX, key], value);
        }
        offer.add(&[NEW], if session.is_new() { b"1" } else { b"0" });
        offer.add(&[REASON], session.reason().word().as_bytes());
        offer.add_number(TIMEOUT, session.timeout().as_secs());
        if !session.is_new() {
            offer.add_number(CREATED, session.created(clock).secs());
            offer.add_number(ACCESSED, session.accessed(clock).secs());
        }
        if let Some(user) = session.user() {
            offer.add(&[USER], user.as_bytes());
        }
        if let Some(id) = wire_id {
            offer.add(&[ID], id.as_bytes());
        }
        offer
    }

    /// A value with a NUL in it is left out. No name has one: a key has none.
    fn add(&mut self, name: &[&str], value: &[u8]) {
        if memchr::memchr(0, value).is_some() {
            return;
        }
        name.iter().for_each(|part| self.text.extend_from_slice(part.as_bytes()));
        self.text.push(0);
        self.text.extend_from_slice(value);
        self.text.push(0);
    }

    fn add_number(&mut self, name: &str, number: u64) {
        self.add(&[name], Decimal::of(number).digits());
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // Names are made of texts.
        self.bytes().map(|(name, value)| (std::str::from_utf8(name).unwrap_or_default(), value))
    }

    fn bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        pairs(&self.text).map(|(name, value)| (self.part(name), self.part(value)))
    }

    fn part(&self, (start, end): Part) -> &[u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Looks values up one after the other.
    pub fn finder(&self) -> Finder<'_> {
        Finder { offer: self, ahead: pairs(&self.text) }
    }

    /// All names and values, each with a NUL behind it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where in the text each name and its value begin.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        pairs(&self.text).map(|(name, value)| (name.0, value.0))
    }

    /// Takes over what another interface wrote: it is no change of the handler's.
    pub fn set(&mut self, name: &str, value: Option<&[u8]>) {
        let is = |known| self.part(known).eq_ignore_ascii_case(name.as_bytes());
        let gone = pairs(&self.text).find(|&(known, _)| is(known));
        if let Some(((start, _), (_, end))) = gone {
            // Who sets a value again and again shall not fill the memory.
            self.text.drain(start..=end);
        }
        if let Some(value) = value {
            self.add(&[name], value);
        }
    }
}

/// Looks values of an offer up. Names that are asked for in the order of the offer, as those of a table
/// that was filled with it are, are found where the last one ended.
pub struct Finder<'o> {
    offer: &'o Offer,
    ahead: Pairs<'o>,
}

impl<'o> Finder<'o> {
    /// The value offered under `name`.
    pub fn find(&mut self, name: &[u8]) -> Option<&'o [u8]> {
        let is = |&(known, _): &(Part, Part)| self.offer.part(known).eq_ignore_ascii_case(name);
        let mut ahead = self.ahead.clone();
        let found = ahead.next().filter(is).or_else(|| {
            ahead = pairs(&self.offer.text);
            ahead.find(is)
        });
        let (_, value) = found?;
        self.ahead = ahead;
        Some(self.offer.part(value))
    }
}

/// Where a name or a value begins, and where the NUL behind it is.
type Part = (usize, usize);

/// Where the names and values of an offer's text are, in order.
#[derive(Clone)]
struct Pairs<'o> {
    text: &'o [u8],
    at: usize,
}

fn pairs(text: &[u8]) -> Pairs<'_> {
    Pairs { text, at: 0 }
}

impl Pairs<'_> {
    fn part(&mut self) -> Option<Part> {
        let start = self.at;
        let end = start + memchr::memchr(0, self.text.get(start..)?)?;
        self.at = end + 1;
        Some((start, end))
    }
}

impl Iterator for Pairs<'_> {
    type Item = (Part, Part);

    fn next(&mut self) -> Option<(Part, Part)> {
        Some((self.part()?, self.part()?))
    }
}

/// What a handler wants done besides changes, in the order in which it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Do {
    Revert,
    Delete,
    Invalidate,
    Regenerate,
    Unlock,
}

fn word(text: &str) -> Option<Do> {
    match text {
        "revert" => Some(Do::Revert),
        "delete" => Some(Do::Delete),
        "invalidate" => Some(Do::Invalidate),
        "regenerate" => Some(Do::Regenerate),
        "unlock" => Some(Do::Unlock),
        _ => None,
    }
}

/// What a handler made of the notes it was offered.
#[derive(Default)]
pub struct Look {
    values: Vec<(Key, Option<Vec<u8>>)>,
    /// Keys that are to be removed whatever their notes say.
    removed: Vec<Key>,
    user: Option<Option<String>>,
    timeout: Option<u32>,
    todo: Vec<Do>,
    /// Notes and words that make no sense: keys no session can have, unknown words.
    refused: usize,
}

/// What became of a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The handler asks for the session to be let go.
    pub unlock: bool,
    /// What could not be understood; counted, logged without its text.
    pub refused: usize,
}

impl Look {
    /// Compares the notes as they are now with the offer. `notes` are names and values; ours are
    /// picked.
    pub fn at<'n>(offer: &Offer, notes: impl Iterator<Item = (&'n [u8], &'n [u8])>) -> Look {
        let (mut look, mut seen, mut offered) = (Look::default(), Vec::new(), offer.finder());
        for (name, value) in notes.filter(|(name, _)| is_ours(name)) {
            seen.push(name);
            if offered.find(name) != Some(value) {
                look.changed(name, value);
            }
        }
        for (name, _) in offer.iter() {
            if !seen.iter().any(|s| s.eq_ignore_ascii_case(name.as_bytes())) {
                look.removed(name);
            }
        }
        let removed = std::mem::take(&mut look.removed);
        look.values.retain(|(key, _)| !removed.contains(key));
        look.values.extend(removed.into_iter().map(|key| (key, None)));
        look
    }

    /// Whether the handler left the notes as they were offered.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.user.is_none()
            && self.timeout.is_none()
            && self.todo.is_empty()
            && self.refused == 0
    }

    /// Whether the handler has logged a user in.
    pub fn logs_in(&self) -> bool {
        matches!(self.user, Some(Some(_)))
    }

    fn changed(&mut self, name: &[u8], value: &[u8]) {
        if starts_with(name, VALUE_PREFIX) {
            match Key::from_bytes(&name[VALUE_PREFIX.len()..]) {
                Some(key) => self.values.push((key, Some(value.to_vec()))),
                None => self.refused += 1,
            }
        } else if name.eq_ignore_ascii_case(USER.as_bytes()) {
            match std::str::from_utf8(value) {
                Ok("") => self.user = Some(None),
                Ok(user) => self.user = Some(Some(user.to_owned())),
                Err(_) => self.refused += 1,
            }
        } else if name.eq_ignore_ascii_case(TIMEOUT.as_bytes()) {
            match std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok()) {
                Some(seconds) if seconds > 0 => self.timeout = Some(seconds),
                _ => self.refused += 1,
            }
        } else if name.eq_ignore_ascii_case(DO.as_bytes()) {
            self.words(value);
        } else if name.eq_ignore_ascii_case(UNSET.as_bytes()) {
            self.keys(value);
        }
    }

    /// Keys, percent-encoded and separated by commas. They win over notes, which their writer cannot
    /// take back.
    fn keys(&mut self, value: &[u8]) {
        for part in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            match decoded(part).as_deref().and_then(Key::from_bytes) {
                Some(key) => self.removed.push(key),
                None if part.is_empty() => {}
                None => self.refused += 1,
            }
        }
    }

    fn words(&mut self, value: &[u8]) {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        for part in text.split(|c: char| c == ',' || c.is_ascii_whitespace()) {
            match word(part) {
                Some(what) => self.todo.push(what),
                None if part.is_empty() => {}
                None => self.refused += 1,
            }
        }
        self.todo.sort_unstable();
        self.todo.dedup();
    }

    fn removed(&mut self, name: &str) {
        if let Some(key) = name.strip_prefix(VALUE_PREFIX).and_then(Key::new) {
            self.values.push((key, None));
        } else if name == USER {
            self.user = Some(None);
        }
    }

    /// Does to the session what the handler wants: revert, delete or invalidate, changes,
    /// regenerate. Revert and invalidate drop the changes of this look. Goes on after an error and
    /// reports the first.
    pub fn apply(self, session: &mut Session) -> Result<Applied, SessionError> {
        let mut first = Ok(());
        let mut note = |outcome: Result<(), SessionError>| {
            if first.is_ok() {
                first = outcome;
            }
        };
        let asked = |what: Do| self.todo.contains(&what);
        if asked(Do::Revert) {
            note(session.revert());
        }
        if asked(Do::Invalidate) {
            note(forgiving(session.invalidate()));
        } else if asked(Do::Delete) {
            note(forgiving(session.delete()));
        }
        if !asked(Do::Revert) && !asked(Do::Invalidate) {
            // Removals first: they make room for what comes.
            for (key, _) in self.values.iter().filter(|(_, value)| value.is_none()) {
                note(session.unset(key).map(drop));
            }
            for (key, value) in &self.values {
                if let Some(value) = value {
                    note(session.set(key, value));
                }
            }
            if let Some(user) = &self.user {
                note(session.set_user(user.as_deref()));
            }
            if let Some(seconds) = self.timeout {
                note(session.set_timeout(seconds));
            }
        }
        if asked(Do::Regenerate) {
            // Through an old id: the session has a new one, which is what was asked for.
            match forgiving(session.regenerate()) {
                Err(SessionError::ThroughAlias) => {}
                outcome => note(outcome),
            }
        }
        let applied = Applied { unlock: asked(Do::Unlock), refused: self.refused };
        first.map(|()| applied)
    }
}

/// There is nothing to be ended or renewed where there is no session: no error for a note.
fn forgiving(outcome: Result<(), SessionError>) -> Result<(), SessionError> {
    match outcome {
        Err(SessionError::NoSession) => Ok(()),
        other => other,
    }
}
