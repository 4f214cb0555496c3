//! What httpd's own mod_session keeps of a visitor, kept in our session.
//!
//! mod_session has a table of names and values, its entries, and loads and saves it as a whole, as a
//! text. Here the entries are the session's keys, so that other handlers see them too and they see
//! what others keep. Only what differs from what was loaded is saved.
//!
//! - Where another module encodes the text (mod_session_crypto), nobody but mod_session can read it: it
//!   is kept whole under [`Key::reserved`], and entries and keys know nothing of each other.
//! - mod_session keeps its own end of the session as an entry `expiry`. Ours are the session's deadline
//!   and timeout: that entry is neither kept nor does a key of that name become one.
//! - Entries `…-user` say who is logged in: that is the session's user, whose change gives it a new id.
//! - mod_session deletes by saving nothing. What is empty then is over, record and cookie.

mod save;
mod text;

use std::time::Duration;

pub use self::save::{Save, Unfit};
pub use self::text::encoded;
use super::state::Session;
use super::values::{Key, Values, is_reserved};
use crate::core::clock::{Clock, Time};

/// The entry in which mod_session keeps the end of the session, in microseconds since 1970.
const EXPIRY: &[u8] = b"expiry";

/// No name of so many bytes begins an encoded text by accident.
const UNLIKELY: usize = 16;

fn is_expiry(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(EXPIRY)
}

/// The keys that are entries of mod_session's, with their values: those that C strings can hold.
pub fn entries(values: &Values) -> impl Iterator<Item = (&str, &[u8])> {
    values.iter().filter(|(key, value)| {
        !is_expiry(key.as_bytes()) && !is_reserved(key) && !value.contains(&0)
    })
}

/// Entries that came out of a text.
pub fn opened<'e>(entries: impl Iterator<Item = (&'e [u8], &'e [u8])>) -> Values {
    let mut values = Values::default();
    for (name, value) in entries {
        if let Some(key) = Key::from_bytes(name).filter(|_| !is_expiry(name)) {
            values.set(&key, value);
        }
    }
    values
}

/// Entries that came out of a text which nobody encodes at this place: mod_session took it for the form
/// of an HTML page and found itself in it, a blank where it has a plus. Others have names that are short,
/// or their own.
pub fn is_unopened<'e>(
    text: &[u8],
    mut entries: impl Iterator<Item = (&'e [u8], &'e [u8])>,
) -> bool {
    let plain = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    entries.any(|(name, _)| {
        let head = text.iter().take(name.len()).map(plain);
        name.len() >= UNLIKELY && name.iter().copied().eq(head)
    })
}

/// The text that only the module which encoded it can read.
pub fn sealed(values: &Values) -> Option<&[u8]> {
    values.get(&Key::reserved())
}

impl Session {
    /// Every key and value: for mod_session, which is the one to keep some of them.
    pub fn all_values(&self) -> &Values {
        &self.view.values
    }

    /// Whether it is in the store, as far as this request knows.
    pub fn is_stored(&self) -> bool {
        self.base.is_some()
    }

    /// Whether an idle timeout was set for this session itself.
    pub fn has_own_timeout(&self) -> bool {
        self.view.timeout.is_some()
    }

    /// Until when it lives if nobody comes again, where that was set for it; none if it is past, which
    /// a request under way need not care for.
    pub fn own_end(&self, clock: &dyn Clock) -> Option<Time> {
        let left = self.idle_left(clock).filter(|_| self.has_own_timeout())?;
        (left > Duration::ZERO).then(|| clock.now().after(left))
    }
}
