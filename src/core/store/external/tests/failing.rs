//! Backends that fail, forget or are full.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::backend::{ALL, Memory, PLAIN, store};
use crate::core::clock::Time;
use crate::core::session::codec;
use crate::core::store::conformance::{key, record, record_with, stored};
use crate::core::store::external::sealed::{seal, sum_of};
use crate::core::store::external::{ExternalStore, Facts, user_hash};
use crate::core::store::{Bounded, Held, Population, Position, Stale, Store, StoreError};

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
    assert!(matches!(refused.err(), Some(StoreError::TooLarge(292))));
    assert!(matches!(store.create(&key(2), &large), Err(StoreError::TooLarge(292))));
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
        let newer = [&sum_of(&key(3), &newer).to_le_bytes(), newer.as_slice()].concat();
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

/// A flipped bit in a value, or the record of somebody else, would be a session all the same: what backends
/// give back was taken for what they were given.
#[test]
fn bytes_that_a_backend_changed_or_mixed_up_are_no_record() {
    for facts in [ALL, PLAIN] {
        let (memory, store) = store(facts);
        store.create(&key(1), &record_with(7, b"a value")).unwrap();
        let sealed = seal(&key(1), &record_with(7, b"a value")).unwrap();
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            memory.spoil(&key(1), &flipped);
            assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)), "byte {at}");
        }
        memory.spoil(&key(1), &seal(&key(2), &record(7)).unwrap());
        assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)));
        memory.spoil(&key(1), &sealed);
        assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"a value")));
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

/// Nobody is counted here.
struct Uncounted;

impl Population for Uncounted {
    fn count(&self) -> u64 {
        0
    }

    fn made(&self) {}

    fn gone(&self, _records: u64) {}

    fn refused(&self) {}
}

/// A walk of the cleanup that looked at nothing told SessionMaxSessions that there were no sessions: every
/// minute as many as it allows could be made again.
#[test]
fn a_limit_counts_the_records_of_a_store_that_removes_them_by_itself() {
    let (memory, store) = store(Facts { expires: true, ..ALL });
    memory.uncounted.store(true, Ordering::SeqCst);
    for number in 1..4 {
        store.create(&key(number), &record(7)).unwrap();
    }
    let bounded = Bounded::new(Box::new(store), 3, Uncounted);
    let ended = Stale::EndedBefore(Time(u64::MAX));
    let purged = bounded.purge(ended, &Position::default(), &mut || true).unwrap();
    assert_eq!((purged.seen, purged.removed, purged.next), (3, 0, None));
    let part = bounded.purge(ended, &Position::default(), &mut || false).unwrap();
    let rest = bounded.purge(ended, &part.next.unwrap(), &mut || true).unwrap();
    assert_eq!((part.seen, rest.seen, rest.next), (1, 2, None));
}

#[test]
fn the_hash_of_a_user_tells_scopes_and_names_apart() {
    let hash = user_hash([1; 8], "alice");
    assert_eq!(hash, user_hash([1; 8], "alice"));
    assert_ne!(hash, user_hash([2; 8], "alice"));
    assert_ne!(hash, user_hash([1; 8], "bob"));
    assert_ne!(hash, [0; 16]);
}
