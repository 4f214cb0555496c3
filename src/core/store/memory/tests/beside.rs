//! Threads that write at once, and somebody without a mutex who reads.

use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;
use crate::core::session::values::Key;
use crate::core::store::conformance::{key, record_with, stored};

/// A record whose value has one byte all over.
fn uniform(byte: u8, size: usize) -> Record {
    record_with(7, &vec![byte; size])
}

fn is_uniform(record: &Record) -> bool {
    let value = record.values.get(&Key::new("value").unwrap()).unwrap();
    value.windows(2).all(|two| two[0] == two[1])
}

#[test]
fn a_reader_without_a_mutex_sees_whole_records() {
    let store = local(1 << 20);
    let keys: Vec<StoreKey> = (0..8).map(key).collect();
    for key in &keys {
        store.create(key, &uniform(1, 500)).unwrap();
    }
    let snapshot = Snapshot::open(store.words.clone(), store.layout.bytes()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..3000u32 {
                let record = uniform(round as u8, 200 + round as usize % 700);
                let key = &keys[round as usize % keys.len()];
                store.update(key, Held::default(), &record).unwrap();
                let other = conformance_key(round);
                store.create(&other, &record).unwrap();
                store.delete(&other, None).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut seen = 0;
        while !done.load(Ordering::SeqCst) {
            for key in &keys {
                let record = snapshot.load(key).unwrap().expect("it is always there").record;
                assert!(is_uniform(&record));
                seen += 1;
            }
            snapshot
                .scan(&Position::default(), &mut |entry| {
                    assert!(entry.record.as_ref().is_ok_and(is_uniform));
                    true
                })
                .unwrap();
        }
        assert!(seen > 0);
    });
    let stats = snapshot.stats().unwrap();
    assert_eq!((stats.records, stats), (Some(8), store.stats().unwrap()));
}

fn conformance_key(round: u32) -> StoreKey {
    StoreKey::new("others", &[round as u8; 32])
}

#[test]
fn a_snapshot_shows_what_is_there_and_changes_nothing() {
    let store = local(1 << 20);
    for number in 0..50 {
        store.create(&key(number), &uniform(number, 30)).unwrap();
    }
    let snapshot = Snapshot::open(store.words.clone(), store.layout.bytes()).unwrap();
    let mut keys = Vec::new();
    let end = snapshot.scan(&Position::default(), &mut |entry| {
        keys.push(entry.key);
        keys.len() < 20
    });
    let next = end.unwrap().expect("more");
    let end = snapshot.scan(&next, &mut |entry| {
        keys.push(entry.key);
        true
    });
    assert_eq!(end.unwrap(), None);
    keys.sort_unstable();
    let mut all: Vec<StoreKey> = (0..50).map(key).collect();
    all.sort_unstable();
    assert_eq!(keys, all);
    let unsupported = |result| matches!(result, Err(StoreError::Unsupported));
    assert!(unsupported(snapshot.create(&key(90), &uniform(1, 1))));
    assert!(unsupported(snapshot.delete(&key(1), None).map(drop)));
    assert!(snapshot.load(&key(90)).unwrap().is_none());
    assert!(Snapshot::open(Heap::new(1 << 20), 1 << 20).is_err());
}

#[test]
fn threads_on_all_shards_lose_nothing() {
    let store = local(4 << 20);
    thread::scope(|scope| {
        for thread in 0..4u8 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..40 {
                    let key = key(thread * 40 + number);
                    store.create(&key, &uniform(number, 100)).unwrap();
                    for size in [10, 400, 0, 90] {
                        store.update(&key, Held::default(), &uniform(number, size)).unwrap();
                    }
                }
            });
        }
    });
    for number in 0..160 {
        assert_eq!(stored(&store, &key(number)), Some(uniform(number % 40, 90)));
    }
    assert_eq!(store.stats().unwrap().records, Some(160));
}
