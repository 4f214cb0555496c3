//! Each verb as it is meant to be used.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::SystemTime;

use super::*;
use crate::core::clock::Time;
use crate::core::store::conformance::{
    self, conformance, conformance_of_lists, key, record, record_with, stored,
};

conformance!(new_store());
conformance!(new_store(); an_update_of_what_was_written_since_is_refused,);
conformance_of_lists!(new_store());

mod synced {
    use super::*;
    conformance!(new_store_with(Options { sync: true, ..Options::default() }));
    conformance!(new_store_with(Options { sync: true, ..Options::default() }); an_update_of_what_was_written_since_is_refused,);
}

mod without_openat2 {
    use super::*;

    fn old_kernel() -> (TempDir, FileStore) {
        let (home, store) = new_store();
        store.tree.pretend_old_kernel();
        (home, store)
    }

    conformance!(old_kernel());
    conformance!(old_kernel(); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(old_kernel());
}

/// As if it was written so much later than it was.
fn date_forward(file: &Path, by: Duration) {
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified(SystemTime::now() + by).unwrap();
}

#[test]
fn a_file_that_somebody_else_wrote_long_after_it_was_read_is_not_written_over() {
    // The second one outgrows the file, and gets another.
    for theirs in [&[1_u8; 8][..], &[1; 3000]] {
        let (home, store) = new_store();
        store.create(&key(1), &record(7)).unwrap();
        let late = store.load(&key(1)).unwrap().unwrap().held;
        store.update(&key(1), Held::default(), &record_with(7, theirs)).unwrap();
        date_forward(&file_of(&home, &key(1)), Duration::from_secs(2));
        let refused = store.update(&key(1), late, &record_with(7, b"late"));
        assert!(matches!(refused, Err(StoreError::Overtaken)));
        assert_eq!(stored(&store, &key(1)), Some(record_with(7, theirs)));
    }
}

#[test]
fn a_file_that_was_only_visited_since_is_written() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let held = store.load(&key(1)).unwrap().unwrap().held;
    let visit = Visit { accessed: Time(250), deadline: Time(350) };
    store.touch(&key(1), &Held::default(), 7, visit).unwrap();
    date_forward(&file_of(&home, &key(1)), Duration::from_secs(2));
    let held = store.update(&key(1), held, &record_with(7, b"second")).unwrap();
    store.update(&key(1), held, &record_with(7, b"third")).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"third")));
}

#[test]
fn files_and_directories_are_closed_to_others() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let file = file_of(&home, &key(1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(&home.path().join("data/corrupt")), 0o700);
    store.update(&key(1), Held::default(), &record_with(7, &[0; 5000])).unwrap();
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn most_sessions_fit_into_the_first_file_and_are_written_in_place() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let inode = || fs::metadata(file_of(&home, &key(1))).map(|m| (m.ino(), m.len())).unwrap();
    let first = inode();
    assert_eq!(first.1, 2048);
    store.update(&key(1), Held::default(), &record_with(7, &[0; 700])).unwrap();
    assert_eq!(inode(), first);
    store.update(&key(1), Held::default(), &record_with(7, &[0; 1000])).unwrap();
    assert_ne!(inode().0, first.0);
    assert_eq!(inode().1, 4096);
    let names = fs::read_dir(file_of(&home, &key(1)).parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "nothing is left of a growth");
}

#[test]
fn a_store_opened_anew_finds_what_another_wrote() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let other = open_store(&home.path().join("data"), Options::default());
    other.update(&key(1), Held::default(), &record_with(7, b"other")).unwrap();
    drop(other);
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"other")));
}

#[test]
fn a_late_update_is_refused_however_often_others_wrote_since_its_load() {
    // After two writes the slot of the version that was read has a newer one.
    let (_home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    for merges in 0..4 {
        let held = store.load(&key(1)).unwrap().unwrap().held;
        for _ in 0..merges {
            store.merge(&key(1), 7, &mut |record| Merge::Write(Box::new(record))).unwrap();
        }
        let late = record_with(7, format!("after {merges}").as_bytes());
        let result = store.update(&key(1), held, &late);
        match merges {
            0 => assert!(result.is_ok()),
            _ => assert!(matches!(result, Err(StoreError::Overtaken)), "{merges}"),
        }
    }
}

#[test]
fn a_file_that_grew_is_found_by_who_loaded_it_before() {
    let (_home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let before = store.load(&key(1)).unwrap().unwrap().held;
    let after = store.update(&key(1), Held::default(), &record_with(7, &[1; 2000])).unwrap();
    let visit = Visit { accessed: Time(250), deadline: Time(350) };
    store.touch(&key(1), &before, 7, visit).unwrap();
    assert_eq!(stored(&store, &key(1)).unwrap().accessed, Time(250));
    let after = store.update(&key(1), after, &record_with(7, b"small again")).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"small again")));
    store.update(&key(1), after, &record_with(7, b"and again")).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"and again")));
}

#[test]
fn every_mutex_is_given_back() {
    let (home, _) = new_store();
    let mutexes = Arc::new(TestMutexes::new(1));
    let path = home.path().join("data");
    let store = FileStore::open(&path, mutexes.clone(), Options::default()).unwrap();
    store.create(&key(1), &record(7)).unwrap();
    let held = store.load(&key(1)).unwrap().unwrap().held;
    let held = store.update(&key(1), held, &record(7)).unwrap();
    let visit = Visit { accessed: Time(900), deadline: Time(900) };
    store.touch(&key(1), &held, 7, visit).unwrap();
    store.merge(&key(1), 7, &mut |_| Merge::Keep).unwrap();
    store.merge(&key(1), 9, &mut |_| Merge::Keep).unwrap_err();
    store.quarantine(&key(1)).unwrap();
    store.delete(&key(1), Some(7)).unwrap();
    store.update(&key(1), held, &record(7)).map(drop).unwrap_err();
    assert_eq!(mutexes.taken(), 0);
}

#[test]
fn a_mutex_that_cannot_be_had_stops_writers_but_not_readers() {
    let (home, first) = new_store();
    first.create(&key(1), &record(7)).unwrap();
    let mutexes = Arc::new(TestMutexes::with_deadline(1, Duration::from_millis(1)));
    let path = home.path().join("data");
    let store = FileStore::open(&path, mutexes.clone(), Options::default()).unwrap();
    mutexes.lock(0).unwrap();
    let held = store.load(&key(1)).unwrap().unwrap().held;
    let refused = store.update(&key(1), held, &record_with(7, b"x"));
    assert!(matches!(refused, Err(StoreError::Mutex(_))));
    assert!(matches!(store.delete(&key(1), None), Err(StoreError::Mutex(_))));
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
}
