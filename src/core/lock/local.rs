//! The lease table inside one process: for tests that need leases and no httpd.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::host::{Owner, Owners, Parking, Words};
use super::table::{Layout, Table};
use super::{MutexError, SlotMutexes};
use crate::core::clock::Clock;

/// A lease table in plain memory, for the threads of this process. Waiting takes real time; with a
/// clock that stands still nothing times out, but a lease is still handed over.
pub(crate) type LocalTable<C> = Table<LocalMemory, LocalOwners, C, LocalMutexes>;

impl<C: Clock> LocalTable<C> {
    /// A table of its own, with `slots` slots and as many entries for the free list as tests may
    /// need.
    pub(crate) fn local(slots: u32, clock: C) -> LocalTable<C> {
        let layout = Layout::new(slots, 64).unwrap();
        let memory = LocalMemory::new(layout.words());
        Table::create(layout, memory, LocalOwners, clock, LocalMutexes::new(slots))
    }
}

/// Words on the heap.
pub(crate) struct LocalMemory {
    words: Vec<AtomicU64>,
    parked: Mutex<()>,
    woken: Condvar,
}

impl LocalMemory {
    pub(crate) fn new(words: usize) -> LocalMemory {
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        LocalMemory { words, parked: Mutex::new(()), woken: Condvar::new() }
    }
}

impl Words for LocalMemory {
    fn load(&self, index: usize) -> u64 {
        self.words[index].load(Ordering::Acquire)
    }

    fn store(&self, index: usize, value: u64) {
        self.words[index].store(value, Ordering::Release);
    }

    fn add(&self, index: usize, value: u64) {
        self.words[index].fetch_add(value, Ordering::Relaxed);
    }
}

impl Parking for LocalMemory {
    fn park(&self, word: usize, expected: u32, timeout: Duration) {
        let parked = self.parked.lock().unwrap();
        let asleep = |_: &mut ()| self.load(word) as u32 == expected;
        drop(self.woken.wait_timeout_while(parked, timeout, asleep).unwrap());
    }

    fn unpark(&self, _word: usize) {
        drop(self.parked.lock().unwrap());
        self.woken.notify_all();
    }
}

/// The one process there is.
pub(crate) struct LocalOwners;

impl Owners for LocalOwners {
    fn me(&self) -> Owner {
        Owner { pid: 1, start: 1 }
    }

    fn alive(&self, _owner: Owner) -> bool {
        true
    }
}

/// Mutexes between threads, the free list's behind those of the slots.
pub(crate) struct LocalMutexes {
    taken: Vec<(Mutex<bool>, Condvar)>,
}

impl LocalMutexes {
    pub(crate) fn new(slots: u32) -> LocalMutexes {
        LocalMutexes { taken: (0..=slots).map(|_| Default::default()).collect() }
    }
}

impl SlotMutexes for LocalMutexes {
    fn count(&self) -> u32 {
        self.taken.len() as u32 - 1
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        let (taken, given_back) = &self.taken[index as usize];
        *given_back.wait_while(taken.lock().unwrap(), |taken| *taken).unwrap() = true;
        Ok(())
    }

    fn unlock(&self, index: u32) {
        let (taken, given_back) = &self.taken[index as usize];
        *taken.lock().unwrap() = false;
        given_back.notify_one();
    }
}
