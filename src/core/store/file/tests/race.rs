//! Readers of other threads and processes beside fast writers.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::core::clock::Time;
use crate::core::session::values::Key;
use crate::core::store::conformance::{key, record, record_with};

const RACE: &str = "SESSION_STORE_TEST_RACE";
const LOADS: usize = 3000;

/// A record whose every part says the same number; of a length that depends on it.
fn version(number: u64) -> Record {
    let length = 100 + (number as usize * 37) % 3500;
    let mut record = record_with(7, &vec![number as u8; length]);
    record.user = Some(number.to_string());
    record.created = Time(number);
    record
}

fn is_one_version(record: &Record) -> bool {
    let number = record.created.0;
    let value = record.values.get(&Key::new("value").unwrap()).unwrap();
    let expected = version(number);
    record.user == expected.user && value == expected.values.iter().next().unwrap().1
}

fn read_often(store: &FileStore) {
    for _ in 0..LOADS {
        let record = store.load(&key(1)).unwrap().unwrap().record;
        assert!(is_one_version(&record), "parts of two versions");
    }
}

fn reader_process(home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "core::store::file::tests::race::read_in_a_process"])
        .env(RACE, home)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "started by another test"]
fn read_in_a_process() {
    let Some(home) = std::env::var_os(RACE) else { return };
    read_often(&shared_store(Path::new(&home)));
}

#[test]
fn readers_see_one_version_or_another_and_never_damage() {
    let home = TempDir::new().unwrap();
    DataDir::prepare(&home.path().join("data"), Owner::current()).unwrap();
    let store = shared_store(home.path());
    store.create(&key(1), &version(0)).unwrap();
    let done = AtomicBool::new(false);
    let writing = || !done.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = Held::default();
            for number in (1..).take_while(|_| writing()) {
                held = match store.update(&key(1), held, &version(number)) {
                    Ok(held) => held,
                    // The others gave it a larger file.
                    Err(StoreError::Overtaken) => Held::default(),
                    Err(cause) => panic!("{cause}"),
                };
            }
        });
        scope.spawn(|| {
            let mut number = 1_000_000;
            while writing() {
                number += 1;
                let mut change = |_| Merge::Write(Box::new(version(number)));
                store.merge(&key(1), 7, &mut change).unwrap();
                let visit = Visit { accessed: Time(number), deadline: Time(number) };
                store.touch(&key(1), &Held::default(), 7, visit).unwrap();
            }
        });
        let readers = [reader_process(home.path()), reader_process(home.path())];
        let here = scope.spawn(|| read_often(&store));
        let outputs = readers.map(|reader| reader.wait_with_output().unwrap());
        let here = here.join();
        done.store(true, Ordering::Relaxed);
        here.unwrap();
        for output in outputs {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
    });
}

#[test]
fn one_of_many_creators_wins() {
    let (_home, store) = new_store();
    let won: usize = std::thread::scope(|scope| {
        let create = |number| store.create(&key(1), &record(number)).is_ok();
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || create(number))).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!(won, 1);
}

#[test]
fn what_is_deleted_among_writers_stays_deleted() {
    for round in 0..50 {
        let (_home, store) = new_store();
        store.create(&key(1), &record(7)).unwrap();
        std::thread::scope(|scope| {
            let held = store.load(&key(1)).unwrap().unwrap().held;
            let store = &store;
            scope.spawn(move || drop(store.update(&key(1), held, &version(round))));
            scope.spawn(|| drop(store.merge(&key(1), 7, &mut |r| Merge::Write(Box::new(r)))));
            scope.spawn(|| assert!(store.delete(&key(1), Some(7)).unwrap()));
        });
        assert!(store.load(&key(1)).unwrap().is_none());
    }
}
