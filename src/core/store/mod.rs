//! Where records are kept: one trait, one folder or file per store.
//!
//! Create and update are different verbs, and an update names the record's incarnation: it can
//! neither bring back what was deleted nor hit what took its place.

mod bounded;
mod checksum;
mod claims;
#[cfg(any(test, all(debug_assertions, feature = "httpd")))]
pub(crate) mod conformance;
pub mod dbm;
pub mod dir;
pub mod external;
#[cfg(test)]
pub mod fake;
pub mod file;
mod key;
mod listing;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

use std::any::Any;
use std::{fmt, io};

pub use self::bounded::{Bounded, Population};
pub use self::claims::{Claim, Claimed, Claims};
pub use self::key::StoreKey;
pub use self::listing::{Entry, Position, Purged, Stale, Stats};
use crate::core::clock::Time;
use crate::core::lock::{LeaseError, MutexError};
use crate::core::session::codec::{EncodeError, RECORD_MAX};
use crate::core::session::record::Record;

/// What a store remembers between a load and the update that follows.
#[derive(Default)]
pub struct Held {
    /// What it keeps open (a descriptor); none for most.
    pub kept: Option<Box<dyn Any + Send>>,
    /// Which version of the record it was, as the store tells them apart; none: not known.
    pub version: Option<u64>,
}

impl Held {
    /// Of this version.
    pub fn version(version: u64) -> Held {
        Held { kept: None, version: Some(version) }
    }
}

/// A record as it was found.
pub struct Loaded {
    /// The record; its `accessed` and `deadline` are those of the latest recorded visit.
    pub record: Record,
    /// To be handed back to [`Store::update`] or [`Store::touch`].
    pub held: Held,
}

/// A visit to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// When it was.
    pub accessed: Time,
    /// Until when the session lives if nobody comes again.
    pub deadline: Time,
}

/// What a store can and cannot do: for the configuration test, the documentation and the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// A process killed at any instruction leaves every record as it was before or as it is after.
    pub survives_kill: bool,
    /// It can be listed: scan, purge, the sessions of a user.
    pub lists: bool,
    /// Update, merge, touch and delete are one step against every other writer of the store.
    pub compares: bool,
}

/// What [`Store::merge`] is to do with the record it found.
pub enum Merge {
    /// Write this in its place.
    Write(Box<Record>),
    /// Leave it as it is.
    Keep,
}

/// Why a store did not do what it was asked.
#[derive(Debug)]
pub enum StoreError {
    /// `create` found a record under the key.
    Exists,
    /// The record is gone, or another incarnation took its place.
    Gone,
    /// What lies under the key is no record: foreign, cut short or damaged.
    Corrupt,
    /// The record was written by a newer release; it is left alone. The number is its format.
    Newer(u16),
    /// The record does not fit; the number is the most bytes that do.
    TooLarge(usize),
    /// The store is full; the text says of what and which directive bounds it.
    Full(&'static str),
    /// The store cannot do this at all; [`Abilities`] says so.
    Unsupported,
    /// The slot's mutex could not be had.
    Mutex(MutexError),
    /// Another machine holds the session; see [`Claims`].
    Lease(LeaseError),
    /// The session that was held is not any more, or was written by somebody else meanwhile.
    Overtaken,
    /// The operating system or the network refused; nothing that was stored is damaged.
    Io {
        /// What was being done, as "opening a record".
        doing: &'static str,
        /// Why it failed.
        cause: io::Error,
    },
}

impl StoreError {
    /// For `map_err`: the error of an operation of the system.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
        move |cause| StoreError::Io { doing, cause }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Exists => f.write_str("a record exists under the key already"),
            StoreError::Gone => f.write_str("the record is gone"),
            StoreError::Corrupt => f.write_str("the record is damaged or foreign"),
            StoreError::Newer(format) => {
                write!(f, "the record has format {format}, which a newer release wrote")
            }
            StoreError::TooLarge(most) => write!(f, "the record is larger than {most} bytes"),
            StoreError::Full(what) => write!(f, "the store is full: {what}"),
            StoreError::Unsupported => f.write_str("this store has no such operation"),
            StoreError::Mutex(cause) => cause.fmt(f),
            StoreError::Lease(cause) => cause.fmt(f),
            StoreError::Overtaken => f.write_str("the record was written by another request"),
            StoreError::Io { doing, cause } => write!(f, "{doing}: {cause}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Mutex(cause) => Some(cause),
            StoreError::Lease(cause) => Some(cause),
            StoreError::Io { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl From<MutexError> for StoreError {
    fn from(cause: MutexError) -> StoreError {
        StoreError::Mutex(cause)
    }
}

impl From<EncodeError> for StoreError {
    fn from(cause: EncodeError) -> StoreError {
        match cause.most {
            RECORD_MAX => StoreError::TooLarge(RECORD_MAX),
            _ => StoreError::Io {
                doing: "encoding a record",
                cause: io::Error::new(io::ErrorKind::InvalidInput, cause),
            },
        }
    }
}

/// A place where records live, shared by all processes of a server.
///
/// A method returns when the record is where it has to be; every process sees it from then on.
pub trait Store: Send + Sync {
    /// Its name in `SessionStore` and in logs.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Writes a new record. [`StoreError::Exists`] if there is one under the key.
    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError>;

    /// Reads a record; none if there is none. Takes no lock unless what it sees makes no sense.
    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError>;

    /// Replaces the record that `held` came with; the caller holds its lease and nobody writes keys
    /// without one. [`StoreError::Gone`] if it is not there any more, or not this incarnation.
    /// [`StoreError::Overtaken`] if it is another version: a process that was stopped right before this
    /// finds so that its lease went to another one, long ago.
    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError>;

    /// Reads the record again and replaces it by what `change` makes of it, with no other writer in
    /// between. [`StoreError::Gone`] if it is not there any more, or not this incarnation.
    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError>;

    /// Records a visit and nothing else; times only move forward. [`StoreError::Gone`] as above.
    fn touch(
        &self,
        key: &StoreKey,
        held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError>;

    /// Removes the record if it has this incarnation; any if none is named. False if there was none.
    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError>;

    /// Moves what lies under the key aside after [`StoreError::Corrupt`], so that it is looked at once.
    /// False if it is not corrupt after all, or gone.
    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError>;

    /// Shows records to `see` until it returns false, from a position on. Returns where to go on; none
    /// at the end. A record that is there all the time is seen, however others come and go; one made or
    /// removed meanwhile may be. No lock is held while `see` runs.
    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        let (_, _) = (from, see);
        Err(StoreError::Unsupported)
    }

    /// Removes stale records, as long as `go_on` says so; asked once for each record looked at. Each is
    /// judged again when no other writer can come in between, so that a session renewed meanwhile stays.
    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let (_, _, _) = (stale, from, go_on);
        Err(StoreError::Unsupported)
    }

    /// The keys of the sessions of a user in a scope. The user of a record never changes under its key:
    /// another user is another record.
    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        let (_, _) = (scope, user);
        Err(StoreError::Unsupported)
    }

    /// How its sessions are held against other machines; none if one machine has it for itself.
    fn claims(&self) -> Option<&dyn Claims> {
        None
    }

    /// What the store knows about itself without looking at every record.
    fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats::default())
    }
}
