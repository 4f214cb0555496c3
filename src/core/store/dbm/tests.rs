//! The rules of the store over a database that does what it is told.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::memory::MemoryDatabase;
use super::*;
use crate::core::clock::Time;
use crate::core::lock::MutexError;
use crate::core::store::conformance::{
    self, conformance, conformance_of_lists, key, record, record_with, stored,
};
use crate::core::store::dir::{CORRUPT_MAX, Owner};
use crate::core::store::fake::TestMutexes;

struct Made {
    home: TempDir,
    database: MemoryDatabase,
    mutexes: Arc<TestMutexes>,
}

fn store_in(database: MemoryDatabase) -> (Made, DbmStore<MemoryDatabase>) {
    let home = TempDir::new().unwrap();
    let dir = DataDir::prepare(&home.path().join("data"), Owner::current()).unwrap();
    let mutexes = Arc::new(TestMutexes::with_deadline(1, Duration::from_millis(500)));
    let store = DbmStore::new(database.clone(), mutexes.clone(), dir);
    (Made { home, database, mutexes }, store)
}

mod with_marks {
    use super::*;

    conformance!(store_in(MemoryDatabase::able()));
    conformance!(store_in(MemoryDatabase::able()); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store_in(MemoryDatabase::able()));
}

mod without_marks {
    use super::*;

    conformance!(store_in(MemoryDatabase::plain()));
    conformance!(store_in(MemoryDatabase::plain()); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store_in(MemoryDatabase::plain()));
}

/// `SessionSync on` did nothing for the databases that do not sync by themselves.
#[test]
fn each_change_is_on_the_disk_before_its_verb_returns_and_nobody_waits_for_the_disk_with_it() {
    let (made, store) = store_in(MemoryDatabase::plain());
    let (syncs, mutexes) = (Arc::new(AtomicU32::new(0)), Arc::clone(&made.mutexes));
    let seen = Arc::clone(&syncs);
    made.database.on_sync(move || {
        assert_eq!(mutexes.taken(), 0, "the disk is waited for under the mutex");
        match seen.fetch_add(1, Ordering::Relaxed) {
            4 => Err(DatabaseError::failed("syncing")(io::Error::from(io::ErrorKind::Other))),
            _ => Ok(()),
        }
    });
    let visit = Visit { accessed: Time(210), deadline: Time(900) };
    type Verb<'a> = &'a dyn Fn() -> Result<(), StoreError>;
    let verbs: [(&str, Verb<'_>); 4] = [
        ("create", &|| store.create(&key(1), &record(7))),
        ("update", &|| store.update(&key(1), Held::default(), &record(7)).map(drop)),
        ("touch", &|| store.touch(&key(1), &Held::default(), 7, visit)),
        ("delete", &|| store.delete(&key(1), Some(7)).map(drop)),
    ];
    for (number, (verb, run)) in (1..).zip(verbs) {
        run().unwrap();
        assert_eq!(syncs.load(Ordering::Relaxed), number, "{verb}");
    }
    assert!(store.load(&key(1)).unwrap().is_none());
    assert_eq!(syncs.load(Ordering::Relaxed), 4, "a look changes nothing");
    let failed = store.create(&key(1), &record(7));
    assert!(matches!(failed, Err(StoreError::Io { doing: "syncing", .. })), "{failed:?}");
}

#[test]
fn a_write_waits_for_the_mutex_until_its_deadline_and_a_read_only_where_it_has_to() {
    for (database, reads) in [(MemoryDatabase::able(), true), (MemoryDatabase::plain(), false)] {
        let (made, store) = store_in(database);
        store.create(&key(1), &record(7)).unwrap();
        made.mutexes.lock(WRITER).unwrap();
        let late = store.update(&key(1), Held::default(), &record(7)).map(drop);
        assert!(matches!(late, Err(StoreError::Mutex(MutexError::TimedOut))));
        assert_eq!(store.load(&key(1)).is_ok(), reads);
        made.mutexes.unlock(WRITER);
        store.update(&key(1), Held::default(), &record(7)).unwrap();
        assert_eq!(made.mutexes.taken(), 0);
    }
}

#[test]
fn a_failed_change_changes_nothing_and_gives_the_mutex_back() {
    let (made, store) = store_in(MemoryDatabase::able());
    store.create(&key(1), &record(7)).unwrap();
    made.database.fail_next(3);
    assert!(matches!(store.create(&key(2), &record(7)), Err(StoreError::Io { .. })));
    assert!(store.update(&key(1), Held::default(), &record_with(7, b"second")).is_err());
    assert!(store.delete(&key(1), None).is_err());
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    assert!(stored(&store, &key(2)).is_none());
    assert_eq!(made.mutexes.taken(), 0);
    store.update(&key(1), Held::default(), &record_with(7, b"second")).unwrap();
}

#[test]
fn damage_is_found_moved_aside_once_and_gone() {
    let (made, store) = store_in(MemoryDatabase::able());
    store.create(&key(1), &record(7)).unwrap();
    let mut bytes = made.database.bytes(key(1).as_bytes()).unwrap();
    bytes[50] ^= 1;
    made.database.plant(key(1).as_bytes(), &bytes);
    let incarnation = Some(7);
    assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)));
    assert!(matches!(store.create(&key(1), &record(8)), Err(StoreError::Exists)));
    assert!(matches!(store.delete(&key(1), incarnation), Err(StoreError::Corrupt)));
    let late = store.update(&key(1), Held::default(), &record(7)).map(drop);
    assert!(matches!(late, Err(StoreError::Corrupt)));
    assert!(store.quarantine(&key(1)).unwrap());
    assert!(!store.quarantine(&key(1)).unwrap());
    assert!(stored(&store, &key(1)).is_none());
    let aside = made.home.path().join("data/corrupt").join(key(1).hex());
    assert_eq!(std::fs::read(aside).unwrap(), bytes);
}

#[test]
fn no_more_than_so_many_damaged_records_are_kept() {
    let (made, store) = store_in(MemoryDatabase::able());
    let aside = made.home.path().join("data/corrupt");
    for number in 0..CORRUPT_MAX {
        std::fs::write(aside.join(format!("{number}")), b"").unwrap();
    }
    made.database.plant(key(1).as_bytes(), b"damaged");
    assert!(store.quarantine(&key(1)).unwrap());
    assert!(made.database.bytes(key(1).as_bytes()).is_none());
    assert_eq!(std::fs::read_dir(aside).unwrap().count(), CORRUPT_MAX);
}

#[test]
fn a_record_of_a_newer_release_is_left_alone() {
    let (made, store) = store_in(MemoryDatabase::able());
    store.create(&key(1), &record(7)).unwrap();
    let mut bytes = made.database.bytes(key(1).as_bytes()).unwrap();
    bytes[0] = 2;
    // What the sum is made of: all behind it, from a seed of key and format.
    let seed = u64::from_le_bytes(*key(1).as_bytes().first_chunk().unwrap()) ^ 2;
    let sum = crate::core::store::checksum::xxh64(&bytes[10..], seed);
    bytes[2..10].copy_from_slice(&sum.to_le_bytes());
    made.database.plant(key(1).as_bytes(), &bytes);
    assert!(matches!(store.load(&key(1)), Err(StoreError::Newer(2))));
    assert!(!store.quarantine(&key(1)).unwrap());
    let all = Stale::EndedBefore(Time(u64::MAX));
    let purged = store.purge(all, &Position::default(), &mut || true).unwrap();
    assert_eq!((purged.seen, purged.removed, purged.corrupt), (1, 0, 0));
    assert_eq!(made.database.bytes(key(1).as_bytes()), Some(bytes));
}

#[test]
fn a_purge_clears_damage_away() {
    let (made, store) = store_in(MemoryDatabase::plain());
    store.create(&key(1), &record(7)).unwrap();
    made.database.plant(key(2).as_bytes(), b"damaged");
    let none = Stale::EndedBefore(Time(0));
    let purged = store.purge(none, &Position::default(), &mut || true).unwrap();
    assert_eq!((purged.seen, purged.removed, purged.corrupt), (2, 0, 1));
    assert!(stored(&store, &key(1)).is_some() && stored(&store, &key(2)).is_none());
}

#[test]
fn no_mark_is_left_behind() {
    let (made, store) = store_in(MemoryDatabase::able());
    let of = |user: &str| Record { user: Some(user.to_owned()), ..record(7) };
    for number in 0..4 {
        store.create(&key(number), &of("alice")).unwrap();
    }
    store.update(&key(0), Held::default(), &of("bob")).unwrap();
    assert_eq!(made.database.marks(), 4);
    assert_eq!(store.of_user([1; 8], "bob").unwrap(), [key(0)]);
    store.update(&key(0), Held::default(), &record(7)).unwrap();
    store.delete(&key(1), None).unwrap();
    store.delete(&key(2), Some(7)).unwrap();
    assert_eq!(made.database.marks(), 1);
    let all = Stale::EndedBefore(Time(u64::MAX));
    store.purge(all, &Position::default(), &mut || true).unwrap();
    assert_eq!(made.database.marks(), 0);
}

#[test]
fn a_walk_over_more_than_a_batch_sees_everything() {
    let (_made, store) = store_in(MemoryDatabase::plain());
    let key = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        StoreKey::from_bytes(bytes)
    };
    // Through the database at once: one by one this fake would copy it each time.
    store
        .change(|change| {
            for number in 0..9000 {
                let key = *key(number).as_bytes();
                change.put(&key, &value::build(&key, &record(7))?)?;
            }
            Ok(())
        })
        .unwrap();
    let mut seen = 0;
    assert_eq!(
        store
            .scan(&Position::default(), &mut |_| {
                seen += 1;
                true
            })
            .unwrap(),
        None
    );
    assert_eq!(seen, 9000);
    let all = Stale::EndedBefore(Time(u64::MAX));
    let purged = store.purge(all, &Position::default(), &mut || true).unwrap();
    assert_eq!((purged.seen, purged.removed, purged.next), (9000, 9000, None));
    assert_eq!(store.stats().unwrap().records, Some(0));
}
