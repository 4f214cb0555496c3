//! What is read after a kill at any byte of any write, and after writes that fail.

use std::ops::Range;
use std::process::Command;

use proptest::prelude::*;

use super::super::layout::SMALLEST;
use super::super::open_file::{Seen, understand};
use super::*;
use crate::core::clock::Time;
use crate::core::lock::MutexError;
use crate::core::store::conformance::{key, record, record_with, stored};

/// Where two images of a file differ.
fn written(before: &[u8], after: &[u8]) -> Range<usize> {
    assert_eq!(before.len(), after.len());
    let differs = |at: &usize| before[*at] != after[*at];
    let first = (0..before.len()).find(differs).unwrap();
    first..(0..before.len()).rfind(differs).unwrap() + 1
}

/// The file as a writer leaves it that is killed after each byte, the last one included.
fn cut_short(before: &[u8], after: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let range = written(before, after);
    (range.start..=range.end).map(|end| [&after[..end], &before[end..]].concat())
}

fn touched(accessed: u64, deadline: u64) -> Record {
    Record { accessed: Time(accessed), deadline: Time(deadline), ..record(7) }
}

#[test]
fn an_update_cut_short_leaves_the_version_before() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let mut old = record(7);
    // Into either slot, over nothing, over a shorter and over a longer version.
    for value in [b"b".to_vec(), vec![b'c'; 600], vec![b'd'; 300], vec![b'e'; 400]] {
        let new = record_with(7, &value);
        let before = fs::read(&path).unwrap();
        store.update(&key(1), Held::default(), &new).unwrap();
        let after = fs::read(&path).unwrap();
        let mut seen = Vec::new();
        for image in cut_short(&before, &after) {
            overwrite(&path, &image);
            seen.push(stored(&store, &key(1)).unwrap() == new);
            assert!(*seen.last().unwrap() || stored(&store, &key(1)).unwrap() == old);
        }
        let (last, others) = seen.split_last().unwrap();
        assert!(*last && others.iter().all(|new| !new), "only the whole write counts");
        old = new;
    }
}

#[test]
fn after_an_update_cut_short_the_next_one_works() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let before = fs::read(&path).unwrap();
    store.update(&key(1), Held::default(), &record_with(7, b"second")).unwrap();
    let after = fs::read(&path).unwrap();
    for image in cut_short(&before, &after) {
        overwrite(&path, &image);
        let held = store.load(&key(1)).unwrap().unwrap().held;
        store.update(&key(1), held, &record_with(7, b"third")).unwrap();
        assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"third")));
    }
}

#[test]
fn a_touch_cut_short_leaves_the_visit_before() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    for round in 1..5 {
        let old = stored(&store, &key(1)).unwrap();
        let before = fs::read(&path).unwrap();
        let new = touched(200 + round, 300 + round);
        let visit = Visit { accessed: new.accessed, deadline: new.deadline };
        store.touch(&key(1), &Held::default(), 7, visit).unwrap();
        let after = fs::read(&path).unwrap();
        for image in cut_short(&before, &after) {
            overwrite(&path, &image);
            let seen = stored(&store, &key(1)).unwrap();
            assert!(seen == old || seen == new);
        }
        assert_eq!(stored(&store, &key(1)), Some(new));
    }
}

#[test]
fn a_growth_cut_short_leaves_the_version_before_and_hinders_nobody() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let small = fs::read(&path).unwrap();
    let large = record_with(7, &[b'l'; 2000]);
    store.update(&key(1), Held::default(), &large).unwrap();
    let image = fs::read(&path).unwrap();
    let growing = path.with_extension("new");
    for length in (0..image.len()).step_by(61).chain([image.len()]) {
        fs::write(&path, &small).unwrap();
        fs::write(&growing, &image[..length]).unwrap();
        assert_eq!(stored(&store, &key(1)), Some(record(7)));
        let held = store.load(&key(1)).unwrap().unwrap().held;
        store.update(&key(1), held, &large).unwrap();
        assert_eq!(stored(&store, &key(1)), Some(large.clone()));
        assert!(!growing.exists());
    }
}

#[test]
fn a_growth_that_was_not_tidied_up_counts() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let small = fs::read(&path).unwrap();
    let large = record_with(7, &[b'l'; 2000]);
    store.update(&key(1), Held::default(), &large).unwrap();
    fs::write(path.with_extension("new"), small).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(large));
    assert!(store.delete(&key(1), Some(7)).unwrap());
    assert!(stored(&store, &key(1)).is_none());
}

#[test]
fn a_record_deleted_while_it_grows_stays_deleted() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let name = Name::new(&key(1));
    let shard = store.tree.shard(&name).unwrap();
    let fd = store.tree.create_growing(&shard, &name).unwrap();
    fs::remove_file(file_of(&home, &key(1))).unwrap();
    assert_eq!(store.tree.settle_growing(&shard, &name), Err(Errno::NOENT));
    store.tree.drop_growing(&shard, &name);
    drop(fd);
    assert!(stored(&store, &key(1)).is_none());
    assert!(!file_of(&home, &key(1)).with_extension("new").exists());
}

#[test]
fn a_file_that_is_being_made_is_no_record_yet_and_damaged_when_nobody_finishes_it() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let image = fs::read(&path).unwrap();
    for length in 0..image.len() {
        fs::write(&path, &image[..length]).unwrap();
        assert!(stored(&store, &key(1)).is_none(), "{length} bytes");
    }
    for length in [0, 1, 63, 64, 127, 128, 500, 2047] {
        fs::write(&path, &image[..length]).unwrap();
        age(&path, GRACE * 2);
        assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)), "{length} bytes");
    }
    assert!(matches!(store.create(&key(1), &record(8)), Err(StoreError::Exists)));
}

/// Stands in for a writer that is through when a reader has got its mutex.
struct WholeUnderMutex(PathBuf, Vec<u8>);

impl SlotMutexes for WholeUnderMutex {
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
fn a_reader_of_a_torn_file_believes_it_only_under_the_mutex() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let path = file_of(&home, &key(1));
    let whole = fs::read(&path).unwrap();
    let torn = [&whole[..150], &[0xff; 2048 - 150]].concat();
    overwrite(&path, &torn);
    assert!(matches!(store.load(&key(1)), Err(StoreError::Corrupt)));
    let mutexes = Arc::new(WholeUnderMutex(path, whole));
    let data = home.path().join("data");
    let store = FileStore::open(&data, mutexes, Options::default()).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    assert!(!store.quarantine(&key(1)).unwrap());
}

/// The versions of a file one after the other, with touches.
fn history() -> Vec<(Vec<u8>, Record)> {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let mut images = vec![(fs::read(file_of(&home, &key(1))).unwrap(), record(7))];
    for value in [b"one".to_vec(), vec![b'2'; 500], vec![b'3'; 700]] {
        let version = record_with(7, &value);
        store.update(&key(1), Held::default(), &version).unwrap();
        images.push((fs::read(file_of(&home, &key(1))).unwrap(), version));
        let visit = Visit { accessed: Time(250), deadline: Time(350) };
        store.touch(&key(1), &Held::default(), 7, visit).unwrap();
        let seen = stored(&store, &key(1)).unwrap();
        images.push((fs::read(file_of(&home, &key(1))).unwrap(), seen));
    }
    images
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn torn_mixes_of_versions_are_one_of_them_or_damaged(
        runs in prop::collection::vec((0usize..7, 1usize..80), 1..40)
    ) {
        thread_local!(static HISTORY: Vec<(Vec<u8>, Record)> = history());
        HISTORY.with(|history| {
            let mut mixed = Vec::new();
            for (choice, length) in runs.iter().cycle() {
                let rest = &history[*choice].0[mixed.len()..];
                mixed.extend_from_slice(&rest[..(length * 16).min(rest.len())]);
                if mixed.len() == SMALLEST {
                    break;
                }
            }
            match understand(&mixed) {
                Seen::Record(_, record) => assert!(history.iter().any(|(_, old)| *old == record)),
                Seen::Damaged => {}
                _ => panic!("neither whole nor damaged"),
            }
        });
    }

    #[test]
    fn any_change_of_a_byte_is_noticed_or_harmless(
        at in 0usize..2048, byte in any::<u8>()
    ) {
        thread_local!(static HISTORY: Vec<(Vec<u8>, Record)> = history());
        HISTORY.with(|history| {
            let mut bytes = history[6].0.clone();
            bytes[at] = byte;
            match understand(&bytes) {
                Seen::Record(_, record) => assert!(history.iter().any(|(_, old)| *old == record)),
                Seen::Damaged => {}
                _ => panic!("neither whole nor damaged"),
            }
        });
    }
}

const FULL_DISK: &str = "SESSION_STORE_TEST_FULL_DISK";

/// A limit on the size of files stands in for a full disk: writes are cut short, then fail.
#[test]
fn writes_that_fail_leave_what_was_there() {
    let (home, store) = new_store();
    store.create(&key(1), &record(7)).unwrap();
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "core::store::file::tests::crash::on_a_full_disk"])
        .env(FULL_DISK, home.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    assert!(stored(&store, &key(2)).is_none());
    let names = fs::read_dir(file_of(&home, &key(1)).parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "no half of a file stays");
    assert!(!file_of(&home, &key(2)).exists());
    store.update(&key(1), Held::default(), &record_with(7, b"space again")).unwrap();
}

#[test]
#[ignore = "started by another test, in a process whose files cannot grow"]
fn on_a_full_disk() {
    let Some(path) = std::env::var_os(FULL_DISK) else { return };
    let store = open_store(Path::new(&path), Options::default());
    let failed = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Io { .. }));
    assert!(failed(store.create(&key(2), &record(8))));
    assert!(stored(&store, &key(2)).is_none());
    let held = store.load(&key(1)).unwrap().unwrap().held;
    assert!(failed(store.update(&key(1), held, &record_with(7, b"x")).map(drop)));
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    let held = store.load(&key(1)).unwrap().unwrap().held;
    assert!(failed(store.update(&key(1), held, &record_with(7, &[0; 3000])).map(drop)));
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
}
