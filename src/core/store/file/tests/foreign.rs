//! What others put where a record should be, and records of newer releases.

use std::os::unix::fs::symlink;

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::open_file::{Seen, understand};
use super::*;
use crate::core::clock::Time;
use crate::core::store::checksum::xxh64;
use crate::core::store::conformance::{key, record, stored};

fn is_corrupt<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt))
}

/// A store with nothing but the subdirectory of `key(1)`, and the path of its record.
fn with_shard() -> (TempDir, FileStore, PathBuf) {
    let (home, store) = new_store();
    let path = file_of(&home, &key(1));
    fs::create_dir(path.parent().unwrap()).unwrap();
    (home, store, path)
}

fn refused_and_set_aside(home: &TempDir, store: &FileStore) {
    let visit = Visit { accessed: Time(1), deadline: Time(1) };
    assert!(is_corrupt(store.load(&key(1))));
    assert!(is_corrupt(store.update(&key(1), Held::default(), &record(7))));
    assert!(is_corrupt(store.merge(&key(1), 7, &mut |_| panic!("nothing to merge with"))));
    assert!(is_corrupt(store.touch(&key(1), &Held::default(), 7, visit)));
    assert!(is_corrupt(store.delete(&key(1), Some(7))));
    assert!(matches!(store.create(&key(1), &record(7)), Err(StoreError::Exists)));
    assert!(store.quarantine(&key(1)).unwrap());
    assert!(store.load(&key(1)).unwrap().is_none());
    assert!(home.path().join("data/corrupt").join(key(1).hex()).symlink_metadata().is_ok());
    assert!(!store.quarantine(&key(1)).unwrap());
    store.create(&key(1), &record(7)).unwrap();
    assert_eq!(stored(store, &key(1)), Some(record(7)));
}

#[test]
fn a_link_in_place_of_a_record_leads_nowhere() {
    for old_kernel in [false, true] {
        let (home, store, path) = with_shard();
        if old_kernel {
            store.tree.pretend_old_kernel();
        }
        let (other_home, other) = new_store();
        other.create(&key(1), &record(7)).unwrap();
        let target = file_of(&other_home, &key(1));
        let before = fs::read(&target).unwrap();
        symlink(&target, &path).unwrap();
        refused_and_set_aside(&home, &store);
        assert_eq!(fs::read(&target).unwrap(), before);
    }
}

#[test]
fn a_link_in_place_of_a_subdirectory_leads_nowhere() {
    for old_kernel in [false, true] {
        let (home, store) = new_store();
        if old_kernel {
            store.tree.pretend_old_kernel();
        }
        let (other_home, other) = new_store();
        other.create(&key(1), &record(7)).unwrap();
        let target = file_of(&other_home, &key(1));
        let shard = file_of(&home, &key(1)).parent().unwrap().to_owned();
        // Inside the data directory a link leads nowhere either.
        let inside = shard.with_file_name("inside");
        fs::create_dir(&inside).unwrap();
        fs::copy(&target, inside.join(key(1).hex())).unwrap();
        symlink("inside", &shard).unwrap();
        assert!(is_corrupt(store.load(&key(1))));
        fs::remove_file(&shard).unwrap();
        symlink(target.parent().unwrap(), &shard).unwrap();
        assert!(is_corrupt(store.load(&key(1))));
        assert!(is_corrupt(store.delete(&key(1), None)));
        assert!(matches!(store.create(&key(1), &record(8)), Err(StoreError::Io { .. })));
        assert!(store.quarantine(&key(1)).is_err());
        assert_eq!(stored(&other, &key(1)), Some(record(7)));
    }
}

#[test]
fn what_is_no_file_is_no_record() {
    let plant: [fn(&Path); 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(),
        |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        |path| fs::write(path, [b'x'; 5000]).unwrap(),
    ];
    for plant in plant {
        let (home, store, path) = with_shard();
        plant(&path);
        refused_and_set_aside(&home, &store);
    }
}

#[test]
fn a_record_whose_file_belongs_to_another_is_not_written() {
    let (home, mut store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    // As if the file belonged to another user: giving it away takes root.
    store.uid += 1;
    let held = store.load(&key(1)).unwrap().unwrap().held;
    let said = store.update(&key(1), held, &record(7)).map(drop).unwrap_err().to_string();
    assert!(said.contains("belongs to another user"), "{said}");
    assert!(store.merge(&key(1), 7, &mut |r| Merge::Write(Box::new(r))).is_err());
    assert!(file_of(&home, &key(1)).exists());
}

#[test]
fn at_most_so_many_unreadable_records_are_kept() {
    let (home, store, path) = with_shard();
    let aside = home.path().join("data/corrupt");
    for number in 0..CORRUPT_MAX - 1 {
        fs::write(aside.join(number.to_string()), b"").unwrap();
    }
    let kept = || fs::read_dir(&aside).unwrap().count();
    for expected in [CORRUPT_MAX, CORRUPT_MAX] {
        fs::write(&path, [0; 100]).unwrap();
        assert!(store.quarantine(&key(1)).unwrap());
        assert_eq!(kept(), expected);
        assert!(!path.exists());
    }
    fs::create_dir(&path).unwrap();
    assert!(store.quarantine(&key(1)).unwrap());
    assert!(!path.exists());
}

/// A file of a newer release: a newer record in it, or a newer layout.
fn newer_files() -> [Vec<u8>; 2] {
    let mut slot = version_of(&record(7)).unwrap();
    seal_slot(&mut slot, 1, 7);
    let mut layout = build_file(&slot).0;
    layout[8] = 2;
    let check = xxh64(&layout[..56], 0);
    layout[56..64].copy_from_slice(&check.to_le_bytes());
    slot[layout::SLOT_HEAD] = 2;
    seal_slot(&mut slot, 1, 7);
    [build_file(&slot).0, layout]
}

#[test]
fn what_a_newer_release_wrote_is_left_alone() {
    for file in newer_files() {
        let (_home, store, path) = with_shard();
        fs::write(&path, &file).unwrap();
        let is_newer = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Newer(2)));
        let visit = Visit { accessed: Time(900), deadline: Time(900) };
        assert!(is_newer(store.load(&key(1)).map(drop)));
        assert!(is_newer(store.update(&key(1), Held::default(), &record(7)).map(drop)));
        assert!(is_newer(store.merge(&key(1), 7, &mut |_| Merge::Keep)));
        assert!(is_newer(store.touch(&key(1), &Held::default(), 7, visit)));
        assert!(is_newer(store.delete(&key(1), Some(7)).map(drop)));
        assert!(!store.quarantine(&key(1)).unwrap());
        assert!(fs::read(&path).unwrap() == file);
        assert!(store.delete(&key(1), None).unwrap());
    }
}

#[test]
fn a_whole_slot_that_holds_no_record_is_corrupt() {
    let (_home, store, path) = with_shard();
    let mut slot = version_of(&record(7)).unwrap();
    slot.push(0);
    seal_slot(&mut slot, 1, 7);
    fs::write(&path, build_file(&slot).0).unwrap();
    assert!(is_corrupt(store.load(&key(1))));
    slot.pop();
    // The incarnation of the slot is not that of the record.
    seal_slot(&mut slot, 1, 8);
    fs::write(&path, build_file(&slot).0).unwrap();
    assert!(is_corrupt(store.load(&key(1))));
}

#[test]
fn a_head_that_announces_the_impossible_is_not_believed() {
    let mut slot = version_of(&record(7)).unwrap();
    seal_slot(&mut slot, 1, 7);
    for slot_bytes in [0, 1, 31, 959, 961, 1 << 30, u32::MAX] {
        let mut bytes = build_file(&slot).0;
        bytes[12..16].copy_from_slice(&u32::to_le_bytes(slot_bytes));
        let check = xxh64(&bytes[..56], 0);
        bytes[56..64].copy_from_slice(&check.to_le_bytes());
        assert!(matches!(understand(&bytes), Seen::Damaged), "{slot_bytes}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..2100), with_head in any::<bool>()
    ) {
        let mut slot = version_of(&record(7)).unwrap();
        seal_slot(&mut slot, 1, 7);
        let head = &build_file(&slot).0[..64];
        if with_head && bytes.len() > 64 {
            bytes[..64].copy_from_slice(head);
        }
        let seen = understand(&bytes);
        prop_assert!(matches!(seen, Seen::Damaged | Seen::Unfinished));
    }
}

#[test]
fn a_name_is_made_of_hexadecimal_digits_whatever_the_key() {
    for byte in [0, b'.', b'/', 0xff] {
        let name = Name::new(&StoreKey::from_bytes([byte; 32]));
        assert!(name.shard().iter().chain(name.leaf()).all(u8::is_ascii_hexdigit));
        assert_eq!((name.shard().len(), name.leaf().len()), (2, 64));
    }
}
