//! A store in the memory of one process, and mutexes of one process, for tests.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::{
    Abilities, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats, Store, StoreError,
    StoreKey, Visit,
};
use crate::core::lock::{MutexError, SlotMutexes};
use crate::core::session::codec;
use crate::core::session::record::Record;

/// A verb of [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// [`Store::create`]
    Create,
    /// [`Store::load`]
    Load,
    /// [`Store::update`]
    Update,
    /// [`Store::merge`]
    Merge,
    /// [`Store::touch`]
    Touch,
    /// [`Store::delete`]
    Delete,
    /// [`Store::quarantine`]
    Quarantine,
}

#[derive(Default)]
struct State {
    records: HashMap<StoreKey, Record>,
    /// How often each was written.
    versions: HashMap<StoreKey, u64>,
    corrupt: HashSet<StoreKey>,
    calls: Vec<(Verb, StoreKey)>,
    failing: u32,
    uncounted: bool,
}

/// Keeps records in memory, writes down what it is asked, and fails when told to.
#[derive(Default)]
pub struct FakeStore {
    state: Mutex<State>,
}

impl FakeStore {
    /// Makes the next `calls` calls fail with [`StoreError::Io`]; nothing is changed by them.
    pub fn fail_next(&self, calls: u32) {
        self.state().failing = calls;
    }

    /// From now on it does not say how many records it has.
    pub fn forget_count(&self) {
        self.state().uncounted = true;
    }

    /// Makes what lies under the key unreadable.
    pub fn corrupt(&self, key: &StoreKey) {
        self.state().corrupt.insert(*key);
    }

    /// Every call so far, in order, with those that failed.
    pub fn calls(&self) -> Vec<(Verb, StoreKey)> {
        self.state().calls.clone()
    }

    /// How often `verb` was called.
    pub fn count(&self, verb: Verb) -> usize {
        self.state().calls.iter().filter(|(called, _)| *called == verb).count()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    /// The record under a key, without a call.
    pub fn record(&self, key: &StoreKey) -> Option<Record> {
        self.state().records.get(key).cloned()
    }

    /// How many records there are, without a call.
    pub fn len(&self) -> usize {
        self.state().records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn keys_after(&self, from: &Position) -> Vec<StoreKey> {
        let mut keys: Vec<StoreKey> = self.state().records.keys().copied().collect();
        keys.sort_unstable();
        keys.retain(|key| from.key().is_none_or(|seen| *key > seen));
        keys
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn call(&self, verb: Verb, key: &StoreKey) -> Result<MutexGuard<'_, State>, StoreError> {
        let mut state = self.state();
        state.calls.push((verb, *key));
        state.fail().map(|()| state)
    }
}

impl State {
    fn fail(&mut self) -> Result<(), StoreError> {
        if self.failing == 0 {
            return Ok(());
        }
        self.failing -= 1;
        Err(StoreError::Io { doing: "failing on purpose", cause: io::Error::other("told to") })
    }

    fn write(&mut self, key: &StoreKey, record: Record) -> u64 {
        self.records.insert(*key, record);
        let version = self.versions.entry(*key).or_default();
        *version += 1;
        *version
    }

    fn current(&mut self, key: &StoreKey, incarnation: u64) -> Result<&mut Record, StoreError> {
        if self.corrupt.contains(key) {
            return Err(StoreError::Corrupt);
        }
        let record = self.records.get_mut(key).filter(|r| r.incarnation == incarnation);
        record.ok_or(StoreError::Gone)
    }
}

impl Store for FakeStore {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn abilities(&self) -> Abilities {
        Abilities { survives_kill: false, lists: true, compares: true }
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        let mut state = self.call(Verb::Create, key)?;
        if state.records.contains_key(key) || state.corrupt.contains(key) {
            return Err(StoreError::Exists);
        }
        codec::encode(record)?;
        state.write(key, record.clone());
        Ok(())
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let state = self.call(Verb::Load, key)?;
        if state.corrupt.contains(key) {
            return Err(StoreError::Corrupt);
        }
        let record = state.records.get(key).cloned();
        let version = state.versions.get(key).copied().unwrap_or_default();
        Ok(record.map(|record| Loaded { record, held: Held::version(version) }))
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        let mut state = self.call(Verb::Update, key)?;
        state.current(key, record.incarnation)?;
        if held.version.is_some() && held.version != state.versions.get(key).copied() {
            return Err(StoreError::Overtaken);
        }
        codec::encode(record)?;
        Ok(Held::version(state.write(key, record.clone())))
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        let mut state = self.call(Verb::Merge, key)?;
        let current = state.current(key, incarnation)?;
        match change(current.clone()) {
            Merge::Keep => Ok(()),
            Merge::Write(changed) if changed.incarnation != incarnation => Err(StoreError::Gone),
            Merge::Write(changed) => {
                state.write(key, *changed);
                Ok(())
            }
        }
    }

    fn touch(
        &self,
        key: &StoreKey,
        _held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        let mut state = self.call(Verb::Touch, key)?;
        let record = state.current(key, incarnation)?;
        record.accessed = record.accessed.max(visit.accessed);
        record.deadline = record.deadline.max(visit.deadline);
        Ok(())
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        let mut state = self.call(Verb::Delete, key)?;
        match incarnation.map(|incarnation| state.current(key, incarnation).map(drop)) {
            Some(Err(StoreError::Gone)) => return Ok(false),
            Some(Err(error)) => return Err(error),
            Some(Ok(())) | None => {}
        }
        let corrupt = state.corrupt.remove(key);
        Ok(state.records.remove(key).is_some() || corrupt)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let mut state = self.call(Verb::Quarantine, key)?;
        let corrupt = state.corrupt.remove(key);
        if corrupt {
            state.records.remove(key);
        }
        Ok(corrupt)
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        for key in self.keys_after(from) {
            let Some(record) = self.record(&key) else { continue };
            let corrupt = self.state().corrupt.contains(&key);
            let record = if corrupt { Err(StoreError::Corrupt) } else { Ok(record) };
            if !see(Entry { key, record, bytes: 1 }) {
                return Ok(Some(key.into()));
            }
        }
        Ok(None)
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        self.state().fail()?;
        let mut purged = Purged { next: Some(from.clone()), ..Purged::default() };
        for key in self.keys_after(from) {
            if !go_on() {
                return Ok(purged);
            }
            let mut state = self.state();
            let found = state.records.get(&key).map(|record| stale.is(record));
            purged.seen += u64::from(found.is_some());
            if found == Some(true) {
                state.records.remove(&key);
                purged.removed += 1;
            }
            purged.next = Some(key.into());
        }
        purged.next = None;
        Ok(purged)
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        let state = self.state();
        let his = |record: &Record| record.scope == scope && record.user.as_deref() == Some(user);
        Ok(state.records.iter().filter(|(_, record)| his(record)).map(|(key, _)| *key).collect())
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let state = self.state();
        let records = (!state.uncounted).then_some(state.records.len() as u64);
        Ok(Stats { records, ..Stats::default() })
    }
}

/// Slot mutexes of this process alone. A thread that takes one twice waits for itself and times
/// out.
pub struct TestMutexes {
    taken: Mutex<Vec<bool>>,
    freed: Condvar,
    deadline: Duration,
}

impl TestMutexes {
    /// `count` mutexes that are given up on after five seconds.
    pub fn new(count: usize) -> TestMutexes {
        TestMutexes::with_deadline(count, Duration::from_secs(5))
    }

    /// `count` mutexes that are given up on after `deadline`.
    pub fn with_deadline(count: usize, deadline: Duration) -> TestMutexes {
        TestMutexes { taken: Mutex::new(vec![false; count]), freed: Condvar::new(), deadline }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().unwrap().iter().filter(|taken| **taken).count()
    }
}

impl SlotMutexes for TestMutexes {
    fn count(&self) -> u32 {
        self.taken.lock().unwrap().len() as u32
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        let taken = self.taken.lock().unwrap();
        let busy = |taken: &mut Vec<bool>| taken[index as usize];
        let (mut taken, wait) = self.freed.wait_timeout_while(taken, self.deadline, busy).unwrap();
        if wait.timed_out() {
            return Err(MutexError::TimedOut);
        }
        taken[index as usize] = true;
        Ok(())
    }

    fn unlock(&self, index: u32) {
        self.taken.lock().unwrap()[index as usize] = false;
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, conformance, conformance_of_lists, key, record};
    use super::*;

    conformance!(((), FakeStore::default()));
    conformance!(((), FakeStore::default()); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(((), FakeStore::default()));

    #[test]
    fn a_failure_changes_nothing_and_is_written_down() {
        let store = FakeStore::default();
        store.fail_next(2);
        assert!(matches!(store.create(&key(1), &record(1)), Err(StoreError::Io { .. })));
        assert!(matches!(store.load(&key(1)), Err(StoreError::Io { .. })));
        assert!(store.is_empty());
        store.create(&key(1), &record(1)).unwrap();
        assert_eq!(
            store.calls(),
            [(Verb::Create, key(1)), (Verb::Load, key(1)), (Verb::Create, key(1))]
        );
        assert_eq!((store.count(Verb::Create), store.len()), (2, 1));
    }

    #[test]
    fn what_was_made_unreadable_is_so_until_it_is_moved_aside() {
        let store = FakeStore::default();
        store.create(&key(1), &record(1)).unwrap();
        store.corrupt(&key(1));
        assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)));
        assert!(store.quarantine(&key(1)).unwrap());
        assert!(!store.quarantine(&key(1)).unwrap());
        assert!(store.load(&key(1)).unwrap().is_none());
    }

    #[test]
    fn a_test_mutex_excludes_and_gives_up() {
        let mutexes = TestMutexes::with_deadline(2, Duration::from_millis(1));
        mutexes.lock(1).unwrap();
        assert_eq!(mutexes.lock(1), Err(MutexError::TimedOut));
        mutexes.lock(0).unwrap();
        assert_eq!(mutexes.taken(), 2);
        mutexes.unlock(1);
        mutexes.lock(1).unwrap();
    }
}
