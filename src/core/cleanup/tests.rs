//! Rounds that share what they know, on a store that counts and a clock that stands.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::core::clock::{ManualClock, Monotonic};
use crate::core::lock::host::{Owner, Words};
use crate::core::session::id::SystemRandom;
use crate::core::session::record::Record;
use crate::core::store::conformance::{key, record};
use crate::core::store::fake::FakeStore;
use crate::core::store::{Bounded, Population};

const SECOND: Duration = Duration::from_secs(1);
const SETTINGS: Settings =
    Settings { interval: Duration::from_secs(60), limit: Duration::from_secs(2), grace: SECOND };

/// Words of this process.
struct Memory([AtomicU64; WORDS]);

impl Words for &Memory {
    fn load(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::Acquire)
    }

    fn store(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::Release);
    }

    fn add(&self, index: usize, value: u64) {
        self.0[index].fetch_add(value, Ordering::Relaxed);
    }
}

impl Shared for &Memory {
    fn exchange(&self, index: usize, old: u64, new: u64) -> bool {
        self.0[index].compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A process; others are alive if the flag says so.
struct Someone(u32, Arc<AtomicBool>);

impl Owners for Someone {
    fn me(&self) -> Owner {
        Owner { pid: self.0, start: 1 }
    }

    fn alive(&self, _owner: Owner) -> bool {
        self.1.load(Ordering::Relaxed)
    }
}

struct World {
    memory: Memory,
    clock: Arc<ManualClock>,
    alive: Arc<AtomicBool>,
    store: FakeStore,
}

impl Clock for Arc<ManualClock> {
    fn now(&self) -> Time {
        (**self).now()
    }

    fn monotonic(&self) -> Monotonic {
        (**self).monotonic()
    }
}

type TestCleaner<'w> = Cleaner<&'w Memory, Someone, Arc<ManualClock>>;

impl World {
    fn new() -> World {
        World {
            memory: Memory([const { AtomicU64::new(0) }; WORDS]),
            clock: Arc::new(ManualClock::new(Time::from_secs(1000))),
            alive: Arc::new(AtomicBool::new(true)),
            store: FakeStore::default(),
        }
    }

    fn cleaner(&self, pid: u32) -> TestCleaner<'_> {
        let someone = Someone(pid, Arc::clone(&self.alive));
        Cleaner::new(&self.memory, someone, Arc::clone(&self.clock), Some(SETTINGS))
    }

    /// Records `numbers` that end at `end` seconds.
    fn fill(&self, numbers: std::ops::Range<u8>, end: u64) {
        for number in numbers {
            let record = Record { deadline: Time::from_secs(end), ..record(7) };
            self.store.create(&key(number), &record).unwrap();
        }
    }
}

/// A round that ends after `most` records.
fn round(cleaner: &TestCleaner<'_>, store: &dyn Store, most: u64) -> Round {
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > most
    };
    let turn = cleaner.turn().expect("a round is due");
    turn.round(store, &SystemRandom, &stop)
}

#[test]
fn a_round_removes_what_ended_before_the_grace_and_the_next_is_due_after_the_interval() {
    let world = World::new();
    let cleaner = world.cleaner(1);
    world.fill(0..5, 998);
    world.fill(5..8, 999);
    let done = round(&cleaner, &world.store, 100);
    assert!(done.did_something() && !done.is_trouble());
    assert_eq!(done.to_string(), "cleanup removed 5 of 8 records in 0 ms");
    assert_eq!(world.store.len(), 3);
    assert!(!cleaner.is_due() && cleaner.turn().is_none());
    world.clock.advance(SETTINGS.interval);
    let done = round(&cleaner, &world.store, 100);
    assert_eq!(world.store.len(), 0);
    assert_eq!(done.outcome.unwrap().removed, 3);
    world.clock.advance(SETTINGS.interval);
    assert!(!round(&cleaner, &world.store, 100).did_something(), "nothing to say");
}

#[test]
fn a_round_ends_with_its_time_and_another_process_goes_on_there() {
    let world = World::new();
    world.fill(0..35, 10);
    let cleaners = [1, 2].map(|pid| world.cleaner(pid));
    let mut turns = cleaners.iter().cycle();
    for left in [25, 15, 5] {
        let done = round(turns.next().unwrap(), &world.store, 10);
        assert!(done.to_string().ends_with("; more in the next round"), "{done}");
        assert_eq!(world.store.len(), left);
        world.clock.advance(SETTINGS.interval);
    }
    let board = cleaners[0].board;
    let stats = board.stats();
    assert_eq!((stats.rounds, stats.walks, stats.removed, stats.records), (3, 0, 30, None));
    round(turns.next().unwrap(), &world.store, 10);
    assert_eq!((board.stats().walks, board.stats().records), (1, Some(0)));
}

#[test]
fn time_ends_a_round() {
    let world = World::new();
    let cleaner = world.cleaner(1);
    world.fill(0..30, 10);
    let slow = || {
        world.clock.advance(Duration::from_millis(500));
        false
    };
    let done = cleaner.turn().unwrap().round(&world.store, &SystemRandom, &slow);
    assert_eq!(done.outcome.unwrap().seen, 3);
    assert_eq!(cleaner.board.stats().last_took, Duration::from_secs(2));
}

#[test]
fn one_process_at_a_time_has_the_turn_and_a_dead_one_loses_it() {
    let world = World::new();
    let (one, other) = (world.cleaner(1), world.cleaner(2));
    let turn = one.turn().unwrap();
    // Nobody has to ask who is at it before the next round could be due.
    assert!(!other.is_due());
    world.clock.advance(SETTINGS.interval + SETTINGS.limit);
    assert!(other.is_due() && other.turn().is_none() && one.turn().is_none());
    world.alive.store(false, Ordering::Relaxed);
    let second = other.turn().unwrap();
    // The one that was thought dead ends late: it gives back what it has no longer.
    drop(turn);
    world.alive.store(true, Ordering::Relaxed);
    world.clock.advance(SETTINGS.interval + SETTINGS.limit);
    assert!(one.turn().is_none());
    drop(second);
    world.clock.advance(SETTINGS.interval);
    assert!(one.turn().is_some());
}

#[test]
fn who_is_at_it_for_too_long_loses_the_turn() {
    let world = World::new();
    let (one, other) = (world.cleaner(1), world.cleaner(2));
    let _turn = one.turn().unwrap();
    world.clock.advance(SETTINGS.limit + STUCK);
    assert!(other.turn().is_none());
    world.clock.advance(SECOND);
    assert!(other.turn().is_some());
}

#[test]
fn after_a_failure_the_next_round_begins_elsewhere_and_does_not_count() {
    let world = World::new();
    world.fill(0..30, 10);
    let cleaner = world.cleaner(1);
    world.store.fail_next(1);
    let done = round(&cleaner, &world.store, 100);
    assert!(done.is_trouble() && done.to_string().starts_with("cleanup failed after 0 ms: "));
    assert_ne!(cleaner.board.position(), Position::default());
    world.clock.advance(SETTINGS.interval);
    // To the end: part of the records only.
    round(&cleaner, &world.store, 100);
    let stats = cleaner.board.stats();
    assert_eq!((stats.rounds, stats.failed, stats.walks, stats.records), (2, 1, 1, None));
    assert_eq!(cleaner.board.position(), Position::default());
}

#[test]
fn a_position_of_any_length_comes_back() {
    let world = World::new();
    let board = world.cleaner(1).board;
    for length in [0, 1, 7, 8, 9, 32, 49, 63, 64] {
        let position = Position::new(&vec![0xa5; length]);
        let purged = Purged { next: Some(position.clone()), ..Purged::default() };
        board.record(&Position::default(), &purged, (Time(1), SECOND));
        assert_eq!(board.position(), position, "{length}");
    }
}

#[test]
fn without_an_interval_nothing_is_ever_due() {
    let world = World::new();
    let someone = Someone(1, Arc::clone(&world.alive));
    let cleaner = Cleaner::new(&world.memory, someone, Arc::clone(&world.clock), None);
    assert!(!cleaner.is_due() && cleaner.turn().is_none());
}

#[test]
fn a_full_store_is_told_of_once_a_minute() {
    let world = World::new();
    let board = world.cleaner(1).board;
    let told = || board.may_tell(world.clock.monotonic());
    assert!(told() && !told());
    world.clock.advance(SETTINGS.interval - SECOND);
    assert!(!told());
    world.clock.advance(SECOND);
    assert!(told() && !told());
}

fn newborn() -> Record {
    let now = Time::from_secs(990);
    Record { created: now, accessed: now, deadline: now, ..record(7) }
}

/// A store that does not say how many records it has.
fn uncounted() -> Box<FakeStore> {
    let store = FakeStore::default();
    store.forget_count();
    Box::new(store)
}

#[test]
fn new_sessions_past_the_limit_are_refused_and_others_are_not() {
    let world = World::new();
    let cleaner = world.cleaner(1);
    for store in [Box::new(FakeStore::default()), uncounted()] {
        let refused = cleaner.board.stats().refused;
        let bounded = Bounded::new(store, 3, cleaner.board);
        for number in 0..3 {
            bounded.create(&key(number), &newborn()).unwrap();
        }
        let full = bounded.create(&key(9), &newborn());
        assert!(matches!(full, Err(StoreError::Full("SessionMaxSessions"))));
        assert_eq!(cleaner.board.stats().refused, refused + 1);
        // A session that gets a new id was made before.
        bounded.create(&key(3), &record(7)).unwrap();
        assert!(bounded.delete(&key(0), None).unwrap() && bounded.delete(&key(3), None).unwrap());
        assert!(!bounded.delete(&key(0), None).unwrap());
        bounded.create(&key(4), &newborn()).unwrap();
        assert!(bounded.create(&key(9), &newborn()).is_err());
        // The cleanup makes room, and its whole walks count.
        world.clock.advance(SETTINGS.interval);
        round(&cleaner, &bounded, 100);
        assert_eq!((cleaner.board.count(), cleaner.board.stats().records), (0, Some(0)));
        bounded.create(&key(9), &newborn()).unwrap();
        bounded.delete(&key(9), None).unwrap();
    }
}

#[test]
fn what_was_there_before_counts_from_the_first_whole_walk_on() {
    let world = World::new();
    let cleaner = world.cleaner(1);
    let store = uncounted();
    let late = Record { deadline: Time::from_secs(5000), ..newborn() };
    (0..5).for_each(|number| store.create(&key(number), &late).unwrap());
    let bounded = Bounded::new(store, 5, cleaner.board);
    assert!(bounded.delete(&key(0), None).unwrap());
    assert_eq!(cleaner.board.count(), 0, "below zero is none");
    bounded.create(&key(5), &late).unwrap();
    round(&cleaner, &bounded, 100);
    assert_eq!(cleaner.board.count(), 5);
    assert!(bounded.create(&key(6), &late).is_err());
}
