//! One database file: an embedded database under the rules of a store.
//!
//! The database knows bytes (`core::database`); here is what they mean (drawn in `value`) and what a
//! write has to look at before it counts.
//!
//! - A write takes the store's own mutex, with its deadline, before the database's: a process that is
//!   stopped in the middle of a change makes others fail in time, not wait for ever. Threads of one
//!   process queue up before it (`lock::gate`).
//! - A database that cannot be looked at while it is changed is looked at under the same mutex.
//! - Keys are found by user through marks, where the database has them; elsewhere by a walk over all.
//!   Either way the record decides.
//! - A walk takes keys in batches and lets go of the database in between.

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
pub mod unsynced;
mod value;
mod walk;

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use self::value::{HEAD, Value};
use super::dir::{DataDir, keep_aside};
use super::listing::{Position, Purged, Stale, Stats};
use super::{Abilities, Entry, Held, Loaded, Merge, Store, StoreError, StoreKey, Visit};
use crate::core::database::{Change, Database, DatabaseError, Key, Traits, View};
use crate::core::lock::{SlotGuard, SlotMutexes};
use crate::core::session::record::Record;

/// What is full when a database is, for messages.
pub const FULL: &str = "what the database may hold (SessionStore dbm:FILE?map=SIZE)";

/// Index of the mutex that excludes other writers.
const WRITER: u32 = 0;

impl From<DatabaseError> for StoreError {
    fn from(cause: DatabaseError) -> StoreError {
        match cause {
            DatabaseError::TooLarge(most) => StoreError::TooLarge(most_of_record(most)),
            DatabaseError::Full(what) => StoreError::Full(what),
            DatabaseError::Failed { doing, cause } => StoreError::Io { doing, cause },
        }
    }
}

/// Most bytes of a record in a database that holds values of so many bytes.
pub fn most_of_record(most_of_value: usize) -> usize {
    most_of_value.saturating_sub(HEAD)
}

/// Records in a database.
pub struct DbmStore<D> {
    database: D,
    mutex: Arc<dyn SlotMutexes>,
    root: OwnedFd,
}

impl<D: Database> DbmStore<D> {
    /// A store in `database`, whose files are in `dir`. `mutex` has one mutex that every process of the
    /// server shares and nobody else uses.
    pub fn new(database: D, mutex: Arc<dyn SlotMutexes>, dir: DataDir) -> DbmStore<D> {
        DbmStore { database, mutex, root: dir.into_fd() }
    }

    fn guard(&self) -> Result<SlotGuard<'_>, StoreError> {
        Ok(SlotGuard::lock(&*self.mutex, WRITER)?)
    }

    fn look<T>(
        &self,
        work: impl FnOnce(&D::View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _guard = match self.database.traits() {
            Traits { reads_beside_writes: true, .. } => None,
            Traits { reads_beside_writes: false, .. } => Some(self.guard()?),
        };
        self.database.view(work)
    }

    fn change<T>(
        &self,
        work: impl FnOnce(&mut D::Change<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let guard = self.guard()?;
        let done = self.database.change(work)?;
        drop(guard);
        // Others need not wait for the disk as well.
        self.database.sync()?;
        Ok(done)
    }
}

/// The value of a key whose record has this incarnation.
fn current<'a>(
    key: &Key,
    found: &'a Option<Cow<'_, [u8]>>,
    incarnation: u64,
) -> Result<Value<'a>, StoreError> {
    let bytes = found.as_deref().ok_or(StoreError::Gone)?;
    let value = value::parse(key, bytes)?;
    if value.incarnation == incarnation { Ok(value) } else { Err(StoreError::Gone) }
}

/// Puts the value of a key in the place of one with the mark `before`.
fn replace(
    change: &mut impl Change,
    key: &Key,
    before: u64,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let mark = value::mark_in(bytes);
    if mark != before && mark != 0 {
        change.mark(mark, key)?;
    }
    change.put(key, bytes)?;
    if mark != before && before != 0 {
        change.unmark(before, key)?;
    }
    Ok(())
}

fn remove(change: &mut impl Change, key: &Key, mark: u64) -> Result<(), StoreError> {
    change.remove(key)?;
    if mark != 0 {
        change.unmark(mark, key)?;
    }
    Ok(())
}

impl<D: Database> Store for DbmStore<D> {
    fn name(&self) -> &'static str {
        "dbm"
    }

    fn abilities(&self) -> Abilities {
        let survives_kill = self.database.traits().survives_kill;
        Abilities { survives_kill, lists: true, compares: true }
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        let key = key.as_bytes();
        let bytes = value::build(key, record)?;
        self.change(|change| {
            if change.get(key)?.is_some() {
                return Err(StoreError::Exists);
            }
            replace(change, key, 0, &bytes)
        })
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let key = key.as_bytes();
        self.look(|view| {
            let Some(bytes) = view.get(key)? else { return Ok(None) };
            let value = value::parse(key, &bytes)?;
            Ok(Some(Loaded { record: value.record()?, held: Held::version(value.version()) }))
        })
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        let key = key.as_bytes();
        let bytes = value::build(key, record)?;
        self.change(|change| {
            let found = change.get(key)?;
            let now = current(key, &found, record.incarnation)?;
            if held.version.is_some_and(|version| version != now.version()) {
                return Err(StoreError::Overtaken);
            }
            let before = now.mark;
            replace(change, key, before, &bytes)
        })?;
        Ok(Held::version(value::version_of(&bytes)))
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        let key = key.as_bytes();
        self.change(|database| {
            let (before, record) = {
                let found = database.get(key)?;
                let value = current(key, &found, incarnation)?;
                (value.mark, value.record()?)
            };
            match change(record) {
                Merge::Keep => Ok(()),
                Merge::Write(changed) if changed.incarnation != incarnation => {
                    Err(StoreError::Gone)
                }
                Merge::Write(changed) => {
                    replace(database, key, before, &value::build(key, &changed)?)
                }
            }
        })
    }

    fn touch(
        &self,
        key: &StoreKey,
        _held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        let key = key.as_bytes();
        self.change(|change| {
            let bytes = {
                let found = change.get(key)?;
                let value = current(key, &found, incarnation)?;
                let later = Visit {
                    accessed: value.visit.accessed.max(visit.accessed),
                    deadline: value.visit.deadline.max(visit.deadline),
                };
                (later != value.visit).then(|| value::with_visit(key, &value, later))
            };
            bytes.map_or(Ok(()), |bytes| Ok(change.put(key, &bytes)?))
        })
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        let key = key.as_bytes();
        self.change(|change| {
            let mark = {
                let found = change.get(key)?;
                match (&found, incarnation) {
                    (None, _) => return Ok(false),
                    (Some(bytes), None) => value::mark_in(bytes),
                    (Some(_), Some(incarnation)) => match current(key, &found, incarnation) {
                        Err(StoreError::Gone) => return Ok(false),
                        value => value?.mark,
                    },
                }
            };
            remove(change, key, mark)?;
            Ok(true)
        })
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.change(|change| self.set_aside(change, key))
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.walk(from, see)
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        self.database.tidy()?;
        self.remove_stale(stale, from, go_on)
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        self.find_user(scope, user)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let _guard = match self.database.traits().reads_beside_writes {
            true => None,
            false => Some(self.guard()?),
        };
        let size = self.database.size()?;
        Ok(Stats {
            records: size.keys,
            bytes: size.bytes,
            capacity: size.capacity,
            ..Stats::default()
        })
    }
}

impl<D: Database> DbmStore<D> {
    /// Moves an unreadable value out of the database; false if it is none.
    fn set_aside(&self, change: &mut D::Change<'_>, key: &StoreKey) -> Result<bool, StoreError> {
        let mark = {
            let Some(bytes) = change.get(key.as_bytes())? else { return Ok(false) };
            match record_in(key.as_bytes(), &bytes) {
                Err(StoreError::Corrupt) => {}
                _ => return Ok(false),
            }
            keep_aside(&self.root, &key.hex(), &bytes).map_err(|errno| StoreError::Io {
                doing: "moving a record aside",
                cause: errno.into(),
            })?;
            value::mark_in(&bytes)
        };
        remove(change, key.as_bytes(), mark)?;
        Ok(true)
    }
}

fn record_in(key: &Key, bytes: &[u8]) -> Result<Record, StoreError> {
    value::parse(key, bytes)?.record()
}
