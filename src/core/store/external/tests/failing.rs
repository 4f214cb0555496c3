//! Backends that fail, forget or are full.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::backend::{ALL, Memory, PLAIN, store};
use crate::core::clock::Time;
use crate::core::session::codec;
use crate::core::store::conformance::{key, record, record_with, stored};
use crate::core::store::external::{ExternalStore, Facts, user_hash};
use crate::core::store::{Held, Position, Stale, Store, StoreError};

#[test]
fn a_store_without_compare_is_not_opened_without_mutexes() {
    for facts in [PLAIN, Facts { serial: true, ..ALL }] {
        let opened = ExternalStore::new(Arc::new(Memory::new(facts)), None);
        assert!(matches!(opened.err(), Some(StoreError::Io { .. })));
    }
}

#[test]
fn a_cache_that_drops_the_old_record_before_it_refuses_the_new_one_gets_it_back() {
    let (memory, store) = store(PLAIN);
    store.create(&key(1), &record(7)).unwrap();
    memory.drops.store(1, Ordering::SeqCst);
    let refused = store.update(&key(1), Held::default(), &record_with(7, b"second"));
    assert!(matches!(refused.err(), Some(StoreError::Full(_))));
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
}

#[test]
fn a_record_larger_than_the_backend_takes_is_refused_with_its_limit() {
    let (_, store) = store(Facts { record_max: 300, ..PLAIN });
    store.create(&key(1), &record(7)).unwrap();
    let large = record_with(7, &[0; 300]);
    let refused = store.update(&key(1), Held::default(), &large);
    assert!(matches!(refused.err(), Some(StoreError::TooLarge(300))));
    assert!(matches!(store.create(&key(2), &large), Err(StoreError::TooLarge(300))));
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
}

#[test]
fn what_is_no_record_is_removed_by_quarantine_and_by_a_purge() {
    for facts in [ALL, PLAIN] {
        let (memory, store) = store(facts);
        for number in 1..4 {
            store.create(&key(number), &record(7)).unwrap();
        }
        let mut newer = codec::encode(&record(7)).unwrap();
        newer[0] = 99;
        memory.spoil(&key(1), b"\x01\0nonsense");
        memory.spoil(&key(2), b"\x01\0nonsense");
        memory.spoil(&key(3), &newer);
        assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)));
        assert!(store.quarantine(&key(1)).unwrap());
        assert!(stored(&store, &key(1)).is_none());
        assert!(!store.quarantine(&key(3)).unwrap());
        let all = Stale::EndedBefore(Time(u64::MAX));
        let purged = store.purge(all, &Position::default(), &mut || true).unwrap();
        assert_eq!((purged.seen, purged.removed, purged.corrupt), (2, 0, 1));
        assert!(matches!(store.load(&key(3)), Err(StoreError::Newer(_))));
    }
}

#[test]
fn a_store_that_removes_what_ended_by_itself_is_left_alone() {
    let (_, store) = store(Facts { expires: true, ..ALL });
    store.create(&key(1), &record(7)).unwrap();
    let all = Stale::EndedBefore(Time(u64::MAX));
    assert_eq!(store.purge(all, &Position::default(), &mut || true).unwrap().seen, 0);
    let unvisited = Stale::NotVisitedSince(Time(u64::MAX));
    assert_eq!(store.purge(unvisited, &Position::default(), &mut || true).unwrap().removed, 1);
}

#[test]
fn the_hash_of_a_user_tells_scopes_and_names_apart() {
    let hash = user_hash([1; 8], "alice");
    assert_eq!(hash, user_hash([1; 8], "alice"));
    assert_ne!(hash, user_hash([2; 8], "alice"));
    assert_ne!(hash, user_hash([1; 8], "bob"));
    assert_ne!(hash, [0; 16]);
}
