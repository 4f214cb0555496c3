//! What a request does to its session, in memory until the next commit.

use super::candidates::Reason;
use super::codec::USER_MAX;
use super::error::SessionError;
use super::record::Record;
use super::state::{Doomed, Session, blank};
use super::values::Key;

impl Session {
    /// Sets its own idle timeout, in whole seconds, at least one; it is kept with the session.
    pub fn set_timeout(&mut self, seconds: u32) -> Result<(), SessionError> {
        self.may_write()?;
        if seconds == 0 {
            return Err(SessionError::BadArgument);
        }
        self.view.timeout = Some(seconds);
        Ok(())
    }

    /// Logs `user` in, or out. A change gives the session a new id at the next commit and closes the form
    /// tokens.
    pub fn set_user(&mut self, user: Option<&str>) -> Result<(), SessionError> {
        self.may_write()?;
        if self.view.user.as_deref() == user {
            return Ok(());
        }
        let odd = |name: &str| {
            name.is_empty() || name.len() > USER_MAX || name.chars().any(char::is_control)
        };
        if user.is_some_and(odd) {
            return Err(SessionError::BadArgument);
        }
        if self.base.as_ref().is_some_and(|base| base.alias) {
            return Err(SessionError::ThroughAlias);
        }
        if self.head_sent {
            return Err(SessionError::HeadSent);
        }
        let (bytes, keys) = size_of(&self.view);
        let old = self.view.user.as_deref().map_or(0, str::len);
        self.fits((bytes, keys), (bytes - old + user.map_or(0, str::len), keys))?;
        self.view.user = user.map(str::to_owned);
        self.user_is_ours = true;
        // A form of before is not answered in another user's name.
        self.view.tokens.clear();
        Ok(())
    }

    /// Sets `key`; past a limit the old value stays.
    pub fn set(&mut self, key: &Key, value: &[u8]) -> Result<(), SessionError> {
        self.put(key, value)?;
        self.touched.set(key);
        Ok(())
    }

    /// The same, but for noting that it is a change.
    pub(super) fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), SessionError> {
        self.may_write()?;
        if self.base.is_none() && self.head_sent && !self.is_told() {
            return Err(SessionError::HeadSent);
        }
        let (old_bytes, new_keys) = match self.view.values.get(key) {
            Some(old) => (key.as_str().len() + old.len(), 0),
            None => (0, 1),
        };
        let (bytes, keys) = size_of(&self.view);
        let after = bytes - old_bytes + key.as_str().len() + value.len();
        self.fits((bytes, keys), (after, keys + new_keys))?;
        self.view.values.set(key, value);
        Ok(())
    }

    /// Removes `key`; false if it was not there.
    pub fn unset(&mut self, key: &Key) -> Result<bool, SessionError> {
        self.may_write()?;
        let removed = self.view.values.remove(key);
        if removed {
            self.touched.set(key);
        }
        Ok(removed)
    }

    /// Back to the state at the last load or commit.
    pub fn revert(&mut self) -> Result<(), SessionError> {
        self.may_write()?;
        self.undo();
        Ok(())
    }

    /// Ends the session: the record goes. What is set later makes a new record under the same id;
    /// under a new one if the request came by an old id, whose place the alias has.
    pub fn delete(&mut self) -> Result<(), SessionError> {
        let keep_id = !self.base.as_ref().is_some_and(|base| base.alias);
        self.end(keep_id)
    }

    /// Ends the session: record and cookie go. What is set later makes a new session.
    pub fn invalidate(&mut self) -> Result<(), SessionError> {
        self.end(false)
    }

    /// Gives the session a new id at the next commit; the old one finds it for a while.
    pub fn regenerate(&mut self) -> Result<(), SessionError> {
        self.may_write()?;
        match &self.base {
            None if self.view.is_empty() => Err(SessionError::NoSession),
            None if self.head_sent => Err(SessionError::HeadSent),
            None => {
                self.forget_id();
                Ok(())
            }
            Some(base) if base.alias => Err(SessionError::ThroughAlias),
            Some(_) if self.head_sent => Err(SessionError::HeadSent),
            Some(_) => {
                self.regenerate = true;
                Ok(())
            }
        }
    }

    fn end(&mut self, keep_id: bool) -> Result<(), SessionError> {
        self.may_write()?;
        let nothing = self.base.is_none() && self.doomed.is_none() && self.view.is_empty();
        if nothing {
            return Err(SessionError::NoSession);
        }
        let name = self.name;
        if let Some(base) = self.base.take() {
            let (fresh, reason, previous_visit) = (self.fresh, self.reason, self.previous_visit);
            let doomed = Doomed { base, name, fresh, reason, previous_visit };
            self.doomed = Some(Box::new(doomed));
        }
        self.start_anew(Reason::None);
        self.user_is_ours = true;
        if keep_id {
            self.name = name;
        }
        Ok(())
    }

    /// Takes back what no commit has seen yet.
    pub(super) fn undo(&mut self) {
        if let Some(doomed) = self.doomed.take() {
            self.base = Some(doomed.base);
            self.name = doomed.name;
            self.fresh = doomed.fresh;
            self.reason = doomed.reason;
            self.previous_visit = doomed.previous_visit;
        }
        self.regenerate = false;
        self.drop_changes();
    }

    pub(super) fn drop_changes(&mut self) {
        self.view = self.base.as_ref().map_or_else(blank, |base| base.record.clone());
        self.touched.clear();
    }

    /// Whether the place allows a session of `after` bytes and keys that had `before`. One that is
    /// past a limit already, because the limit was lowered, may shrink.
    pub(super) fn fits(
        &self,
        before: (usize, usize),
        after: (usize, usize),
    ) -> Result<(), SessionError> {
        if after.0 > self.rules.place.max_size().max(before.0) {
            return Err(SessionError::Limit("SessionMaxSize"));
        }
        if after.1 > self.rules.place.max_keys().max(before.1) {
            return Err(SessionError::Limit("SessionMaxKeys"));
        }
        Ok(())
    }
}

/// What limits are about: bytes and keys.
pub(super) fn size_of(record: &Record) -> (usize, usize) {
    (record.bytes(), record.values.len())
}
