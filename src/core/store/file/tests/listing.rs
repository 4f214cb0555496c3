//! Walks and purges among what kills and others left.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::layout::SLOT_HEAD;
use super::*;
use crate::core::clock::Time;
use crate::core::lock::MutexError;
use crate::core::store::conformance::{key, record, record_with, stored};

/// Of records that [`record`] made.
const ENDED: Stale = Stale::EndedBefore(Time(301));

fn purge(store: &FileStore, stale: Stale) -> Purged {
    let purged = store.purge(stale, &Position::default(), &mut || true).unwrap();
    assert_eq!(purged.next, None);
    purged
}

fn scanned(store: &FileStore) -> Vec<Entry> {
    let mut seen = Vec::new();
    let next = store.scan(&Position::default(), &mut |entry| {
        seen.push(entry);
        true
    });
    assert_eq!(next.unwrap(), None);
    seen
}

fn alive(incarnation: u64) -> Record {
    Record { deadline: Time(900), ..record(incarnation) }
}

#[test]
fn walks_go_in_the_order_of_keys() {
    let (_home, store) = new_store();
    (0..40).for_each(|number| store.create(&key(number), &record(7)).unwrap());
    let keys: Vec<StoreKey> = scanned(&store).iter().map(|entry| entry.key).collect();
    assert!(keys.is_sorted() && keys.len() == 40);
}

#[test]
fn what_is_not_ours_is_passed_over() {
    let (home, store) = new_store();
    store.create(&key(1), &alive(7)).unwrap();
    let (other_home, other) = new_store();
    other.create(&key(2), &record(7)).unwrap();
    let data = home.path().join("data");
    let shard = file_of(&home, &key(1)).parent().unwrap().to_owned();
    for name in ["x", "README", &key(2).hex()[1..], ".new"] {
        fs::write(shard.join(name), b"x").unwrap();
    }
    // A key in another one's subdirectory, a link and a file in place of a subdirectory.
    fs::write(shard.join(key(2).hex()), b"x").unwrap();
    let linked = file_of(&other_home, &key(2)).parent().unwrap().to_owned();
    symlink(&linked, data.join(&key(2).hex()[..2])).unwrap();
    fs::write(data.join(&key(3).hex()[..2]), b"x").unwrap();
    let seen = scanned(&store);
    assert!(seen.len() == 1 && seen[0].key == key(1));
    let purged = purge(&store, ENDED);
    assert_eq!((purged.seen, purged.removed, purged.corrupt), (1, 0, 0));
    assert_eq!(fs::read_dir(shard).unwrap().count(), 6, "nothing was removed");
    assert_eq!(stored(&other, &key(2)), Some(record(7)));
}

#[test]
fn damaged_records_are_shown_as_such_and_moved_aside_by_a_purge() {
    let plant: [fn(&Path); 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
        |path| symlink("/etc/passwd", path).unwrap(),
        |path| fs::write(path, [b'x'; 5000]).unwrap(),
    ];
    for plant in plant {
        let (home, store) = new_store();
        store.create(&key(1), &alive(7)).unwrap();
        let damaged = file_of(&home, &key(2));
        fs::create_dir(damaged.parent().unwrap()).unwrap();
        plant(&damaged);
        let seen = scanned(&store);
        let of = |number| seen.iter().find(|entry| entry.key == key(number)).unwrap();
        assert!(matches!(of(2).record, Err(StoreError::Corrupt)));
        assert_eq!(of(1).record.as_ref().unwrap(), &alive(7));
        let purged = purge(&store, ENDED);
        assert_eq!((purged.seen, purged.removed, purged.corrupt), (2, 0, 1));
        assert!(!damaged.exists());
        assert_eq!(store.stats().unwrap().counters, [("set_aside", 1)]);
        assert_eq!(scanned(&store).len(), 1);
    }
}

#[test]
fn a_newer_release_s_records_are_shown_as_such_and_stay() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let mut slot = version_of(&record(7)).unwrap();
    slot[SLOT_HEAD] = 2;
    seal_slot(&mut slot, 1, 7);
    fs::write(file_of(&home, &key(1)), build_file(&slot).0).unwrap();
    let seen = scanned(&store);
    assert!(matches!(seen[0].record, Err(StoreError::Newer(2))) && seen[0].bytes == 2048);
    assert_eq!((purge(&store, ENDED).seen, purge(&store, ENDED).removed), (1, 0));
    assert!(file_of(&home, &key(1)).exists());
}

#[test]
fn what_killed_processes_left_goes_when_nobody_can_be_finishing_it() {
    let (home, store) = new_store();
    store.create(&key(1), &alive(7)).unwrap();
    let kept = file_of(&home, &key(1));
    let growing = kept.with_extension("new");
    let unfinished = file_of(&home, &key(2));
    fs::create_dir(unfinished.parent().unwrap()).unwrap();
    for left in [&growing, &unfinished] {
        fs::write(left, [0; 20]).unwrap();
    }
    assert_eq!(purge(&store, ENDED), Purged { seen: 1, ..Purged::default() });
    assert!(growing.exists() && unfinished.exists());
    age(&growing, GRACE * 2);
    age(&unfinished, GRACE * 2);
    assert_eq!(purge(&store, ENDED), Purged { seen: 2, corrupt: 1, ..Purged::default() });
    assert!(!growing.exists() && !unfinished.exists());
    assert_eq!(store.stats().unwrap().counters, [("set_aside", 0)]);
    assert_eq!(stored(&store, &key(1)), Some(alive(7)));
}

/// Stands in for another process that commits just before a purge gets the mutex.
struct CommitsFirst(PathBuf, Vec<u8>);

impl SlotMutexes for CommitsFirst {
    fn count(&self) -> u32 {
        1
    }

    fn lock(&self, _index: u32) -> Result<(), MutexError> {
        overwrite(&self.0, &self.1);
        Ok(())
    }

    fn unlock(&self, _index: u32) {}
}

#[test]
fn a_session_that_is_renewed_just_before_its_removal_stays() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let ended = fs::read(&path).unwrap();
    let renewed = Record { deadline: Time(900), ..record_with(7, b"renewed") };
    store.update(&key(1), Held::default(), &renewed).unwrap();
    let mutexes = Arc::new(CommitsFirst(path.clone(), fs::read(&path).unwrap()));
    overwrite(&path, &ended);
    let data = home.path().join("data");
    let store = FileStore::open(&data, mutexes, Options::default()).unwrap();
    assert_eq!(purge(&store, ENDED), Purged { seen: 1, ..Purged::default() });
    assert_eq!(stored(&store, &key(1)), Some(renewed));
}

#[test]
fn a_position_that_is_not_ours_is_the_start() {
    let (_home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    for bytes in [&b"x"[..], &[9; 31], b"users and more"] {
        let purged = store.purge(Stale::EndedBefore(Time(1)), &Position::new(bytes), &mut || true);
        assert_eq!(purged.unwrap().seen, 1);
    }
}

#[test]
fn one_record_that_the_system_refuses_keeps_no_other() {
    let (home, store) = new_store();
    (0..3).for_each(|number| store.create(&key(number), &record(7)).unwrap());
    // A program that runs cannot be opened for writing, not even by root.
    let path = file_of(&home, &key(1));
    fs::remove_file(&path).unwrap();
    fs::copy("/bin/sleep", &path).unwrap();
    let mut running = std::process::Command::new(&path).arg("600").spawn().unwrap();
    let seen = scanned(&store);
    let purged = purge(&store, ENDED);
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(seen.iter().filter(|entry| entry.record.is_ok()).count(), 2);
    assert!(seen.iter().any(|entry| matches!(entry.record, Err(StoreError::Io { .. }))));
    assert_eq!(purged, Purged { seen: 3, removed: 2, failed: 1, ..Purged::default() });
}
