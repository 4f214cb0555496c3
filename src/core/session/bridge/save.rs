//! What mod_session wants kept, and what becomes of it.

use std::fmt;

use super::super::error::SessionError;
use super::super::state::Session;
use super::super::values::{Key, Values};
use super::{encoded, entries, is_expiry};
use crate::core::export::text;

/// How the entry ends that says who is logged in.
const USER: &str = "-user";

/// Why entries cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// This many have names that no key of a session can have.
    Names(usize),
    /// They came out of a text that somebody encoded and are to be kept as plain ones.
    Opened,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Names(count) => write!(
                f,
                "{count} entries cannot be keys of a session: a key is 1 to 128 bytes of printable \
                 UTF-8 and not mod_session"
            ),
            Unfit::Opened => f.write_str(
                "the entries were encoded where they were read, and are not where they are to be saved",
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// How the entries are kept.
enum Form {
    /// Each under its name.
    Keys,
    /// As the text that somebody made of them; none if there is nothing to be kept.
    Text(Option<Vec<u8>>),
}

/// What mod_session wants kept: what differs from what it was given.
pub struct Save {
    form: Form,
    /// In the order of the table, then what is gone.
    changes: Vec<(Key, Option<Vec<u8>>)>,
    /// Entries in a text that are no keys: nobody knows whether they changed.
    odd: usize,
    /// Whom the entries name now.
    users: Vec<Vec<u8>>,
    /// Users that they named before and do not name under that key any more.
    left: Vec<Vec<u8>>,
    /// Idle seconds of the session.
    age: Option<u32>,
}

impl Save {
    /// Compares entries as they are `now` with those of `before`, a text having been opened for them or
    /// not. `text` is what was made of them to be kept.
    ///
    /// # Errors
    /// What the session cannot keep; nothing of it is kept then.
    pub fn of(
        (before, was_opened): (&Values, bool),
        now: &[(&[u8], &[u8])],
        text: &[u8],
    ) -> Result<Save, Unfit> {
        let nothing = now.iter().all(|(name, _)| is_expiry(name));
        let plain = encoded(now.iter().copied()) == text;
        let form = match (plain, was_opened) {
            _ if was_opened && nothing => Form::Text(None),
            (true, true) => return Err(Unfit::Opened),
            (true, false) => Form::Keys,
            (false, _) => Form::Text((!nothing).then(|| text.to_vec())),
        };
        let (table, odd) = table(now);
        if odd > 0 && matches!(form, Form::Keys) {
            return Err(Unfit::Names(odd));
        }
        let changed = entries(&table).filter(|(key, value)| before.get(key) != Some(*value));
        let gone = entries(before).filter(|(key, _)| table.get(key).is_none());
        let changes = changed
            .map(|(key, value)| (key, Some(value.to_vec())))
            .chain(gone.map(|(key, _)| (key, None)))
            .filter_map(|(key, value)| Some((Key::new(key)?, value)))
            .collect();
        let named = |(key, value): &(&str, &[u8])| names_user(key) && !value.is_empty();
        let users = entries(&table).filter(named).map(|(_, user)| user.to_vec()).collect();
        let left = entries(before)
            .filter(named)
            .filter(|(key, user)| table.get(key) != Some(*user))
            .map(|(_, user)| user.to_vec())
            .collect();
        Ok(Save { form, changes, odd, users, left, age: None })
    }

    /// Nothing but the time for which the session is to be kept.
    pub fn age_alone(seconds: u32) -> Save {
        let (changes, users, left) = (Vec::new(), Vec::new(), Vec::new());
        Save { form: Form::Keys, changes, odd: 0, users, left, age: Some(seconds) }
    }

    /// Has the session kept for so many idle seconds as well.
    pub fn with_age(self, seconds: Option<u32>) -> Save {
        Save { age: seconds, ..self }
    }

    /// Whether the entries are what they were.
    pub fn is_idle(&self) -> bool {
        self.changes.is_empty() && self.odd == 0
    }

    /// Whether somebody logs in. That makes a new session where there is none any more.
    pub fn logs_in(&self) -> bool {
        self.new_user().is_some()
    }

    /// Brings the changes into the session, which is open for writing. Ends it if mod_session removed
    /// something and nothing is left.
    ///
    /// # Errors
    /// The first refusal; the session is as far as it got then, not to be committed.
    pub fn apply(&self, session: &mut Session) -> Result<(), SessionError> {
        match &self.form {
            Form::Keys => self.change_keys(session)?,
            Form::Text(None) => drop(session.unset(&Key::reserved())?),
            Form::Text(Some(text)) => session.set(&Key::reserved(), text)?,
        }
        let user = self.user(session.user());
        let somebody = user.as_ref().map_or(session.user(), Option::as_deref).is_some();
        let removed = self.changes.iter().any(|(_, value)| value.is_none());
        if removed && session.all_values().is_empty() && !somebody {
            return match session.invalidate() {
                Err(SessionError::NoSession) => Ok(()),
                other => other,
            };
        }
        if let Some(user) = user {
            session.set_user(user.as_deref())?;
        }
        match self.age {
            Some(seconds) => session.set_timeout(seconds),
            None => Ok(()),
        }
    }

    fn change_keys(&self, session: &mut Session) -> Result<(), SessionError> {
        // Removals first: they make room for what comes.
        for (key, _) in self.changes.iter().filter(|(_, value)| value.is_none()) {
            session.unset(key)?;
        }
        for (key, value) in &self.changes {
            if let Some(value) = value {
                session.set(key, value)?;
            }
        }
        Ok(())
    }

    /// Who is to be the session's user, where it was `current`; none if that is not to change. A user
    /// whom somebody else has logged in stays when mod_session's goes.
    fn user(&self, current: Option<&str>) -> Option<Option<String>> {
        if let Some(user) = self.new_user() {
            return Some(Some(name_of(user)));
        }
        let current = current?;
        let goes = self.left.iter().any(|user| name_of(user) == current);
        goes.then(|| self.users.first().map(|user| name_of(user)))
    }

    fn new_user(&self) -> Option<&[u8]> {
        let set = self.changes.iter().rev().filter(|(key, _)| names_user(key.as_str()));
        set.filter_map(|(_, user)| user.as_deref()).find(|user| !user.is_empty())
    }
}

/// The entries as keys, and how many cannot be.
fn table(now: &[(&[u8], &[u8])]) -> (Values, usize) {
    let (mut table, mut odd) = (Values::default(), 0);
    for (name, value) in now.iter().filter(|(name, _)| !is_expiry(name)) {
        match Key::from_bytes(name) {
            Some(key) => table.set(&key, value),
            None => odd += 1,
        }
    }
    (table, odd)
}

fn names_user(name: &str) -> bool {
    let tail = name.len().checked_sub(USER.len()).and_then(|at| name.as_bytes().get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(USER.as_bytes()))
}

/// A user as the session can keep it. Names are in whatever encoding the form was sent; what is no
/// printable text is percent-encoded.
fn name_of(user: &[u8]) -> String {
    match std::str::from_utf8(user) {
        Ok(name) if !name.chars().any(char::is_control) => name.to_owned(),
        _ => text::encoded(user),
    }
}
