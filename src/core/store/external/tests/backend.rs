//! A backend in memory, of whatever kind is asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::super::{
    Backend, Expected, ExternalStore, Facts, Found, Refused, See, Stored, UserHash,
};
use crate::core::clock::Time;
use crate::core::lock::SlotMutexes;
use crate::core::session::codec::RECORD_MAX;
use crate::core::store::fake::TestMutexes;
use crate::core::store::{Position, Stats, StoreError, StoreKey, Visit};

/// Facts of a backend that can do everything.
pub const ALL: Facts = Facts {
    name: "tested",
    record_max: RECORD_MAX,
    compares: true,
    serial: false,
    touches: true,
    lists: true,
    finds_users: true,
    expires: false,
    survives_kill: true,
};

/// Facts of one that keeps bytes and lists keys.
pub const PLAIN: Facts = Facts { compares: false, touches: false, finds_users: false, ..ALL };

struct Row {
    bytes: Vec<u8>,
    incarnation: u64,
    visit: Visit,
    user: UserHash,
    version: u64,
}

/// Keeps rows in a map. One that does not compare judges nothing and minds being used by two at once
/// where that would lose something.
pub struct Memory {
    facts: Facts,
    rows: Mutex<BTreeMap<StoreKey, Row>>,
    versions: AtomicU32,
    in_use: AtomicBool,
    /// Makes the next writes fail after they removed what they were to replace.
    pub drops: AtomicU32,
    /// Keeps from it how many records it has.
    pub uncounted: AtomicBool,
}

impl Memory {
    pub fn new(facts: Facts) -> Memory {
        Memory {
            facts,
            rows: Mutex::default(),
            versions: AtomicU32::new(0),
            in_use: AtomicBool::new(false),
            drops: AtomicU32::new(0),
            uncounted: AtomicBool::new(false),
        }
    }

    /// The bytes under a key.
    pub fn spoil(&self, key: &StoreKey, bytes: &[u8]) {
        if let Some(row) = self.rows.lock().unwrap().get_mut(key) {
            row.bytes = bytes.to_vec();
        }
    }

    fn call<T>(&self, work: impl FnOnce(&mut BTreeMap<StoreKey, Row>) -> T) -> T {
        let alone = !self.in_use.swap(true, Ordering::SeqCst);
        assert!(alone || !self.facts.serial, "a serial backend is called by two at once");
        let result = work(&mut self.rows.lock().unwrap());
        // Whoever would come in between has a chance to.
        std::thread::yield_now();
        self.in_use.store(false, Ordering::SeqCst);
        result
    }

    fn row(&self, stored: &Stored<'_>) -> Row {
        Row {
            bytes: stored.bytes.to_vec(),
            incarnation: stored.incarnation,
            visit: Visit { accessed: stored.accessed, deadline: stored.deadline },
            user: stored.user,
            version: u64::from(self.versions.fetch_add(1, Ordering::SeqCst)) + 1,
        }
    }

    fn judge(&self, row: Option<&Row>, expected: Expected) -> Result<(), Refused> {
        if !self.facts.compares {
            return Ok(());
        }
        match row {
            Some(row) if row.incarnation != expected.incarnation => Err(StoreError::Gone.into()),
            Some(row) if expected.version.is_some_and(|v| v != row.version) => {
                Err(Refused::Changed)
            }
            Some(_) => Ok(()),
            None => Err(StoreError::Gone.into()),
        }
    }

    fn refuse(&self) -> Result<(), StoreError> {
        let count = self.drops.load(Ordering::SeqCst);
        self.drops.store(count.saturating_sub(1), Ordering::SeqCst);
        if count > 0 { Err(StoreError::Full("the tested store")) } else { Ok(()) }
    }
}

impl Backend for Arc<Memory> {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Found>, StoreError> {
        let found = |row: &Row| Found {
            bytes: row.bytes.clone(),
            visit: self.facts.touches.then_some(row.visit),
            version: row.version,
        };
        Ok(self.call(|rows| rows.get(key).map(found)))
    }

    fn create(&self, key: &StoreKey, stored: &Stored<'_>) -> Result<(), StoreError> {
        let row = self.row(stored);
        self.call(|rows| {
            if self.facts.compares && rows.contains_key(key) {
                return Err(StoreError::Exists);
            }
            rows.insert(*key, row);
            Ok(())
        })
    }

    fn replace(
        &self,
        key: &StoreKey,
        stored: &Stored<'_>,
        version: Option<u64>,
    ) -> Result<(), Refused> {
        let row = self.row(stored);
        self.call(|rows| {
            let expected = Expected { incarnation: stored.incarnation, version };
            self.judge(rows.get(key), expected)?;
            rows.remove(key);
            self.refuse()?;
            rows.insert(*key, row);
            Ok(())
        })
    }

    fn touch(&self, key: &StoreKey, incarnation: u64, visit: Visit) -> Result<(), StoreError> {
        let version = u64::from(self.versions.fetch_add(1, Ordering::SeqCst)) + 1;
        self.call(|rows| {
            let row = rows.get_mut(key).filter(|row| row.incarnation == incarnation);
            let row = row.ok_or(StoreError::Gone)?;
            let Visit { accessed: Time(accessed), deadline: Time(deadline) } = row.visit;
            row.visit.accessed = Time(accessed.max(visit.accessed.0));
            row.visit.deadline = Time(deadline.max(visit.deadline.0));
            row.version = version;
            Ok(())
        })
    }

    fn remove(&self, key: &StoreKey, expected: Option<Expected>) -> Result<bool, Refused> {
        self.call(|rows| {
            if let Some(expected) = expected {
                self.judge(rows.get(key), expected)?;
            }
            Ok(rows.remove(key).is_some())
        })
    }

    fn keys(&self, from: &Position, see: See<'_>) -> Result<bool, StoreError> {
        self.call(|rows| {
            let after = rows.keys().filter(|key| from.key().is_none_or(|seen| **key > seen));
            for key in after {
                if !see(*key, (*key).into()) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn keys_of(&self, user: &UserHash, see: See<'_>) -> Result<(), StoreError> {
        self.call(|rows| {
            for (key, _) in rows.iter().filter(|(_, row)| row.user == *user) {
                if !see(*key, Position::default()) {
                    break;
                }
            }
        });
        Ok(())
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let count = self.call(|rows| rows.len() as u64);
        let known = !self.uncounted.load(Ordering::SeqCst);
        Ok(Stats { records: known.then_some(count), ..Stats::default() })
    }
}

/// A store of this kind, and what is behind it.
pub fn store(facts: Facts) -> (Arc<Memory>, ExternalStore<Arc<Memory>>) {
    let memory = Arc::new(Memory::new(facts));
    let own = Arc::new(TestMutexes::new(8)) as Arc<dyn SlotMutexes>;
    let own = (facts.serial || !facts.compares).then_some(own);
    let store = ExternalStore::new(Arc::clone(&memory), own).unwrap();
    (memory, store)
}
