//! Sessions held against other machines.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::support::wait::wait_for;
use super::*;
use crate::core::lock::{LeaseError, Wait};
use crate::core::store::conformance::{key, record, record_with, stored};
use crate::core::store::{Claim, Held, Merge, Store, StoreError};

const SOON: Duration = Duration::from_secs(10);

fn wait(timeout: Duration) -> Wait {
    Wait { timeout, hold: None, waiters: 1, waiters_in_all: 1 }
}

fn not_at_all() -> Wait {
    wait(Duration::ZERO)
}

/// A Redis and two machines on it, whose holders' ends it waits for `lease`.
fn two_machines(lease: &str) -> (Redis, Site, Site) {
    let redis = Redis::start();
    let address = format!("{}?lease={lease}", redis.address());
    let (one, two) = (Site::new(&address), Site::new(&address));
    (redis, one, two)
}

fn claim(store: &RedisStore, wait: &Wait) -> Result<Box<dyn Claim>, StoreError> {
    let claimed = store.claims().unwrap().load(&key(1), wait)?;
    Ok(claimed.expect("there is a record").1.expect("it can be held"))
}

fn is_held_elsewhere(result: Result<Box<dyn Claim>, StoreError>) -> bool {
    matches!(result, Err(StoreError::Lease(LeaseError::TimedOut)))
}

/// What lies in Redis of who holds the record.
fn holder(redis: &Redis) -> String {
    let name = redis.keys("session_store:*").pop().unwrap();
    redis.cli(&["HGET", &name, "t"])
}

#[track_caller]
fn wait_until_free(redis: &Redis) {
    wait_for("the session to be let go", SOON, || holder(redis).is_empty().then_some(()));
}

#[test]
fn what_one_machine_holds_another_one_waits_for() {
    let (redis, one, two) = two_machines("30s");
    let (one, two) = (one.open(), two.open());
    one.create(&key(1), &record(7)).unwrap();
    let held = claim(&one, &not_at_all()).unwrap();
    assert!(held.is_ours());
    assert!(is_held_elsewhere(claim(&two, &not_at_all())));
    let start = Instant::now();
    assert!(is_held_elsewhere(claim(&two, &wait(Duration::from_millis(200)))));
    assert!(start.elapsed() >= Duration::from_millis(200));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| claim(&two, &wait(SOON)).map(|held| held.is_ours()));
        held.update(&record_with(7, b"second"), true).unwrap();
        assert!(waiter.join().unwrap().unwrap());
    });
    assert!(!held.is_ours());
    assert_eq!(stored(&two, &key(1)), Some(record_with(7, b"second")));
    wait_until_free(&redis);
}

#[test]
fn a_claim_that_is_dropped_is_let_go_at_once() {
    let (redis, one, two) = two_machines("30s");
    let (one, two) = (one.open(), two.open());
    one.create(&key(1), &record(7)).unwrap();
    drop(claim(&one, &not_at_all()).unwrap());
    wait_until_free(&redis);
    claim(&two, &not_at_all()).unwrap();
}

#[test]
fn a_machine_takes_over_from_its_own_dead_and_never_from_others() {
    let (_redis, one, two) = two_machines("30s");
    let (mut killed, child) = (Some(one.open()), one.open());
    killed.as_ref().unwrap().create(&key(1), &record(7)).unwrap();
    // As a process that is killed leaves it: held, and nobody renews it or lets it go.
    std::mem::forget(claim(killed.as_ref().unwrap(), &not_at_all()).unwrap());
    std::mem::forget(killed.take());
    assert!(is_held_elsewhere(claim(&two.open(), &not_at_all())));
    assert!(claim(&child, &not_at_all()).unwrap().is_ours());
}

#[test]
fn what_a_dead_machine_held_is_free_after_the_lease() {
    let (redis, _, two) = two_machines("1s");
    let one = Site::new(&redis.address());
    let one =
        Site { address: RedisAddress { lease: Duration::from_secs(1), ..one.address }, ..one };
    let store = Site { ..one }.open();
    store.create(&key(1), &record(7)).unwrap();
    let held = claim(&store, &not_at_all()).unwrap();
    redis.cli(&["CLIENT", "NO-EVICT", "off"]);
    // A machine that is cut off renews nothing.
    store.shared.renewal.end();
    let start = Instant::now();
    let other = claim(&two.open(), &wait(SOON)).unwrap();
    assert!(start.elapsed() > Duration::from_millis(500) && start.elapsed() < SOON);
    assert!(other.is_ours() && !held.is_ours());
    assert!(matches!(held.update(&record(7), false), Err(StoreError::Overtaken)));
}

#[test]
fn a_claim_is_renewed_for_as_long_as_it_may_be_held() {
    let (_redis, one, two) = two_machines("1s");
    let (one, two) = (one.open(), two.open());
    one.create(&key(1), &record(7)).unwrap();
    let hold = Wait { hold: Some(Duration::from_secs(3)), ..not_at_all() };
    let start = Instant::now();
    let held = claim(&one, &hold).unwrap();
    let other = claim(&two, &wait(SOON)).unwrap();
    // Past the lease, and not much past what it may be held.
    let waited = start.elapsed();
    assert!(waited > Duration::from_millis(2500) && waited < Duration::from_secs(6), "{waited:?}");
    assert!(!held.is_ours() && other.is_ours());
    assert!(matches!(held.update(&record(7), true), Err(StoreError::Overtaken)));
    assert_eq!(stored(&two, &key(1)), Some(record(7)));
}

#[test]
fn a_claim_stays_ours_over_writes_of_ours_and_notices_those_of_others() {
    let (_redis, one, _) = two_machines("30s");
    let store = one.open();
    store.create(&key(1), &record(7)).unwrap();
    let held = claim(&store, &not_at_all()).unwrap();
    for round in 0..3 {
        held.update(&record_with(7, &[round]), false).unwrap();
    }
    assert!(held.is_ours());
    store
        .touch(
            &key(1),
            &Held::default(),
            7,
            crate::core::store::Visit {
                accessed: crate::core::clock::Time(210),
                deadline: crate::core::clock::Time(900),
            },
        )
        .unwrap();
    held.update(&record_with(7, b"after a visit"), false).unwrap();
    let mut write = |_| Merge::Write(Box::new(record_with(7, b"without holding it")));
    store.merge(&key(1), 7, &mut write).unwrap();
    assert!(matches!(held.update(&record_with(7, b"late"), true), Err(StoreError::Overtaken)));
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"without holding it")));
}

#[test]
fn a_deleted_record_is_gone_for_its_holder() {
    let (_redis, one, _) = two_machines("30s");
    let store = one.open();
    store.create(&key(1), &record(7)).unwrap();
    let held = claim(&store, &not_at_all()).unwrap();
    assert!(store.delete(&key(1), Some(7)).unwrap());
    assert!(matches!(held.update(&record(7), true), Err(StoreError::Gone)));
    assert!(stored(&store, &key(1)).is_none());
}

#[test]
fn what_is_unknown_is_not_held_and_nothing_is_made_of_it() {
    let (redis, one, _) = two_machines("30s");
    let store = one.open();
    assert!(store.claims().unwrap().load(&key(1), &not_at_all()).unwrap().is_none());
    assert_eq!(redis.keys("*"), Vec::<String>::new());
}

#[test]
fn a_new_record_can_be_held_from_the_start() {
    let (_redis, one, two) = two_machines("30s");
    let (one, two) = (one.open(), two.open());
    let held = one.claims().unwrap().create(&key(1), &record(7), &not_at_all()).unwrap();
    assert!(is_held_elsewhere(claim(&two, &not_at_all())));
    held.update(&record_with(7, b"second"), true).unwrap();
    claim(&two, &not_at_all()).unwrap();
    let again = one.claims().unwrap().create(&key(1), &record(8), &not_at_all());
    assert!(matches!(again, Err(StoreError::Exists)));
}

#[test]
fn an_alias_is_not_held() {
    use crate::core::session::record::{Kind, Record};
    let (_redis, one, _) = two_machines("30s");
    let store = one.open();
    let until = crate::core::clock::Time(900);
    let kind = Kind::Alias { target: *key(2).as_bytes(), until };
    let alias = Record { kind, ..record(7) };
    store.create(&key(1), &record(7)).unwrap();
    store.update(&key(1), Held::default(), &alias).unwrap();
    let (loaded, claim) = store.claims().unwrap().load(&key(1), &not_at_all()).unwrap().unwrap();
    assert!(loaded.record == alias && claim.is_none());
}

#[test]
fn a_full_redis_lets_sessions_be_read_and_says_that_it_is_full() {
    let (redis, one, _) = two_machines("30s");
    let store = one.open();
    store.create(&key(1), &record(7)).unwrap();
    let held = claim(&store, &not_at_all()).unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let (loaded, claim) = store.claims().unwrap().load(&key(1), &not_at_all()).unwrap().unwrap();
    assert!(loaded.record == record(7) && claim.is_none());
    for refused in [
        store.create(&key(2), &record(7)),
        store.update(&key(1), Held::default(), &record(7)).map(drop),
        held.update(&record(7), true),
    ] {
        assert!(matches!(refused, Err(StoreError::Full("maxmemory of Redis"))), "{refused:?}");
    }
    assert!(store.delete(&key(1), None).unwrap(), "what is full can be emptied");
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    store.create(&key(1), &record(7)).unwrap();
}

/// What clients send to the server while `body` runs, one command a line, without what scripts do.
fn sent_during(redis: &Redis, body: impl FnOnce()) -> Vec<String> {
    const END: &str = "that-is-all";
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    assert_eq!(lines.next().unwrap(), "+OK");
    body();
    redis.cli(&["ECHO", END]);
    let until = |line: &String| !line.contains(END);
    lines.take_while(until).filter(|line| !line.contains(" lua]")).collect()
}

#[test]
fn a_request_costs_one_round_trip_to_take_a_session_and_one_to_store_it_and_let_it_go() {
    let redis = Redis::start();
    let store = store(&redis.address());
    store.create(&key(1), &record(7)).unwrap();
    let request = |value: &[u8]| {
        claim(&store, &not_at_all()).unwrap().update(&record_with(7, value), true).unwrap();
    };
    // The first one brings the scripts along.
    request(b"first");
    let sent = sent_during(&redis, || request(b"second"));
    assert!(sent.len() == 2 && sent.iter().all(|line| line.contains("\"EVALSHA\"")), "{sent:?}");
    assert_eq!(holder(&redis), "");
}
