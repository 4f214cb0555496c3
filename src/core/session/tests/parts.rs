//! What the world of these tests is made of: a clock, dice, a store.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::core::clock::{Clock, Monotonic, Time};
use crate::core::session::id::Random;
use crate::core::session::record::Record;
use crate::core::store::fake::{FakeStore, Verb};
use crate::core::store::{Abilities, Held, Loaded, Merge, Store, StoreError, StoreKey, Visit};

/// A clock that moves when told to, back as well.
#[derive(Clone)]
pub struct TestClock {
    wall: Arc<AtomicU64>,
    mono: Arc<AtomicU64>,
}

impl TestClock {
    pub fn new() -> TestClock {
        let at = |time: u64| Arc::new(AtomicU64::new(time * 1_000_000));
        TestClock { wall: at(1_800_000_000), mono: at(1_000) }
    }

    pub fn advance(&self, span: Duration) {
        self.wall.fetch_add(span.as_micros() as u64, Relaxed);
        self.mono.fetch_add(span.as_micros() as u64, Relaxed);
    }

    /// Somebody sets the machine's clock back; monotonic time goes on.
    pub fn set_back(&self, span: Duration) {
        self.wall.fetch_sub(span.as_micros() as u64, Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time(self.wall.load(Relaxed))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.mono.load(Relaxed))
    }
}

/// Other bytes at each call, the same in each run.
#[derive(Default)]
pub struct Dice(AtomicU64);

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        for chunk in bytes.chunks_mut(8) {
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// The fake store, and what other requests do at a moment in the middle of ours.
#[derive(Default)]
pub struct TestStore {
    fake: FakeStore,
    hook: Mutex<Option<(Verb, Hook)>>,
    pub newer: Mutex<Option<StoreKey>>,
}

impl TestStore {
    /// Runs `hook` right before the next call of `verb`.
    pub fn before(&self, verb: Verb, hook: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap() = Some((verb, Box::new(hook)));
    }

    fn reach(&self, verb: Verb) -> &FakeStore {
        let due = self.hook.lock().unwrap().take_if(|(at, _)| *at == verb);
        if let Some((_, hook)) = due {
            hook();
        }
        &self.fake
    }
}

impl Deref for TestStore {
    type Target = FakeStore;

    fn deref(&self) -> &FakeStore {
        &self.fake
    }
}

impl Store for TestStore {
    fn name(&self) -> &'static str {
        "test"
    }

    fn abilities(&self) -> Abilities {
        self.fake.abilities()
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        self.reach(Verb::Create).create(key, record)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let fake = self.reach(Verb::Load);
        if *self.newer.lock().unwrap() == Some(*key) {
            return Err(StoreError::Newer(9));
        }
        fake.load(key)
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        self.reach(Verb::Update).update(key, held, record)
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        self.reach(Verb::Merge).merge(key, incarnation, change)
    }

    fn touch(
        &self,
        key: &StoreKey,
        held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        self.reach(Verb::Touch).touch(key, held, incarnation, visit)
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        self.reach(Verb::Delete).delete(key, incarnation)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.reach(Verb::Quarantine).quarantine(key)
    }
}
