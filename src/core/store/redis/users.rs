//! Which sessions a user has: a hint, which every reader asks again.
//!
//! An index lies somewhere else in a cluster than its sessions, so that no script changes both. Who makes a
//! session enters it before, so that it is never there without; and behind that once more, for who deletes
//! one of the same key takes the entry out a moment later. That one looks again whether the key is there
//! afterwards. Whichever comes last, what is there is in the index.

use redis::Value;

use super::layout::{DIGITS, bytes, key_of};
use super::{Shared, bad};
use crate::core::clock::Clock;
use crate::core::store::{StoreError, StoreKey};

/// What is in an index for less than this may belong to a session that is just being made, in seconds.
const YOUNG: u64 = 3600;
/// How many members of an index a sweep looks up at once, before it asks whether to go on.
pub(super) const STEP: u32 = 100;
const READING: &str = "reading the index of users";

impl Shared {
    /// To be called before the session is made, and after.
    pub(super) fn add_to_index(
        &self,
        index: &[u8; DIGITS],
        key: &StoreKey,
    ) -> Result<(), StoreError> {
        let name = self.names.index(index);
        let mut add = redis::cmd("ZADD");
        add.arg(&name).arg(self.clock.now().secs()).arg(key.digits().as_slice());
        match self.ask("writing the index of users", &name, &add) {
            // Another key in its place must not keep anybody from logging in.
            Ok(_) | Err(StoreError::Corrupt) => Ok(()),
            Err(cause) => Err(cause),
        }
    }

    /// To be called when the session is gone. Should it fail, the next cleanup does it.
    pub(super) fn leave_index(&self, index: &[u8], key: &StoreKey) {
        let Some(index) = index.first_chunk::<DIGITS>().filter(|_| index.len() == DIGITS) else {
            return;
        };
        // Made anew already, or nobody knows.
        if matches!(self.are_in_index(&[*key], index).as_deref(), Ok([false])) {
            self.take_out(index, &[*key]);
        }
    }

    /// Takes keys out of an index, and enters those again that are there by then.
    fn take_out(&self, index: &[u8; DIGITS], keys: &[StoreKey]) {
        if keys.is_empty() {
            return;
        }
        let name = self.names.index(index);
        let mut remove = redis::cmd("ZREM");
        remove.arg(&name);
        for key in keys {
            remove.arg(key.digits().as_slice());
        }
        let _ = self.ask("writing the index of users", &name, &remove);
        let there = self.are_in_index(keys, index);
        for (at, key) in keys.iter().enumerate() {
            // Where nobody knows, too.
            if there.as_ref().ok().and_then(|there| there.get(at)) != Some(&false) {
                let _ = self.add_to_index(index, key);
            }
        }
    }

    /// The sessions of an index that say they are in it.
    pub(super) fn of_user(&self, index: &[u8; DIGITS]) -> Result<Vec<StoreKey>, StoreError> {
        let name = self.names.index(index);
        let mut range = redis::cmd("ZRANGE");
        range.arg(&name).arg(0).arg(-1);
        let members = match self.ask(READING, &name, &range) {
            Err(StoreError::Corrupt) => return Ok(Vec::new()),
            other => other?,
        };
        Ok(self.sorted_out(&keys_in(&members)?, index)?.0)
    }

    /// Takes what is gone for long out of an index.
    ///
    /// From the member `from` on, as long as `go_on` says so, which is asked once for each: a user may
    /// have any number of them. Where to go on; none if that was the last.
    pub(super) fn sweep_index(
        &self,
        index: &[u8; DIGITS],
        mut from: u32,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<u32>, StoreError> {
        let name = self.names.index(index);
        let old = self.clock.now().secs().saturating_sub(YOUNG);
        loop {
            let mut range = redis::cmd("ZRANGEBYSCORE");
            range.arg(&name).arg(0).arg(old).arg("LIMIT").arg(from).arg(STEP);
            let members = match self.ask(READING, &name, &range) {
                Err(StoreError::Corrupt) => return Ok(None),
                other => other?,
            };
            let found = count_of(&members);
            let (_, gone) = self.sorted_out(&keys_in(&members)?, index)?;
            self.take_out(index, &gone);
            // What was taken out makes the others move up.
            from = from.saturating_add(found.saturating_sub(gone.len() as u32));
            let on = (0..found).fold(true, |on, _| go_on() && on);
            match found {
                STEP if on => {}
                STEP => return Ok(Some(from)),
                _ => return Ok(None),
            }
        }
    }

    /// Those of the keys whose sessions say that they are in the index, and those that do not or are gone.
    fn sorted_out(
        &self,
        keys: &[StoreKey],
        index: &[u8; DIGITS],
    ) -> Result<(Vec<StoreKey>, Vec<StoreKey>), StoreError> {
        let there = self.are_in_index(keys, index)?;
        let (there, gone): (Vec<_>, Vec<_>) =
            keys.iter().copied().zip(there).partition(|(_, there)| *there);
        let keys = |part: Vec<(StoreKey, bool)>| part.into_iter().map(|(key, _)| key).collect();
        Ok((keys(there), keys(gone)))
    }

    fn are_in_index(
        &self,
        keys: &[StoreKey],
        index: &[u8; DIGITS],
    ) -> Result<Vec<bool>, StoreError> {
        let names: Vec<_> = keys.iter().map(|key| self.names.session(key)).collect();
        let found = self.connections.look_up(READING, &names, "n")?;
        Ok(found.iter().map(|found| bytes(found) == Some(index)).collect())
    }
}

fn count_of(members: &Value) -> u32 {
    let Value::Array(members) = members else { return 0 };
    members.len() as u32
}

fn keys_in(members: &Value) -> Result<Vec<StoreKey>, StoreError> {
    let Value::Array(members) = members else { return Err(bad("an index of users")) };
    Ok(members.iter().filter_map(bytes).filter_map(key_of).collect())
}
