//! Walking over a store: where a walk goes on, what it sees, what it removes.

use super::{StoreError, StoreKey, Visit};
use crate::core::clock::Time;
use crate::core::session::record::Record;

/// Most bytes of a [`Position`].
pub const POSITION_MAX: usize = 64;

/// Where a walk over a store goes on; the start at first. Only the store that made it understands it; one
/// that it does not understand is the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position(Vec<u8>);

impl Position {
    /// A position of a store; the start if `bytes` are more than [`POSITION_MAX`].
    pub fn new(bytes: &[u8]) -> Position {
        if bytes.len() > POSITION_MAX { Position::default() } else { Position(bytes.to_vec()) }
    }

    /// What the store made of it; empty at the start.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// For a store that walks in the order of its keys: the last one seen; none at the start.
    pub fn key(&self) -> Option<StoreKey> {
        self.0.as_slice().try_into().ok().map(StoreKey::from_bytes)
    }
}

impl From<StoreKey> for Position {
    fn from(key: StoreKey) -> Position {
        Position(key.as_bytes().to_vec())
    }
}

/// What a walk sees under a key.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: StoreKey,
    /// The record, or why it cannot be read: [`StoreError::Corrupt`], [`StoreError::Newer`], or what the
    /// system says of this one.
    pub record: Result<Record, StoreError>,
    /// Bytes it takes in the store.
    pub bytes: u64,
}

/// Which records a purge removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// Whose deadline was before this. A session may be written until some time after its end, so the
    /// grace has to be taken off the time of day.
    EndedBefore(Time),
    /// Who was not visited since.
    NotVisitedSince(Time),
}

impl Stale {
    /// Whether a record is to go.
    pub fn is(self, record: &Record) -> bool {
        self.was(Visit { accessed: record.accessed, deadline: record.deadline })
    }

    /// The same of a record whose latest visit this was.
    pub fn was(self, visit: Visit) -> bool {
        match self {
            Stale::EndedBefore(time) => visit.deadline < time,
            Stale::NotVisitedSince(time) => visit.accessed < time || visit.deadline < time,
        }
    }
}

/// What a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Records looked at.
    pub seen: u64,
    /// Records removed.
    pub removed: u64,
    /// Unreadable ones that were moved aside or removed.
    pub corrupt: u64,
    /// Ones that could not be looked at or removed; the walk went on behind them.
    pub failed: u64,
    /// Where to go on; none if every record has been looked at.
    pub next: Option<Position>,
}

/// What a store knows about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records: sessions, aliases, and expired ones that were not removed yet.
    pub records: Option<u64>,
    /// Bytes they take.
    pub bytes: Option<u64>,
    /// Most bytes they may take.
    pub capacity: Option<u64>,
    /// Further figures of this store: a name like `evicted`, and how many.
    pub counters: Vec<(&'static str, u64)>,
}
