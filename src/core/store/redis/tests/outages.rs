//! Servers that do not answer.

use std::time::{Duration, Instant};

use super::support::redis::{RedisCluster, RedisWithSentinels};
use super::support::wait::wait_for;
use super::*;
use crate::core::store::conformance::{key, record, record_with, stored};
use crate::core::store::{Store, StoreError};

/// Longest wait for a store to recover.
const PATIENCE: Duration = Duration::from_secs(30);
const AT_ONCE: Duration = Duration::from_millis(100);

fn timed<T>(body: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (body(), start.elapsed())
}

fn is_out<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Io { .. }))
}

/// Waits until the store reads again; each attempt until then fails as an outage.
fn wait_until_back(store: &RedisStore) {
    wait_for("the store to be back", PATIENCE, || {
        let outcome = store.load(&key(1));
        assert!(outcome.is_ok() || is_out(&outcome), "{:?}", outcome.map(drop));
        outcome.is_ok().then_some(())
    });
}

#[test]
fn a_server_that_is_away_is_asked_by_one_and_the_others_fail_at_once() {
    let (redis, store) = fresh();
    store.create(&key(1), &record(7)).unwrap();
    redis.kill();
    let text = store.load(&key(1)).map(drop).unwrap_err().to_string();
    assert!(text.contains("127.0.0.1") && text.contains("refused"), "{text}");
    let (outcomes, took) = timed(|| (0..50).filter(|_| is_out(&store.load(&key(1)))).count());
    assert!(outcomes == 50 && took < AT_ONCE, "{took:?}");
    let text = store.load(&key(1)).map(drop).unwrap_err().to_string();
    assert!(text.contains("failed a moment ago"), "{text}");
    redis.start_again();
    wait_until_back(&store);
    store.create(&key(1), &record(8)).unwrap();
}

#[test]
fn a_restart_between_two_commands_is_not_noticed() {
    let (redis, store) = fresh();
    store.create(&key(1), &record(7)).unwrap();
    redis.kill();
    redis.start_again();
    store.create(&key(1), &record(8)).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record(8)));
}

#[test]
fn a_server_that_is_frozen_costs_its_timeout_once() {
    let redis = Redis::start();
    let store = store(&format!("{}?timeout=300ms", redis.address()));
    store.create(&key(1), &record(7)).unwrap();
    redis.freeze();
    let (outcome, took) = timed(|| store.load(&key(1)));
    assert!(is_out(&outcome));
    assert!(took > Duration::from_millis(250) && took < Duration::from_millis(900), "{took:?}");
    let (outcome, took) = timed(|| store.load(&key(1)));
    assert!(is_out(&outcome) && took < AT_ONCE, "{took:?}");
    redis.thaw();
    wait_until_back(&store);
    // The answers that came late belong to nobody.
    for _ in 0..10 {
        assert_eq!(stored(&store, &key(1)), Some(record(7)));
    }
}

#[test]
fn an_update_whose_answer_was_lost_is_done_once() {
    let redis = Redis::start();
    let store = store(&format!("{}?timeout=300ms", redis.address()));
    store.create(&key(1), &record(7)).unwrap();
    let wait = crate::core::lock::Wait {
        timeout: Duration::ZERO,
        hold: None,
        waiters: 1,
        waiters_in_all: 1,
    };
    let (_, claim) = store.claims().unwrap().load(&key(1), &wait).unwrap().unwrap();
    let claim = claim.unwrap();
    claim.update(&record_with(7, b"first"), false).unwrap();
    redis.freeze();
    assert!(is_out(&claim.update(&record_with(7, b"lost answer"), false)));
    redis.thaw();
    wait_until_back(&store);
    // It was done when the server went on; the holder does not know, and has to merge.
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"lost answer")));
    let again = claim.update(&record_with(7, b"again"), false);
    assert!(matches!(again, Err(StoreError::Overtaken)), "{again:?}");
}

#[test]
fn a_failover_by_sentinels_is_followed() {
    let redis = RedisWithSentinels::start();
    let store = store(&redis.address());
    store.create(&key(1), &record(7)).unwrap();
    assert_eq!(redis.first().cli(&["WAIT", "1", "5000"]), "1");
    redis.first().kill();
    let (outcome, took) = timed(|| store.load(&key(1)));
    assert!(is_out(&outcome) && took < Duration::from_secs(3), "{took:?}");
    redis.wait_for_failover();
    wait_until_back(&store);
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    store.create(&key(2), &record(7)).unwrap();
    assert_eq!(redis.second().keys("session_store:*").len(), 2);
}

#[test]
fn a_master_that_became_a_replica_is_left_for_the_new_one() {
    let redis = RedisWithSentinels::start();
    let store = store(&redis.address());
    store.create(&key(1), &record(7)).unwrap();
    assert_eq!(redis.first().cli(&["WAIT", "1", "5000"]), "1");
    let port = redis.second().port().to_string();
    // As after a failover that we saw nothing of: our connection is to a server that takes no writes.
    redis.second().cli(&["REPLICAOF", "NO", "ONE"]);
    redis.first().cli(&["REPLICAOF", "127.0.0.1", &port]);
    wait_for("the sentinels to see it", PATIENCE, || {
        let outcome = store.create(&key(2), &record(7));
        assert!(outcome.is_ok() || is_out(&outcome), "{outcome:?}");
        outcome.ok()
    });
}

#[test]
fn no_sentinel_and_an_unknown_master_are_told_from_each_other() {
    let redis = RedisWithSentinels::start();
    let address = redis.address();
    let unknown = address.rsplit_once('/').unwrap().0.to_owned() + "/other";
    let text = store(&unknown).greet().unwrap_err().to_string();
    assert!(text.contains("the master other") && text.contains("does not know"), "{text}");
    drop(redis);
    let text = store(&address).greet().unwrap_err().to_string();
    assert!(text.contains("no sentinel") && text.contains("refused"), "{text}");
}

#[test]
fn a_part_of_a_cluster_that_is_away_does_not_keep_from_the_rest() {
    let cluster = RedisCluster::start();
    let store = store(&cluster.address());
    let numbers = 0..30u8;
    for number in numbers.clone() {
        store.create(&key(number), &record(7)).unwrap();
    }
    for node in cluster.nodes() {
        node.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    cluster.nodes()[2].kill();
    let (there, away): (Vec<u8>, Vec<u8>) =
        numbers.partition(|number| store.load(&key(*number)).is_ok());
    assert!(there.len() > 5 && away.len() > 2, "{} {}", there.len(), away.len());
    let (_, took) = timed(|| away.iter().for_each(|number| drop(store.load(&key(*number)))));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(there.iter().all(|number| stored(&store, &key(*number)).is_some()));
}

#[test]
fn a_store_that_nobody_ever_reached_says_where_it_looked() {
    let text = store("redis://127.0.0.1:1").greet().unwrap_err().to_string();
    assert!(text.contains("greeting Redis") && text.contains("127.0.0.1:1"), "{text}");
    let text = store("redis+cluster://127.0.0.1:1").greet().unwrap_err().to_string();
    assert!(text.contains("the cluster") && text.contains("127.0.0.1:1"), "{text}");
    let text = store("redis+unix:///nonexistent/socket").greet().unwrap_err().to_string();
    assert!(text.contains("/nonexistent/socket"), "{text}");
}
