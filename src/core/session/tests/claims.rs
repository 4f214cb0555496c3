//! Sessions that are held against other machines too.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::world::{Browser, LAST, MORE, World, key, minutes, value};
use crate::core::lock::{LeaseError, Leases, Wait};
use crate::core::session::record::Record;
use crate::core::session::{Access, Notice, Services, Session, SessionError};
use crate::core::store::fake::Verb;
use crate::core::store::{
    Abilities, Claim, Claimed, Claims, Held, Loaded, Merge, Store, StoreError, StoreKey, Visit,
};

/// What happens to claims, in order: `take`, `make`, `write`, `write and end`, `end`.
#[derive(Default)]
struct Shared {
    log: Vec<&'static str>,
    /// Another machine holds every session.
    taken: bool,
    /// Another machine has taken what was held.
    lost: bool,
    /// For how long claims would have waited, and how many waited in all while they did.
    waits: Vec<(Duration, u64)>,
    /// Records that were written beside a claim.
    beside: Vec<StoreKey>,
}

/// The store of a world, shared with other machines.
struct SharedStore {
    world: Arc<World>,
    shared: Arc<Mutex<Shared>>,
}

struct TestClaim {
    world: Arc<World>,
    shared: Arc<Mutex<Shared>>,
    key: StoreKey,
    over: Mutex<bool>,
}

impl SharedStore {
    fn new(world: &Arc<World>) -> SharedStore {
        SharedStore { world: Arc::clone(world), shared: Arc::default() }
    }

    fn services(&self) -> Services<'_> {
        Services { store: self, ..self.world.services() }
    }

    fn set(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.shared.lock().unwrap());
    }

    fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.shared.lock().unwrap().log)
    }

    fn waits(&self) -> Vec<(Duration, u64)> {
        self.shared.lock().unwrap().waits.clone()
    }

    fn claim(&self, key: &StoreKey, what: &'static str) -> Box<dyn Claim> {
        self.set(|shared| {
            shared.log.push(what);
            shared.beside.retain(|written| written != key);
        });
        let (world, shared) = (Arc::clone(&self.world), Arc::clone(&self.shared));
        Box::new(TestClaim { world, shared, key: *key, over: Mutex::new(false) })
    }

    fn open(&self, browser: &Browser) -> Session {
        let mut session = browser.request();
        session.open(&self.services(), Access::Write).unwrap();
        session
    }
}

impl Claim for TestClaim {
    fn is_ours(&self) -> bool {
        !*self.over.lock().unwrap() && !self.shared.lock().unwrap().lost
    }

    fn update(&self, record: &Record, last: bool) -> Result<(), StoreError> {
        let mut shared = self.shared.lock().unwrap();
        if shared.lost || shared.beside.contains(&self.key) {
            return Err(StoreError::Overtaken);
        }
        shared.log.push(if last { "write and end" } else { "write" });
        *self.over.lock().unwrap() = last;
        self.world.store.update(&self.key, Held::default(), record).map(drop)
    }
}

impl Drop for TestClaim {
    fn drop(&mut self) {
        if !*self.over.lock().unwrap() {
            self.shared.lock().unwrap().log.push("end");
        }
    }
}

impl Claims for SharedStore {
    fn load(&self, key: &StoreKey, wait: &Wait) -> Result<Option<Claimed>, StoreError> {
        let waiting = self.world.leases.statistics().waiting;
        self.set(|shared| shared.waits.push((wait.timeout, waiting)));
        if self.shared.lock().unwrap().taken {
            return Err(StoreError::Lease(LeaseError::TimedOut));
        }
        let found = self.world.store.load(key)?;
        Ok(found.map(|loaded| (loaded, Some(self.claim(key, "take")))))
    }

    fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        _: &Wait,
    ) -> Result<Box<dyn Claim>, StoreError> {
        self.world.store.create(key, record)?;
        Ok(self.claim(key, "make"))
    }
}

impl Store for SharedStore {
    fn name(&self) -> &'static str {
        "shared"
    }

    fn abilities(&self) -> Abilities {
        self.world.store.abilities()
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        self.world.store.create(key, record)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        self.world.store.load(key)
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        self.set(|shared| shared.beside.push(*key));
        self.world.store.update(key, held, record)
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        self.world.store.merge(key, incarnation, change)
    }

    fn touch(
        &self,
        key: &StoreKey,
        held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        self.world.store.touch(key, held, incarnation, visit)
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        self.world.store.delete(key, incarnation)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.world.store.quarantine(key)
    }

    fn claims(&self) -> Option<&dyn Claims> {
        Some(self)
    }
}

/// A store with a session in it, and a browser that has it.
fn shared(lines: &[&str]) -> (SharedStore, Browser) {
    let world = World::new();
    let mut browser = world.browser(lines);
    browser.put("a", "1");
    (SharedStore::new(&world), browser)
}

#[test]
fn reading_and_holding_is_one_step_and_so_is_the_last_write_and_letting_go() {
    let (store, browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.set(&key("a"), b"2").unwrap();
    session.commit(&store.services(), MORE).unwrap();
    session.set(&key("a"), b"3").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    session.release(&store.services());
    assert_eq!(store.log(), ["take", "write", "write and end"]);
    assert_eq!(store.world.held(), 0);
    assert!(session.take_notices().is_empty());
    assert_eq!(browser.value("a").as_deref(), Some("3"));
}

#[test]
fn what_was_only_read_is_let_go_with_the_lease() {
    let (store, browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.commit(&store.services(), LAST).unwrap();
    assert_eq!(store.log(), ["take"]);
    session.release(&store.services());
    assert_eq!(store.log(), ["end"]);
    // Dropped without a word, as with the pool of a request that was cut off.
    drop(store.open(&browser));
    assert_eq!(store.log(), ["take", "end"]);
}

#[test]
fn places_that_hold_nothing_here_hold_nothing_there() {
    for line in ["SessionLocking commit", "SessionLocking read", "SessionLocking off"] {
        let (store, browser) = shared(&[]);
        let mut session = store.open(&browser.at(&[line]));
        let _ = session.set(&key("a"), b"2");
        session.commit(&store.services(), LAST).unwrap();
        session.release(&store.services());
        assert_eq!(store.log(), Vec::<&str>::new(), "{line}");
    }
}

#[test]
fn a_session_that_another_machine_holds_is_refused_and_no_lease_is_left() {
    let (store, browser) = shared(&["SessionLockTimeout 7s"]);
    store.set(|shared| shared.taken = true);
    let mut session = browser.request();
    let refused = session.open(&store.services(), Access::Write).unwrap_err();
    assert!(matches!(refused, SessionError::Lease(LeaseError::TimedOut)));
    assert!(!refused.is_outage());
    assert!(matches!(session.take_notices()[..], [Notice::Refused(LeaseError::TimedOut)]));
    assert!(!session.is_leased() && store.world.held() == 0);
    assert_eq!(store.waits(), [(Duration::ZERO, 0), (Duration::from_secs(7), 1)]);
    assert_eq!(store.world.leases.statistics().waiting, 0);
    // Looking at it needs nobody's leave.
    session.open(&store.services(), Access::Read).unwrap();
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
}

/// Another machine died with many sessions: the first request of each had the lease here, polled, and kept
/// its worker until all workers did that.
#[test]
fn of_sessions_that_another_machine_holds_no_more_are_waited_for_than_may_be() {
    let (store, browser) = shared(&["SessionLockTimeout 7s", "SessionLockWaiters 16 1%"]);
    store.set(|shared| shared.taken = true);
    let other = StoreKey::from_bytes([7; 32]);
    let place = store.world.leases.queue(&other, &browser.rules.wait).unwrap();
    let mut session = browser.request();
    let refused = session.open(&store.services(), Access::Write).unwrap_err();
    assert!(matches!(refused, SessionError::Lease(LeaseError::TooManyWaiters)));
    assert!(matches!(session.take_notices()[..], [Notice::Refused(LeaseError::TooManyWaiters)]));
    assert_eq!(store.waits(), [(Duration::ZERO, 1)], "it looked once, and did not wait");
    assert!(!session.is_leased() && store.world.held() == 0);
    // Nobody waits for what is free.
    store.set(|shared| shared.taken = false);
    session.open(&store.services(), Access::Write).unwrap();
    session.release(&store.services());
    store.world.leases.unqueue(place);
}

#[test]
fn what_another_machine_took_is_merged_with_one_notice() {
    let (store, browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.set(&key("mine"), b"1").unwrap();
    // A request of another machine does not see our lease.
    let (world, mut other) = (Arc::clone(&store.world), browser.at(&["SessionLocking commit"]));
    store.set(|shared| shared.lost = true);
    other.visit(|session| session.set(&key("theirs"), b"1").unwrap());
    session.commit(&store.services(), MORE).unwrap();
    assert!(!session.is_leased() && world.held() == 0);
    session.set(&key("more"), b"1").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    session.release(&store.services());
    assert!(matches!(session.take_notices()[..], [Notice::ClaimLost(_)]));
    for name in ["mine", "theirs", "more"] {
        assert_eq!(browser.value(name).as_deref(), Some("1"), "{name}");
    }
}

#[test]
fn a_session_that_is_made_is_held_from_the_start_if_its_handler_goes_on() {
    let world = World::new();
    let (store, mut browser) = (SharedStore::new(&world), world.browser(&[]));
    let mut session = store.open(&browser);
    session.set(&key("a"), b"1").unwrap();
    browser.take(&session.commit(&store.services(), MORE).unwrap());
    session.set(&key("a"), b"2").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    session.release(&store.services());
    assert_eq!(store.log(), ["make", "write and end"]);
    assert_eq!(browser.value("a").as_deref(), Some("2"));
}

#[test]
fn a_new_id_takes_the_session_along_and_lets_the_old_one_go() {
    let (store, mut browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.regenerate().unwrap();
    session.set(&key("a"), b"2").unwrap();
    browser.take(&session.commit(&store.services(), MORE).unwrap());
    assert_eq!(store.log(), ["take", "make", "write and end"]);
    session.set(&key("a"), b"3").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    session.release(&store.services());
    assert_eq!(store.log(), ["write and end"]);
    assert_eq!(browser.value("a").as_deref(), Some("3"));
    assert!(session.take_notices().is_empty() && world_is_free(&store));
}

/// The new record was written once more, beside the claim that was made with it. The next write by the claim
/// took that for another machine's, and said so in the log.
#[test]
fn what_others_wrote_goes_along_to_a_new_id_and_nobody_is_said_to_have_taken_it() {
    let (store, mut browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.regenerate().unwrap();
    // It is late: its lease here goes to another request, which writes.
    store.world.clock.advance(minutes(6));
    let lease = store.world.hold(&browser.key());
    let mut other = browser.at(&["SessionLocking commit"]);
    other.visit(|session| session.set(&key("theirs"), b"1").unwrap());
    browser.take(&session.commit(&store.services(), MORE).unwrap());
    assert!(matches!(session.take_notices()[..], [Notice::LeaseLost(_), ..]));
    assert_eq!(store.log(), ["take", "end", "make", "write"]);
    session.set(&key("a"), b"2").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    session.release(&store.services());
    assert!(session.take_notices().is_empty());
    assert_eq!(store.log(), ["write and end"]);
    assert_eq!(browser.value("theirs").as_deref(), Some("1"));
    assert_eq!(browser.value("a").as_deref(), Some("2"));
    store.world.leases.release(lease);
}

#[test]
fn a_session_deleted_and_made_again_is_held_anew() {
    let (store, mut browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.delete().unwrap();
    session.set(&key("b"), b"1").unwrap();
    browser.take(&session.commit(&store.services(), MORE).unwrap());
    session.set(&key("b"), b"2").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    session.release(&store.services());
    assert_eq!(store.log(), ["take", "make", "end", "write and end"]);
    assert_eq!(browser.value("b").as_deref(), Some("2"));
    assert!(session.take_notices().is_empty() && world_is_free(&store));
}

#[test]
fn what_could_not_be_held_is_merged_without_a_notice() {
    let (store, browser) = shared(&[]);
    let mut session = store.open(&browser);
    session.lock(&store.services(), true).unwrap();
    assert!(session.unlock());
    session.set(&key("a"), b"2").unwrap();
    session.commit(&store.services(), LAST).unwrap();
    // A last commit that is followed by another one all the same.
    session.set(&key("a"), b"3").unwrap();
    store.world.store.forget_calls();
    session.commit(&store.services(), LAST).unwrap();
    assert_eq!(store.world.store.count(Verb::Merge), 1);
    session.release(&store.services());
    assert!(session.take_notices().is_empty());
    assert_eq!(browser.value("a").as_deref(), Some("3"));
}

fn world_is_free(store: &SharedStore) -> bool {
    store.world.held() == 0
}
