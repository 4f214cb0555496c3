//! Which sessions a user has: a hint, which every reader asks again.

use redis::Value;

use super::layout::{DIGITS, bytes, key_of};
use super::{Shared, bad};
use crate::core::clock::Clock;
use crate::core::store::{StoreError, StoreKey};

/// What is in an index for less than this may belong to a session that is just being made, in seconds.
const YOUNG: u64 = 3600;

impl Shared {
    /// To be called before the session is made.
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
        let name = self.names.index(index);
        let mut remove = redis::cmd("ZREM");
        remove.arg(&name).arg(key.digits().as_slice());
        let _ = self.ask("writing the index of users", &name, &remove);
    }

    /// The sessions of an index that say they are in it.
    pub(super) fn of_user(&self, index: &[u8; DIGITS]) -> Result<Vec<StoreKey>, StoreError> {
        let name = self.names.index(index);
        let mut range = redis::cmd("ZRANGE");
        range.arg(&name).arg(0).arg(-1);
        let members = match self.ask("reading the index of users", &name, &range) {
            Err(StoreError::Corrupt) => return Ok(Vec::new()),
            other => other?,
        };
        let mut keys = Vec::new();
        for key in keys_in(&members)? {
            if self.is_in_index(&key, index)? {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Takes what is gone for long out of an index.
    pub(super) fn sweep_index(&self, index: &[u8; DIGITS]) -> Result<(), StoreError> {
        let name = self.names.index(index);
        let old = self.clock.now().secs().saturating_sub(YOUNG);
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(&name).arg(0).arg(old);
        let members = match self.ask("reading the index of users", &name, &range) {
            Err(StoreError::Corrupt) => return Ok(()),
            other => other?,
        };
        for key in keys_in(&members)? {
            if !self.is_in_index(&key, index)? {
                self.leave_index(index, &key);
            }
        }
        Ok(())
    }

    fn is_in_index(&self, key: &StoreKey, index: &[u8; DIGITS]) -> Result<bool, StoreError> {
        let name = self.names.session(key);
        let mut get = redis::cmd("HGET");
        get.arg(&name).arg("n");
        match self.ask("reading the index of users", &name, &get) {
            Ok(found) => Ok(bytes(&found) == Some(index)),
            Err(StoreError::Corrupt) => Ok(false),
            Err(cause) => Err(cause),
        }
    }
}

fn keys_in(members: &Value) -> Result<Vec<StoreKey>, StoreError> {
    let Value::Array(members) = members else { return Err(bad("an index of users")) };
    Ok(members.iter().filter_map(bytes).filter_map(key_of).collect())
}
