//! Several processes played by one thread: they die when told to, time passes when told to, and
//! every rule about mutexes is checked as they go.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::core::clock::{Clock, ManualClock, Monotonic, Time};
use crate::core::lock::host::{Owner, Owners, Parking, Words};
use crate::core::lock::table::layout::{Cells, Field, Head, Key, Meta, Part, State};
use crate::core::lock::table::wait::{Place, Step, Want};
use crate::core::lock::table::{Layout, Table};
use crate::core::lock::{Lease, LeaseError, MutexError, SlotMutexes, Wait};
use crate::core::store::StoreKey;

pub(super) type SimTable = Table<Process, Process, Process, Process>;

/// What a killed process unwinds with.
struct Killed;

const FREE_HANDS: u32 = u32::MAX;

pub(super) struct World {
    pub layout: Layout,
    pub clock: ManualClock,
    words: Vec<AtomicU64>,
    dead: Mutex<HashSet<u32>>,
    /// Who is killed, and how many stores it may still do.
    fuse: Mutex<Option<(u32, usize)>>,
    taken: AtomicU32,
    /// Mutexes that cannot be had; a bit each.
    pub stuck: AtomicU64,
    pub parks: AtomicU64,
    pub locks: AtomicU64,
}

/// A process of the world.
#[derive(Clone)]
pub(super) struct Process {
    world: Arc<World>,
    pid: u32,
}

impl World {
    pub fn new(slots: u32, overflow: u32) -> Arc<World> {
        let layout = Layout::new(slots, overflow).unwrap();
        let world = Arc::new(World {
            layout,
            clock: ManualClock::new(Time::from_secs(1000)),
            words: (0..layout.words()).map(|_| AtomicU64::new(0)).collect(),
            dead: Mutex::default(),
            fuse: Mutex::default(),
            taken: AtomicU32::new(FREE_HANDS),
            stuck: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            locks: AtomicU64::new(0),
        });
        let [words, owners, clock, mutexes] = [(); 4].map(|()| world.as_process(1));
        Table::create(layout, words, owners, clock, mutexes);
        world
    }

    pub fn as_process(self: &Arc<World>, pid: u32) -> Process {
        Process { world: self.clone(), pid }
    }

    /// The table as the process `pid` sees it.
    pub fn process(self: &Arc<World>, pid: u32) -> SimTable {
        let [words, owners, clock, mutexes] = [(); 4].map(|()| self.as_process(pid));
        Table::open(self.layout, words, owners, clock, mutexes).unwrap()
    }

    pub fn kill(&self, pid: u32) {
        self.dead.lock().unwrap().insert(pid);
    }

    pub fn is_dead(&self, pid: u32) -> bool {
        self.dead.lock().unwrap().contains(&pid)
    }

    pub fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Runs `work` and kills the process when it wants to store for the time after `stores`. None
    /// if it was killed.
    pub fn with_fuse<R>(&self, pid: u32, stores: usize, work: impl FnOnce() -> R) -> Option<R> {
        *self.fuse.lock().unwrap() = Some((pid, stores));
        let result = catch_unwind(AssertUnwindSafe(work));
        *self.fuse.lock().unwrap() = None;
        match result {
            Ok(result) => Some(result),
            Err(cause) if cause.is::<Killed>() => {
                self.kill(pid);
                None
            }
            Err(cause) => resume_unwind(cause),
        }
    }

    fn burn(&self, pid: u32) {
        let mut fuse = self.fuse.lock().unwrap();
        match fuse.as_mut() {
            Some((who, 0)) if *who == pid => {
                drop(fuse);
                resume_unwind(Box::new(Killed));
            }
            Some((who, left)) if *who == pid => *left -= 1,
            _ => {}
        }
    }

    fn cells(self: &Arc<World>) -> Cells<Process> {
        Cells { words: self.as_process(0), layout: self.layout }
    }

    /// Sets the marks as if a process had been killed.
    pub fn mark_all(self: &Arc<World>) {
        let cells = self.cells();
        (0..self.layout.slots()).for_each(|slot| cells.set_part(slot, Part::Busy, 1));
        cells.set_head(Head::FreeBusy, 1);
    }

    /// Writes nonsense where the list of a slot begins.
    pub fn break_list(self: &Arc<World>, slot: u32) {
        self.cells().set_chain(slot, Some(self.layout.entries() + 3));
    }

    /// Writes another key into an entry.
    pub fn set_key(self: &Arc<World>, entry: u32, key: &StoreKey) {
        self.cells().set_field(entry, Field::KeyLow, Key::of(key).0[0]);
    }

    pub fn state(self: &Arc<World>, entry: u32) -> State {
        self.cells().meta(entry).state
    }

    fn listed(self: &Arc<World>) -> Vec<(u32, Meta)> {
        let cells = self.cells();
        let all = (0..self.layout.entries()).map(|entry| (entry, cells.meta(entry)));
        all.filter(|(_, meta)| meta.is_listed()).collect()
    }

    /// The holder of a key as pid and token. Panics if there are two.
    pub fn holder(self: &Arc<World>, key: &StoreKey) -> Option<(u32, u64)> {
        let cells = self.cells();
        let held: Vec<_> = (self.listed().into_iter())
            .filter(|(entry, meta)| meta.state == State::Held && cells.key(*entry) == Key::of(key))
            .map(|(entry, _)| (cells.owner(entry).pid, cells.token(entry)))
            .collect();
        assert!(held.len() <= 1, "two holders of one key: {held:?}");
        held.first().copied()
    }

    /// Panics unless all lists are as they should be between two operations.
    pub fn assert_whole(self: &Arc<World>) {
        let cells = self.cells();
        assert_eq!(cells.head(Head::FreeBusy), 0);
        let mut reached = HashSet::new();
        for slot in 0..self.layout.slots() {
            assert_eq!(cells.part(slot, Part::Busy), 0);
            let mut next = cells.chain(slot);
            while let Some(entry) = next {
                let meta = cells.meta(entry);
                assert!(meta.is_listed() && meta.slot == slot && reached.insert(entry));
                next = meta.next;
            }
            let waiting =
                |(_, meta): &&(u32, Meta)| meta.slot == slot && meta.state == State::Waiting;
            let waiting = self.listed().iter().filter(waiting).count() as u64;
            assert_eq!(cells.part(slot, Part::Waiting), waiting, "waiters of slot {slot}");
        }
        let slots = self.layout.slots();
        assert!(self.listed().iter().all(|(entry, _)| *entry < slots || reached.contains(entry)));
        let mut next = cells.free();
        while let Some(entry) = next {
            let meta = cells.meta(entry);
            assert!(entry >= slots && meta.state == State::Free && reached.insert(entry));
            next = meta.next;
        }
        let free = |entry: &u32| cells.meta(*entry).state == State::Free;
        let unreached = self.layout.overflow().filter(|entry| !reached.contains(entry));
        assert_eq!(unreached.filter(free).count(), 0, "a free entry is not in the free list");
    }

    /// Panics unless the table is empty: nothing held, nobody waiting, no entry lost.
    pub fn assert_empty(self: &Arc<World>) {
        self.assert_whole();
        for entry in 0..self.layout.entries() {
            assert_eq!(self.state(entry), State::Free, "entry {entry}");
        }
    }
}

impl Words for Process {
    fn load(&self, index: usize) -> u64 {
        self.world.words[index].load(Relaxed)
    }

    fn store(&self, index: usize, value: u64) {
        self.world.burn(self.pid);
        self.world.words[index].store(value, Relaxed);
    }

    fn add(&self, index: usize, value: u64) {
        self.world.burn(self.pid);
        self.world.words[index].fetch_add(value, Relaxed);
    }
}

impl Parking for Process {
    /// Nobody can wake the only thread, so the time just passes.
    fn park(&self, word: usize, expected: u32, timeout: Duration) {
        assert_eq!(self.world.taken.load(Relaxed), FREE_HANDS, "asleep with a mutex");
        self.world.parks.fetch_add(1, Relaxed);
        if self.load(word) as u32 == expected {
            self.world.advance(timeout);
        }
    }

    fn unpark(&self, _word: usize) {
        assert_eq!(self.world.taken.load(Relaxed), FREE_HANDS, "a system call under a mutex");
    }
}

impl Owners for Process {
    fn me(&self) -> Owner {
        Owner { pid: self.pid, start: 7 }
    }

    fn alive(&self, owner: Owner) -> bool {
        assert_eq!(self.world.taken.load(Relaxed), FREE_HANDS, "a system call under a mutex");
        owner.start == 7 && !self.world.is_dead(owner.pid)
    }
}

impl Clock for Process {
    fn now(&self) -> Time {
        self.world.clock.now()
    }

    fn monotonic(&self) -> Monotonic {
        self.world.clock.monotonic()
    }
}

impl SlotMutexes for Process {
    fn count(&self) -> u32 {
        self.world.layout.slots()
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        self.world.locks.fetch_add(1, Relaxed);
        if self.world.stuck.load(Relaxed) & (1 << index) != 0 {
            return Err(MutexError::TimedOut);
        }
        let before = self.world.taken.swap(index, Relaxed);
        assert_eq!(before, FREE_HANDS, "a second mutex");
        Ok(())
    }

    fn unlock(&self, index: u32) {
        assert_eq!(self.world.taken.swap(FREE_HANDS, Relaxed), index);
    }
}

/// A key of the slot `number` modulo the number of slots.
pub(super) fn key(number: u8) -> StoreKey {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&u64::from(number).to_le_bytes());
    StoreKey::from_bytes(bytes)
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Waits up to `timeout`, keeps it for 5 minutes, among as many waiters as you like.
pub(super) fn wait(timeout: Duration) -> Wait {
    Wait { timeout, hold: Some(seconds(300)), waiters: 100, waiters_in_all: 100 }
}

/// A request that waits, step by step.
pub(super) struct Waiter {
    pub want: Want,
    pub place: Option<Place>,
}

impl Waiter {
    pub fn new(table: &SimTable, key: &StoreKey, wait: &Wait) -> Waiter {
        let want = table.want(key, wait);
        match table.begin(&want) {
            Ok(Step::Waiting(place)) => Waiter { want, place: Some(place) },
            other => panic!("{other:?} instead of waiting"),
        }
    }

    /// One look; the lease, an error or, if it still waits, none.
    pub fn look(&mut self, table: &SimTable) -> Option<Result<Lease, LeaseError>> {
        match table.look(&self.want, self.place.take().unwrap()) {
            Ok(Step::Held(lease)) => Some(Ok(lease)),
            Ok(Step::Waiting(place)) => {
                self.place = Some(place);
                None
            }
            Err(cause) => Some(Err(cause)),
        }
    }
}
