//! The index of users: what is in it when, and what kills leave.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::core::clock::Time;
use crate::core::lock::MutexError;
use crate::core::store::conformance::{key, record, stored};
use crate::core::store::listing::POSITION_MAX;

const SCOPE: [u8; 8] = [1; 8];
const NEVER: Stale = Stale::EndedBefore(Time(0));

fn of(user: &str) -> Record {
    Record { user: Some(user.to_owned()), ..record(7) }
}

/// Names of the files in the index.
fn index(home: &TempDir) -> Vec<String> {
    let Ok(dirs) = fs::read_dir(home.path().join("data/users")) else { return Vec::new() };
    let files = dirs.flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn purge(store: &FileStore) {
    assert_eq!(store.purge(NEVER, &Position::default(), &mut || true).unwrap().next, None);
}

/// Counts how often a mutex is taken.
#[derive(Default)]
struct Counting(AtomicUsize);

impl SlotMutexes for Counting {
    fn count(&self) -> u32 {
        1
    }

    fn lock(&self, _index: u32) -> Result<(), MutexError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn unlock(&self, _index: u32) {}
}

#[test]
fn a_session_without_a_user_costs_no_mutex_and_no_file_more() {
    let (home, _) = new_store();
    let mutexes = Arc::new(Counting::default());
    let data = home.path().join("data");
    let store = FileStore::open(&data, mutexes.clone(), Options::default()).unwrap();
    store.create(&key(1), &record(7)).unwrap();
    assert_eq!(mutexes.0.load(Ordering::Relaxed), 0);
    assert!(!data.join("users").exists());
    store.create(&key(2), &of("alice")).unwrap();
    assert_eq!((mutexes.0.load(Ordering::Relaxed), index(&home).len()), (1, 1));
}

#[test]
fn entries_go_with_the_record_or_its_user() {
    let (home, store) = new_store();
    let leave: [fn(&FileStore); 4] = [
        |store| assert!(store.delete(&key(1), Some(7)).unwrap()),
        |store| assert!(store.delete(&key(1), None).unwrap()),
        |store| {
            let stale = Stale::EndedBefore(Time(301));
            assert_eq!(store.purge(stale, &Position::default(), &mut || true).unwrap().removed, 1);
        },
        |store| {
            store.merge(&key(1), 7, &mut |_| Merge::Write(Box::new(record(7)))).unwrap();
            let held = store.load(&key(1)).unwrap().unwrap().held;
            store.update(&key(1), held, &of("alice")).unwrap();
            assert_eq!(store.of_user(SCOPE, "alice").unwrap(), [key(1)]);
            let held = store.load(&key(1)).unwrap().unwrap().held;
            store.update(&key(1), held, &record(7)).unwrap();
        },
    ];
    for leave in leave {
        store.create(&key(1), &of("alice")).unwrap();
        let held = store.load(&key(1)).unwrap().unwrap().held;
        store.update(&key(1), held, &Record { created: Time(101), ..of("alice") }).unwrap();
        assert_eq!(index(&home).len(), 1);
        leave(&store);
        assert_eq!(index(&home), [""; 0]);
    }
}

#[test]
fn the_index_names_no_user() {
    let (home, store) = new_store();
    store.create(&key(1), &of("alice")).unwrap();
    let names = index(&home);
    assert_eq!(names[0].len(), 32 + 1 + 64);
    assert!(names[0].ends_with(&key(1).hex()));
    // Calculated by another program. The same in every release: sessions outlive an upgrade.
    assert_eq!(&names[0][..32], "16fdd0a475420c9a316854221fdc2048");
}

#[test]
fn entries_that_killed_processes_left_lead_nowhere_and_go_at_the_end_of_a_purge() {
    let (home, store) = new_store();
    store.create(&key(1), &of("alice")).unwrap();
    store.create(&key(2), &of("alice")).unwrap();
    // Killed between the removal of a record and of its entry, or before the record was made.
    fs::remove_file(file_of(&home, &key(1))).unwrap();
    assert_eq!(store.of_user(SCOPE, "alice").unwrap(), [key(2)]);
    assert_eq!(index(&home).len(), 2);
    purge(&store);
    assert_eq!(index(&home).len(), 1);
    // Killed when the record had become an alias, or another one came under its key.
    store.create(&key(1), &of("alice")).unwrap();
    let entries = index(&home);
    store.delete(&key(1), None).unwrap();
    store.create(&key(1), &of("bob")).unwrap();
    for name in entries {
        fs::write(home.path().join("data/users").join(&name[..2]).join(name), b"").unwrap();
    }
    assert_eq!(index(&home).len(), 3);
    assert_eq!(store.of_user(SCOPE, "alice").unwrap(), [key(2)]);
    assert_eq!(store.of_user(SCOPE, "bob").unwrap(), [key(1)]);
    purge(&store);
    assert_eq!(store.of_user(SCOPE, "bob").unwrap(), [key(1)]);
}

#[test]
fn a_create_that_fails_leaves_no_entry_that_misleads() {
    let (_home, store) = new_store();
    store.create(&key(1), &of("alice")).unwrap();
    assert!(matches!(store.create(&key(1), &of("bob")), Err(StoreError::Exists)));
    assert_eq!(store.of_user(SCOPE, "bob").unwrap(), []);
    assert_eq!(store.of_user(SCOPE, "alice").unwrap(), [key(1)]);
}

#[test]
fn what_others_put_into_the_index_leads_nowhere() {
    let (home, store) = new_store();
    store.create(&key(1), &of("alice")).unwrap();
    let shard = home.path().join("data/users").join(&index(&home)[0][..2]);
    fs::write(shard.join("x"), b"x").unwrap();
    fs::write(shard.join(format!("{}x", index(&home)[0])), b"x").unwrap();
    purge(&store);
    assert_eq!(store.of_user(SCOPE, "alice").unwrap(), [key(1)]);
    assert_eq!(index(&home).len(), 3);
    let (other_home, other) = new_store();
    other.create(&key(2), &of("alice")).unwrap();
    fs::remove_dir_all(home.path().join("data/users")).unwrap();
    symlink(other_home.path().join("data/users"), home.path().join("data/users")).unwrap();
    assert_eq!(store.of_user(SCOPE, "alice").unwrap(), []);
    purge(&store);
    assert!(matches!(store.create(&key(3), &of("alice")), Err(StoreError::Io { .. })));
    assert!(stored(&store, &key(3)).is_none());
    assert!(store.delete(&key(1), None).unwrap());
    assert_eq!(index(&other_home).len(), 1);
}

#[test]
fn a_purge_goes_on_within_the_index() {
    let (home, store) = new_store();
    for number in 0..20 {
        store.create(&key(number), &of(&number.to_string())).unwrap();
        fs::remove_file(file_of(&home, &key(number))).unwrap();
    }
    let mut from = Position::default();
    let mut rounds = 0;
    loop {
        let mut left = 3;
        let mut go_on = || {
            left -= 1;
            left > 0
        };
        let purged = store.purge(NEVER, &from, &mut go_on).unwrap();
        rounds += 1;
        let Some(next) = purged.next else { break };
        assert!(next != from && next.bytes().len() <= POSITION_MAX);
        from = Position::new(next.bytes());
    }
    assert_eq!((rounds, index(&home)), (10, Vec::new()));
}
