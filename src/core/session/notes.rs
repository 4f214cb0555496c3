//! The session as notes of a request: what a handler is offered, and what it made of it.
//!
//! Notes are a table of C strings that any handler, in any language, can read and write. They say
//! nothing by themselves: they are looked at when output leaves and when the handler ends, and what
//! differs from what was offered is the change.

use std::borrow::Cow;
use std::time::Duration;

use super::candidates::Reason;
use super::error::SessionError;
use super::state::Session;
use super::values::Key;
use crate::core::clock::Clock;
use crate::core::export::text::decoded;

/// In front of a key in the name of a note.
pub const VALUE_PREFIX: &str = "session:";
/// In front of a fact in the name of a note.
pub const FACT_PREFIX: &str = "session-store.";

const NEW: &str = "session-store.new";
const REASON: &str = "session-store.reason";
const CREATED: &str = "session-store.created";
const ACCESSED: &str = "session-store.accessed";
const TIMEOUT: &str = "session-store.timeout";
const USER: &str = "session-store.user";
const ID: &str = "session-store.id";
const DO: &str = "session-store.do";
/// Keys to be removed, for handlers whose language cannot take a note away: PHP's cannot.
const UNSET: &str = "session-store.unset";

fn number(number: u64) -> Text {
    Cow::Owned(number.to_string().into_bytes())
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

type Text = Cow<'static, [u8]>;

/// The notes that a handler was offered: names and values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Offer(Vec<(Cow<'static, str>, Text)>);

impl Offer {
    /// What a visitor who brought no id is offered: that there is no session, and how long one would
    /// live. Nothing has to be opened to know that.
    pub fn blank(timeout: Duration) -> Offer {
        Offer(vec![
            (NEW.into(), Cow::Borrowed(b"1")),
            (REASON.into(), Cow::Borrowed(Reason::None.word().as_bytes())),
            (TIMEOUT.into(), number(timeout.as_secs())),
        ])
    }

    /// The session as notes. `wire_id` is its id in the form that travels, if it has one. A value
    /// with a NUL in it is not offered: no C string can hold it. Times are those of a session that
    /// was found; a new one has none yet.
    pub fn of(session: &Session, wire_id: Option<String>, clock: &dyn Clock) -> Offer {
        let mut notes: Vec<(Cow<'static, str>, Text)> = Vec::with_capacity(16);
        for (key, value) in session.iter().filter(|(_, value)| !value.contains(&0)) {
            let mut name = String::with_capacity(VALUE_PREFIX.len() + key.as_str().len());
            name.push_str(VALUE_PREFIX);
            name.push_str(key.as_str());
            notes.push((name.into(), value.to_vec().into()));
        }
        let new: &[u8] = if session.is_new() { b"1" } else { b"0" };
        notes.push((NEW.into(), new.into()));
        notes.push((REASON.into(), session.reason().word().as_bytes().into()));
        notes.push((TIMEOUT.into(), number(session.timeout().as_secs())));
        if !session.is_new() {
            notes.push((CREATED.into(), number(session.created(clock).secs())));
            notes.push((ACCESSED.into(), number(session.accessed(clock).secs())));
        }
        if let Some(user) = session.user() {
            notes.push((USER.into(), user.as_bytes().to_vec().into()));
        }
        if let Some(id) = wire_id {
            notes.push((ID.into(), id.into_bytes().into()));
        }
        Offer(notes)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value offered under `name`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Takes over what another interface wrote: it is no change of the handler's.
    pub fn set(&mut self, name: &str, value: Option<&[u8]>) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if let Some(value) = value {
            self.0.push((name.to_owned().into(), value.to_vec().into()));
        }
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
        let (mut look, mut seen) = (Look::default(), Vec::new());
        for (name, value) in notes.filter(|(name, _)| is_ours(name)) {
            seen.push(name);
            if offer.get(name) != Some(value) {
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
