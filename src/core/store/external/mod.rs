//! Stores that httpd or another module brings: what all of them have in common.
//!
//! Such a store keeps bytes, with a checksum that tells when it does not, and knows nothing of sessions. It stands behind a [`Backend`], which hands it
//! the bytes of a record and, beside them, what it may need to know; [`ExternalStore`] makes a store of
//! it. How "one step against every other writer" comes about depends on the backend:
//!
//! - one that **compares** takes incarnation and version with each write and refuses by itself;
//! - one that does not is read before each write, under a mutex that belongs to this store alone. The
//!   pool of slot mutexes is not for this: it guards the lease table too, and a backend may wait for a
//!   network. So the step is one for the processes of this server; other machines are not excluded.
//!
//! A backend that is not safe for several processes at all ([`Facts::serial`]) is called under that
//! mutex whatever is asked of it.

mod sealed;
pub mod socache;
mod store;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

pub use self::sealed::most_of_record;
pub use self::store::ExternalStore;
use super::{Position, Stats, StoreError, StoreKey, Visit};
use crate::core::clock::Time;
use crate::core::session::record::Record;

/// Bytes of a [`UserHash`].
pub const USER_HASH_BYTES: usize = 16;

/// What stands for a user of a scope outside of the record; all zero: nobody is logged in.
pub type UserHash = [u8; USER_HASH_BYTES];

/// The hash of a user's name in a scope.
pub fn user_hash(scope: [u8; 8], user: &str) -> UserHash {
    let mut hash = Sha256::new();
    hash.update(b"mod_session_store user 1");
    hash.update(scope);
    hash.update(user.as_bytes());
    let whole: [u8; 32] = hash.finalize().into();
    let mut short = [0; USER_HASH_BYTES];
    short.copy_from_slice(&whole[..USER_HASH_BYTES]);
    short
}

/// A record on its way into a backend.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The record's bytes and their checksum; they come back as they are.
    pub bytes: &'a [u8],
    /// The life of the key that it belongs to.
    pub incarnation: u64,
    /// The latest recorded visit.
    pub accessed: Time,
    /// Until when it lives if nobody comes again.
    pub deadline: Time,
    /// Who is logged in.
    pub user: UserHash,
}

impl<'a> Stored<'a> {
    /// `record`, whose bytes are `bytes`.
    pub fn new(record: &Record, bytes: &'a [u8]) -> Stored<'a> {
        let user = record.user.as_deref();
        Stored {
            bytes,
            incarnation: record.incarnation,
            accessed: record.accessed,
            deadline: record.deadline,
            user: user.map_or([0; USER_HASH_BYTES], |user| user_hash(record.scope, user)),
        }
    }
}

/// A record as a backend gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The bytes of [`Stored`].
    pub bytes: Vec<u8>,
    /// The latest visit that [`Backend::touch`] recorded, if the backend keeps visits beside the bytes.
    pub visit: Option<Visit>,
    /// Of a backend that compares: another one after each write, touches too; never 0.
    pub version: u64,
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The life of the key.
    pub incarnation: u64,
    /// [`Found::version`]; none: any.
    pub version: Option<u64>,
}

/// Why a conditional write was not done.
#[derive(Debug)]
pub enum Refused {
    /// The record has another version than expected: it was written meanwhile.
    Changed,
    /// As for every store.
    Failed(StoreError),
}

impl From<StoreError> for Refused {
    fn from(cause: StoreError) -> Refused {
        Refused::Failed(cause)
    }
}

/// What a backend is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The store's name in logs.
    pub name: &'static str,
    /// Most bytes that it keeps under a key.
    pub record_max: usize,
    /// Each write is judged and done in one step; see [`Backend`].
    pub compares: bool,
    /// No two calls may run at a time, in any processes of the server.
    pub serial: bool,
    /// [`Backend::touch`] works.
    pub touches: bool,
    /// [`Backend::keys`] works.
    pub lists: bool,
    /// [`Backend::keys_of`] works.
    pub finds_users: bool,
    /// It removes by itself what has ended: a purge has nothing to do.
    pub expires: bool,
    /// A killed process leaves no record half-written.
    pub survives_kill: bool,
}

/// Walks over keys until told false.
pub type See<'a> = &'a mut dyn FnMut(StoreKey, Position) -> bool;

/// A store of bytes.
///
/// One that compares judges `expected` in the same step as it writes: [`StoreError::Gone`] if there is
/// no record, or another incarnation; [`Refused::Changed`] if it is another version. One that does not
/// compare may ignore it, and may write over what is there with `create`.
pub trait Backend: Send + Sync {
    /// What it is like; the same at each call.
    fn facts(&self) -> Facts;

    /// Reads a record.
    fn load(&self, key: &StoreKey) -> Result<Option<Found>, StoreError>;

    /// Writes a new record; [`StoreError::Exists`] if there is one, of a backend that compares.
    fn create(&self, key: &StoreKey, stored: &Stored<'_>) -> Result<(), StoreError>;

    /// Writes a record over the one that is there, which has `stored`'s incarnation.
    fn replace(
        &self,
        key: &StoreKey,
        stored: &Stored<'_>,
        version: Option<u64>,
    ) -> Result<(), Refused>;

    /// Moves the times of a record forward, never back. [`StoreError::Gone`] as above.
    fn touch(&self, key: &StoreKey, incarnation: u64, visit: Visit) -> Result<(), StoreError> {
        let (_, _, _) = (key, incarnation, visit);
        Err(StoreError::Unsupported)
    }

    /// Removes a record; any if nothing is expected. False if there was none like that.
    fn remove(&self, key: &StoreKey, expected: Option<Expected>) -> Result<bool, Refused>;

    /// Shows keys, each with the position behind it, until `see` returns false; some at least. True if
    /// there are no more. A key that is there all the time is seen in one walk or its continuations.
    /// `see` calls nothing of the store.
    fn keys(&self, from: &Position, see: See<'_>) -> Result<bool, StoreError> {
        let (_, _) = (from, see);
        Err(StoreError::Unsupported)
    }

    /// Shows keys of records with this user, and maybe others.
    fn keys_of(&self, user: &UserHash, see: See<'_>) -> Result<(), StoreError> {
        let (_, _) = (user, see);
        Err(StoreError::Unsupported)
    }

    /// As [`super::Store::stats`].
    fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats::default())
    }
}
