//! LMDB as a database of bytes.

use std::borrow::Cow;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use super::check::damage;
use super::*;
use crate::core::database::{Change, Key, View};

const OPTIONS: Options = Options { map: 1 << 28, readers: 64, sync: false, full: "the map" };

fn key(number: u32) -> Key {
    let mut key = [0x5a; 32];
    // Spread as hashes are.
    key[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B1).to_be_bytes());
    key
}

fn open(home: &TempDir, options: Options) -> Lmdb {
    Lmdb::open(home.path().join("test.mdb"), options).unwrap()
}

fn new() -> (TempDir, Lmdb) {
    let home = TempDir::new().unwrap();
    let lmdb = open(&home, OPTIONS);
    (home, lmdb)
}

type Done<T> = Result<T, DatabaseError>;

fn put(lmdb: &Lmdb, numbers: std::ops::Range<u32>, value: &[u8]) -> Done<()> {
    lmdb.change(|change| numbers.clone().try_for_each(|number| change.put(&key(number), value)))
}

fn value(lmdb: &Lmdb, number: u32) -> Option<Vec<u8>> {
    lmdb.view(|view| Done::Ok(view.get(&key(number))?.map(Cow::into_owned))).unwrap()
}

#[test]
fn keys_come_in_their_order_and_behind_one_another() {
    let (_home, lmdb) = new();
    put(&lmdb, 0..300, b"x").unwrap();
    let mut expected: Vec<Key> = (0..300).map(key).collect();
    expected.sort_unstable();
    let keys = |after: Option<&Key>, most| lmdb.view(|view| view.keys_after(after, most)).unwrap();
    assert_eq!(keys(None, 1000), expected);
    assert_eq!(keys(Some(&expected[9]), 7), expected[10..17]);
    assert_eq!(keys(Some(&expected[299]), 7), [] as [Key; 0]);
    assert_eq!(lmdb.size().unwrap().keys, Some(300));
}

#[test]
fn a_failed_change_is_undone() {
    let (_home, lmdb) = new();
    put(&lmdb, 0..1, b"first").unwrap();
    let failed: Done<()> = lmdb.change(|change| {
        change.put(&key(0), b"second")?;
        change.mark(1, &key(0))?;
        Err(DatabaseError::TooLarge(1))
    });
    assert!(failed.is_err());
    assert_eq!(value(&lmdb, 0).unwrap(), b"first");
    assert_eq!(lmdb.view(|view| view.marked(1)).unwrap(), Some(vec![]));
}

#[test]
fn marks_are_found_and_taken_away() {
    let (_home, lmdb) = new();
    let marked = |mark| lmdb.view(|view| view.marked(mark)).unwrap().unwrap().len();
    let all = |work: fn(&mut LmdbChange<'_>, u32) -> Done<()>| {
        lmdb.change(|change| (0..500).try_for_each(|number| work(change, number))).unwrap();
    };
    all(|change, number| change.mark(u64::from(number % 2), &key(number)));
    all(|change, number| change.mark(0, &key(number)));
    assert_eq!((marked(0), marked(1), marked(2)), (500, 250, 0));
    all(|change, number| change.unmark(1, &key(number)));
    assert_eq!((marked(0), marked(1)), (500, 0));
}

#[test]
fn a_full_map_is_an_error_and_room_is_used_again() {
    let home = TempDir::new().unwrap();
    let lmdb = open(&home, Options { map: 1 << 20, ..OPTIONS });
    let mut put_until_full = 0;
    let full = loop {
        match put(&lmdb, put_until_full..put_until_full + 1, &[7; 1000]) {
            Ok(()) => put_until_full += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, DatabaseError::Full("the map")), "{full}");
    assert!(put_until_full > 100);
    assert_eq!(value(&lmdb, 0).unwrap(), [7; 1000]);
    // As long as it is full, what is there can be changed and removed, by one or by many.
    put(&lmdb, 0..1, &[8; 1000]).unwrap();
    for number in 0..50 {
        lmdb.change(|change| change.remove(&key(number))).unwrap();
    }
    lmdb.change(|change| (50..100).try_for_each(|number| change.remove(&key(number)))).unwrap();
    put(&lmdb, 0..20, &[9; 1000]).unwrap();
}

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    let (home, lmdb) = new();
    put(&lmdb, 0..3, b"kept").unwrap();
    drop(lmdb);
    let lmdb = open(&home, Options { sync: true, ..OPTIONS });
    assert_eq!(value(&lmdb, 2).unwrap(), b"kept");
    put(&lmdb, 3..4, b"synced").unwrap();
    assert_eq!(lmdb.size().unwrap().keys, Some(4));
}

#[test]
fn whether_it_is_open_is_seen_by_other_processes() {
    let (home, lmdb) = new();
    let dir = || File::open(home.path()).unwrap();
    assert!(is_closed(dir(), "no-database").unwrap());
    // A lock of this process's own is no obstacle to it: another one has to look.
    let probe = |expected: bool| {
        let program = std::env::current_exe().unwrap();
        let status = std::process::Command::new(program)
            .args(["--ignored", "--exact", "system::lmdb::tests::is_it_closed"])
            .env(PROBED, home.path())
            .env("EXPECTED", expected.to_string())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    };
    probe(false);
    drop(lmdb);
    probe(true);
}

const PROBED: &str = "SESSION_STORE_TEST_LMDB";

#[test]
#[ignore = "started by another test"]
fn is_it_closed() {
    let Some(home) = std::env::var_os(PROBED) else { return };
    let closed = is_closed(File::open(home).unwrap(), "test.mdb").unwrap();
    assert_eq!(closed.to_string(), std::env::var("EXPECTED").unwrap());
}

#[test]
fn after_an_error_that_ends_an_environment_it_is_opened_again() {
    let (_home, lmdb) = new();
    put(&lmdb, 0..1, b"kept").unwrap();
    let failed = lmdb.failed("writing the database", heed::Error::Mdb(MdbError::Panic));
    assert!(matches!(failed, DatabaseError::Failed { .. }));
    assert!(lmdb.opened.read().unwrap().is_none());
    assert_eq!(value(&lmdb, 0).unwrap(), b"kept");
}

#[test]
fn threads_read_while_others_write() {
    let (_home, lmdb) = new();
    put(&lmdb, 0..1, b"0").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..200).for_each(|_| assert!(value(&lmdb, 0).is_some())));
        }
        for round in 0..200 {
            put(&lmdb, 0..1, format!("{round}").as_bytes()).unwrap();
        }
    });
    assert_eq!(value(&lmdb, 0).unwrap(), b"199");
}

/// A file with trees of several levels, large values, marks with few and with many keys.
fn rich(home: &TempDir) -> std::path::PathBuf {
    let lmdb = open(home, OPTIONS);
    put(&lmdb, 0..3000, &[1; 200]).unwrap();
    put(&lmdb, 3000..3010, &[2; 20_000]).unwrap();
    lmdb.change(|change| {
        (0..2000).try_for_each(|number| change.mark(7, &key(number)))?;
        (0..20).try_for_each(|number| change.mark(u64::from(number / 4), &key(number)))
    })
    .unwrap();
    // Leaves free pages behind.
    for number in 0..100 {
        lmdb.change(|change| change.remove(&key(number * 7))).unwrap();
    }
    home.path().join("test.mdb")
}

fn damage_of(path: &Path) -> Option<&'static str> {
    damage(File::open(path).unwrap()).unwrap()
}

#[test]
fn a_good_file_is_found_good_at_every_size() {
    let home = TempDir::new().unwrap();
    let path = rich(&home);
    assert_eq!(damage_of(&path), None);
    let (home, lmdb) = new();
    let path = home.path().join("test.mdb");
    for number in 0..300 {
        put(&lmdb, number..number + 1, &vec![3; (number as usize * 37) % 3000]).unwrap();
        assert_eq!(damage_of(&path), None, "after {number}");
    }
    for number in 0..300 {
        lmdb.change(|change| change.remove(&key(number))).unwrap();
        assert_eq!(damage_of(&path), None, "without {number}");
    }
    fs::write(home.path().join("empty"), b"").unwrap();
    assert_eq!(damage_of(&home.path().join("empty")), None);
}

#[test]
fn a_foreign_or_cut_file_is_found() {
    let home = TempDir::new().unwrap();
    let path = rich(&home);
    let bytes = fs::read(&path).unwrap();
    let copy = home.path().join("copy");
    for length in [1, 100, 4095, 4096, 6000, 8192, bytes.len() / 2, bytes.len() - 3 * 4096] {
        fs::write(&copy, &bytes[..length]).unwrap();
        assert!(damage_of(&copy).is_some(), "{length} of {}", bytes.len());
    }
    fs::write(&copy, b"This is no database.".repeat(1000)).unwrap();
    assert_eq!(damage_of(&copy), Some("it is no LMDB file"));
    fs::write(&copy, vec![0; 100_000]).unwrap();
    assert!(damage_of(&copy).is_some());
}

/// Damage in the middle of values is the business of who knows what they mean. What passes the check
/// must not end the process.
#[test]
fn garbage_in_pages_is_found_or_harmless() {
    let home = TempDir::new().unwrap();
    let path = rich(&home);
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    let copy = home.path().join("copy");
    let mut found = 0;
    for page in 2..pages {
        fs::copy(&path, &copy).unwrap();
        let file = File::options().write(true).open(&copy).unwrap();
        file.write_all_at(&[0x9c; 4096], page * 4096).unwrap();
        found += u64::from(damage_of(&copy).is_some());
    }
    assert!(found > pages / 2, "{found} of {pages}: what is free or within large values stays");
}
