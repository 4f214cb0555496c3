//! A store with a limit of records: `SessionMaxSessions`.

use super::{
    Abilities, Claim, Claimed, Claims, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats,
    Store, StoreError, StoreKey, Visit,
};
use crate::core::lock::Wait;
use crate::core::session::record::Record;

/// The directive, for messages.
const DIRECTIVE: &str = "SessionMaxSessions";

/// How many records there are, as all processes count them together.
pub trait Population: Send + Sync {
    /// How many.
    fn count(&self) -> u64;
    /// One was made.
    fn made(&self);
    /// So many were removed.
    fn gone(&self, records: u64);
    /// One was not made, because there were too many.
    fn refused(&self);
}

/// Any store, with a new session past the limit refused.
///
/// What is counted are records: sessions, the old ids of sessions that got a new one, and what has expired
/// and was not removed yet. A store that knows how many it has is asked; for another one the whole walks
/// of the cleanup count, and what comes and goes since then is added. Requests that make sessions at the
/// same moment may go past the limit by one each.
pub struct Bounded<P> {
    store: Box<dyn Store>,
    most: u64,
    knows: bool,
    population: P,
}

impl<P: Population> Bounded<P> {
    /// `store` with at most `most` records, counted by `population` unless it knows them itself.
    pub fn new(store: Box<dyn Store>, most: u64, population: P) -> Bounded<P> {
        let knows = store.stats().is_ok_and(|stats| stats.records.is_some());
        Bounded { store, most, knows, population }
    }

    fn has_room_for(&self, record: &Record) -> Result<(), StoreError> {
        if is_new(record) && self.is_full() {
            self.population.refused();
            return Err(StoreError::Full(DIRECTIVE));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let known = match self.knows {
            true => self.store.stats().ok().and_then(|stats| stats.records),
            false => None,
        };
        known.unwrap_or_else(|| self.population.count()) >= self.most
    }
}

/// A session that gets a new id keeps the time when it was made: it is no new one, and is not refused.
fn is_new(record: &Record) -> bool {
    record.created == record.accessed
}

impl<P: Population> Store for Bounded<P> {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn abilities(&self) -> Abilities {
        self.store.abilities()
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        self.has_room_for(record)?;
        self.store.create(key, record)?;
        self.population.made();
        Ok(())
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        self.store.load(key)
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        self.store.update(key, held, record)
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        self.store.merge(key, incarnation, change)
    }

    fn touch(
        &self,
        key: &StoreKey,
        held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        self.store.touch(key, held, incarnation, visit)
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        let deleted = self.store.delete(key, incarnation)?;
        self.population.gone(u64::from(deleted));
        Ok(deleted)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let moved = self.store.quarantine(key)?;
        self.population.gone(u64::from(moved));
        Ok(moved)
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.store.scan(from, see)
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let mut purged = self.store.purge(stale, from, go_on)?;
        self.population.gone(purged.removed + purged.corrupt);
        if !self.knows && purged == Purged::default() && self.abilities().lists {
            // A store that removes by itself what has ended looks at nothing in a purge.
            purged.next = self.store.scan(from, &mut |_| {
                purged.seen += 1;
                go_on()
            })?;
        }
        Ok(purged)
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        self.store.of_user(scope, user)
    }

    fn claims(&self) -> Option<&dyn Claims> {
        self.store.claims().map(|_| self as &dyn Claims)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats()
    }
}

impl<P: Population> Bounded<P> {
    fn claimed(&self) -> Result<&dyn Claims, StoreError> {
        self.store.claims().ok_or(StoreError::Unsupported)
    }
}

/// Only for a store that has claims itself.
impl<P: Population> Claims for Bounded<P> {
    fn load(&self, key: &StoreKey, wait: &Wait) -> Result<Option<Claimed>, StoreError> {
        self.claimed()?.load(key, wait)
    }

    fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        wait: &Wait,
    ) -> Result<Box<dyn Claim>, StoreError> {
        self.has_room_for(record)?;
        let claim = self.claimed()?.create(key, record, wait)?;
        self.population.made();
        Ok(claim)
    }
}
