//! A store made of a [`Backend`].

use std::io;
use std::sync::Arc;

use super::sealed::{most_of_record, open, seal, sum_in};
use super::{Backend, Expected, Found, Refused, Stored, user_hash};
use crate::core::lock::{SlotGuard, SlotMutexes, slot_of};
use crate::core::session::record::Record;
use crate::core::store::{
    Abilities, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats, Store, StoreError,
    StoreKey, Visit,
};

/// How often a change is tried again because others were quicker. Each time one of them got through, so
/// this is more than there can be requests at a time.
const TRIES: u32 = 10_000;
/// Keys asked for at once in a walk.
const BATCH: usize = 256;
/// Most keys that a look for a user collects.
const USER_KEYS_MAX: usize = 100_000;

/// See [`super`].
pub struct ExternalStore<B> {
    backend: B,
    /// Of this store alone; what makes steps one where the backend cannot.
    own: Option<Arc<dyn SlotMutexes>>,
}

impl<B: Backend> ExternalStore<B> {
    /// A store over `backend`. `own` are mutexes of this store alone, the same in all processes.
    ///
    /// # Errors
    /// The backend does not compare and there are no mutexes.
    pub fn new(
        backend: B,
        own: Option<Arc<dyn SlotMutexes>>,
    ) -> Result<ExternalStore<B>, StoreError> {
        let facts = backend.facts();
        if own.is_none() && (facts.serial || !facts.compares) {
            return Err(StoreError::Io {
                doing: "opening a store that needs mutexes of its own",
                cause: io::Error::other("there are none"),
            });
        }
        Ok(ExternalStore { backend, own })
    }

    fn lock(&self, index: u32) -> Result<Option<SlotGuard<'_>>, StoreError> {
        match &self.own {
            Some(own) => Ok(Some(SlotGuard::lock(&**own, index)?)),
            None => Ok(None),
        }
    }

    /// Held for a whole step of a backend that does not compare, and for every call of a serial one.
    fn exclusive(&self, key: &StoreKey) -> Result<Option<SlotGuard<'_>>, StoreError> {
        let facts = self.backend.facts();
        let count = self.own.as_ref().map_or(1, |own| own.count());
        match (facts.serial, facts.compares) {
            (true, _) => self.lock(0),
            (false, false) => self.lock(slot_of(key, count)),
            (false, true) => Ok(None),
        }
    }

    /// Held for a call that changes nothing.
    fn shared(&self) -> Result<Option<SlotGuard<'_>>, StoreError> {
        if self.backend.facts().serial { self.lock(0) } else { Ok(None) }
    }

    /// Which version it is: the backend's word, or what its bytes begin with, their sum.
    fn version_of(&self, found: &Found) -> u64 {
        if self.backend.facts().compares { found.version } else { sum_in(&found.bytes) }
    }

    /// The record of an incarnation as it is now.
    fn current(&self, key: &StoreKey, incarnation: u64) -> Result<(Found, Record), StoreError> {
        let found = self.backend.load(key)?.ok_or(StoreError::Gone)?;
        let record = record_in(key, &found)?;
        if record.incarnation == incarnation { Ok((found, record)) } else { Err(StoreError::Gone) }
    }

    fn encode(&self, key: &StoreKey, record: &Record) -> Result<Vec<u8>, StoreError> {
        let bytes = seal(key, record)?;
        let room = self.backend.facts().record_max;
        if bytes.len() > room { Err(StoreError::TooLarge(most_of_record(room))) } else { Ok(bytes) }
    }

    /// Writes over `old`. Caches drop the old object before they find that they have no place for the
    /// new one: then the old one is put back.
    fn write_over(
        &self,
        key: &StoreKey,
        old: (&Found, &Record),
        new: &Record,
    ) -> Result<(), Refused> {
        let bytes = self.encode(key, new)?;
        let (found, record) = old;
        let facts = self.backend.facts();
        let version = Some(found.version);
        let written = self.backend.replace(key, &Stored::new(new, &bytes), version);
        if written.is_err() && !facts.compares {
            // What is told is why the new one was refused, however this goes.
            let _ = self.backend.create(key, &Stored::new(record, &found.bytes));
        }
        written
    }

    /// Changes the record of an incarnation in one step.
    fn change(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: Change<'_>,
    ) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let _guard = self.exclusive(key)?;
            let (found, record) = self.current(key, incarnation)?;
            let Some(new) = change(&found, &record)? else { return Ok(()) };
            match self.write_over(key, (&found, &record), &new) {
                Err(Refused::Changed) => {}
                Err(Refused::Failed(cause)) => return Err(cause),
                Ok(()) => return Ok(()),
            }
        }
        Err(too_busy())
    }

    /// Removes what is under the key if `goes` says so of it, in one step.
    fn remove_if(
        &self,
        key: &StoreKey,
        goes: impl Fn(&Result<Record, StoreError>) -> bool,
    ) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let _guard = self.exclusive(key)?;
            let Some(found) = self.backend.load(key)? else { return Ok(false) };
            let record = record_in(key, &found);
            if !goes(&record) {
                return Ok(false);
            }
            // What cannot be read has no incarnation to name.
            let version = Some(found.version);
            let expected =
                record.ok().map(|record| Expected { incarnation: record.incarnation, version });
            match self.backend.remove(key, expected) {
                Err(Refused::Changed) => {}
                Err(Refused::Failed(StoreError::Gone)) => return Ok(false),
                Err(Refused::Failed(cause)) => return Err(cause),
                Ok(removed) => return Ok(removed),
            }
        }
        Err(too_busy())
    }

    /// The next keys of a walk, each with the position behind it, and whether they are the last ones.
    fn batch(&self, from: &Position) -> Result<(Vec<(StoreKey, Position)>, bool), StoreError> {
        let mut keys = Vec::new();
        let mut collect = |key, behind| {
            keys.push((key, behind));
            keys.len() < BATCH
        };
        let _guard = self.shared()?;
        let ended = self.backend.keys(from, &mut collect)?;
        // A backend that shows nothing and claims that there is more would be asked for ever.
        let ended = ended || keys.is_empty();
        Ok((keys, ended))
    }

    /// Calls `look` with each key from a position on until it returns false; where to go on.
    fn walk(
        &self,
        from: &Position,
        look: &mut dyn FnMut(&StoreKey) -> Result<Step, StoreError>,
    ) -> Result<Option<Position>, StoreError> {
        let mut at = from.clone();
        loop {
            let (keys, ended) = self.batch(&at)?;
            for (key, behind) in keys {
                match look(&key)? {
                    Step::On => at = behind,
                    Step::StopBehind => return Ok(Some(behind)),
                    Step::StopBefore => return Ok(Some(at)),
                }
            }
            if ended {
                return Ok(None);
            }
        }
    }

    fn look(&self, key: &StoreKey) -> Result<Option<Found>, StoreError> {
        let _guard = self.shared()?;
        self.backend.load(key)
    }
}

/// What is to become of a record, as it was found; none: it stays.
type Change<'a> = &'a mut dyn FnMut(&Found, &Record) -> Result<Option<Record>, StoreError>;

/// How a walk goes on.
enum Step {
    On,
    StopBehind,
    StopBefore,
}

fn too_busy() -> StoreError {
    let cause = io::Error::other(format!("others changed it {TRIES} times"));
    StoreError::Io { doing: "changing a record", cause }
}

/// The record, with the times of a visit that was recorded beside it.
fn record_in(key: &StoreKey, found: &Found) -> Result<Record, StoreError> {
    let mut record = open(key, &found.bytes)?;
    if let Some(visit) = found.visit {
        record.accessed = visit.accessed;
        record.deadline = visit.deadline;
    }
    Ok(record)
}

impl<B: Backend> Store for ExternalStore<B> {
    fn name(&self) -> &'static str {
        self.backend.facts().name
    }

    fn abilities(&self) -> Abilities {
        let facts = self.backend.facts();
        // A backend that is asked in turns is on this machine: its writers are those who take turns.
        let compares = facts.compares || facts.serial;
        Abilities { survives_kill: facts.survives_kill, lists: facts.lists, compares }
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        let bytes = self.encode(key, record)?;
        let _guard = self.exclusive(key)?;
        if !self.backend.facts().compares && self.backend.load(key)?.is_some() {
            return Err(StoreError::Exists);
        }
        self.backend.create(key, &Stored::new(record, &bytes))
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let Some(found) = self.look(key)? else { return Ok(None) };
        let version = self.version_of(&found);
        Ok(Some(Loaded { record: record_in(key, &found)?, held: Held::version(version) }))
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        // What it is from now on is not known: a backend says so when it is asked.
        let after = Held::default();
        if !self.backend.facts().compares {
            self.change(key, record.incarnation, &mut |found, _| {
                if held.version.is_some_and(|version| version != self.version_of(found)) {
                    return Err(StoreError::Overtaken);
                }
                Ok(Some(record.clone()))
            })?;
            return Ok(after);
        }
        let bytes = self.encode(key, record)?;
        match self.backend.replace(key, &Stored::new(record, &bytes), held.version) {
            Ok(()) => Ok(after),
            Err(Refused::Changed) => Err(StoreError::Overtaken),
            Err(Refused::Failed(cause)) => Err(cause),
        }
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        self.change(key, incarnation, &mut |_, record| match change(record.clone()) {
            Merge::Keep => Ok(None),
            Merge::Write(new) if new.incarnation != incarnation => Err(StoreError::Gone),
            Merge::Write(new) => Ok(Some(*new)),
        })
    }

    fn touch(
        &self,
        key: &StoreKey,
        _held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        let facts = self.backend.facts();
        if facts.touches && facts.compares {
            let _guard = self.shared()?;
            return self.backend.touch(key, incarnation, visit);
        }
        if facts.touches {
            let _guard = self.exclusive(key)?;
            self.current(key, incarnation)?;
            return self.backend.touch(key, incarnation, visit);
        }
        self.change(key, incarnation, &mut |_, record| {
            let accessed = record.accessed.max(visit.accessed);
            let deadline = record.deadline.max(visit.deadline);
            let moved = (accessed, deadline) != (record.accessed, record.deadline);
            Ok(moved.then(|| Record { accessed, deadline, ..record.clone() }))
        })
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        if !self.backend.facts().compares && incarnation.is_some() {
            return self.remove_if(key, |record| {
                record.as_ref().is_ok_and(|record| Some(record.incarnation) == incarnation)
            });
        }
        let _guard = self.exclusive(key)?;
        let expected = incarnation.map(|incarnation| Expected { incarnation, version: None });
        match self.backend.remove(key, expected) {
            Ok(removed) => Ok(removed),
            Err(Refused::Failed(StoreError::Gone)) => Ok(false),
            Err(Refused::Changed) => Err(too_busy()),
            Err(Refused::Failed(cause)) => Err(cause),
        }
    }

    /// There is no aside in such a store: what is corrupt is removed.
    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.remove_if(key, |record| matches!(record, Err(StoreError::Corrupt)))
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.walk(from, &mut |key| {
            let Some(found) = self.look(key)? else { return Ok(Step::On) };
            let bytes = found.bytes.len() as u64;
            let go_on = see(Entry { key: *key, record: record_in(key, &found), bytes });
            Ok(if go_on { Step::On } else { Step::StopBehind })
        })
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        if self.backend.facts().expires && matches!(stale, Stale::EndedBefore(_)) {
            return Ok(purged);
        }
        let next = self.walk(from, &mut |key| {
            if !go_on() {
                return Ok(Step::StopBefore);
            }
            let Some(found) = self.look(key)? else { return Ok(Step::On) };
            purged.seen += 1;
            match record_in(key, &found) {
                Ok(record) if stale.is(&record) => {
                    let goes = |now: &Result<Record, StoreError>| {
                        now.as_ref().is_ok_and(|now| stale.is(now))
                    };
                    purged.removed += u64::from(self.remove_if(key, goes)?);
                }
                Err(StoreError::Corrupt) => purged.corrupt += u64::from(self.quarantine(key)?),
                _ => {}
            }
            Ok(Step::On)
        })?;
        Ok(Purged { next, ..purged })
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        let mut keys = Vec::new();
        if self.backend.facts().finds_users {
            let _guard = self.shared()?;
            let mut collect = |key, _| {
                keys.push(key);
                keys.len() < USER_KEYS_MAX
            };
            self.backend.keys_of(&user_hash(scope, user), &mut collect)?;
        } else {
            self.walk(&Position::default(), &mut |key| {
                keys.push(*key);
                Ok(Step::On)
            })?;
        }
        let mut his = Vec::new();
        for key in keys {
            let record = self.look(&key)?.and_then(|found| record_in(&key, &found).ok());
            if record.is_some_and(|r| r.scope == scope && r.user.as_deref() == Some(user)) {
                his.push(key);
            }
        }
        Ok(his)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let _guard = self.shared()?;
        self.backend.stats()
    }
}
