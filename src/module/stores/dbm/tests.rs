//! What every store has to do, by each kind of database that is here; and what is particular to them.

use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::core::clock::Time;
use crate::core::database::Database;
use crate::core::lock::SlotGuard;
use crate::core::session::record::Record;
use crate::core::store::conformance::processes::FileMutexes;
use crate::core::store::conformance::{
    self, conformance, conformance_of_lists, conformance_of_processes, key, record, record_with,
    stored,
};
use crate::core::store::dbm::DbmStore;
use crate::core::store::fake::TestMutexes;
use crate::core::store::{Held, Position, Stale, Store, StoreKey};
use crate::httpd::dbm::{self, AprDbm};
use crate::httpd::sys;
use crate::system::lmdb::{self, Options};

const OPTIONS: Options = Options { map: 1 << 30, readers: 100, sync: false, full: "the map" };

fn directory() -> (TempDir, DataDir, PathBuf) {
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    let dir = DataDir::prepare(&path, Owner::current()).unwrap();
    (home, dir, path.join("sessions"))
}

fn mutex() -> Arc<TestMutexes> {
    Arc::new(TestMutexes::new(1))
}

fn lmdb_store() -> (TempDir, DbmStore<lmdb::Lmdb>) {
    let (home, dir, path) = directory();
    let database = lmdb::Lmdb::open(path, OPTIONS).unwrap();
    (home, DbmStore::new(database, mutex(), dir))
}

/// What httpd does at its start.
fn start_apr() {
    static ONCE: Once = Once::new();
    // SAFETY: once, before anything else of APR's is used.
    ONCE.call_once(|| assert_eq!(unsafe { sys::apr_initialize() }, 0));
}

fn apr_store(kind: &'static std::ffi::CStr) -> (TempDir, DbmStore<AprDbm>) {
    start_apr();
    let (home, dir, path) = directory();
    let database = AprDbm::open(kind, &path).unwrap();
    (home, DbmStore::new(database, mutex(), dir))
}

mod of_lmdb {
    use super::*;

    conformance!(lmdb_store());
    conformance!(lmdb_store(); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(lmdb_store());
}

mod of_sdbm {
    use super::*;

    conformance!(small records: apr_store(c"sdbm"));
    conformance!(apr_store(c"sdbm"); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(apr_store(c"sdbm"));
}

mod of_gdbm {
    use super::*;

    conformance!(apr_store(c"gdbm"));
    conformance!(apr_store(c"gdbm"); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(apr_store(c"gdbm"));
}

mod of_db {
    use super::*;

    conformance!(apr_store(c"db"));
    conformance!(apr_store(c"db"); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(apr_store(c"db"));
}

/// A directory for stores of several processes, and its path.
fn setup() -> (TempDir, String) {
    let (home, _, _) = directory();
    let spec = home.path().display().to_string();
    (home, spec)
}

fn party(spec: &str) -> (DataDir, PathBuf, Arc<FileMutexes>) {
    let home = Path::new(spec);
    let path = home.join("data");
    let dir = DataDir::check(&path, Owner::current()).unwrap();
    (dir, path.join("sessions"), Arc::new(FileMutexes::new(home, 1)))
}

fn open_apr(kind: &'static std::ffi::CStr, spec: &str) -> Box<dyn Store> {
    start_apr();
    let (dir, path, mutex) = party(spec);
    let database = {
        let _alone = SlotGuard::lock(&*mutex, 0).unwrap();
        AprDbm::open(kind, &path).unwrap()
    };
    Box::new(DbmStore::new(database, mutex, dir))
}

mod lmdb_of_processes {
    use super::*;

    fn open(spec: &str) -> Box<dyn Store> {
        let (dir, path, mutex) = party(spec);
        let database = {
            let _alone = SlotGuard::lock(&*mutex, 0).unwrap();
            lmdb::Lmdb::open(path, OPTIONS).unwrap()
        };
        Box::new(DbmStore::new(database, mutex, dir))
    }

    conformance_of_processes!(setup(), open);
}

mod sdbm_of_processes {
    use super::*;

    fn open(spec: &str) -> Box<dyn Store> {
        open_apr(c"sdbm", spec)
    }

    // The other parts have records larger than it holds.
    conformance_of_processes!(setup(), open; merges_of_many_processes_lose_nothing,);

    #[test]
    #[ignore = "started by another test"]
    fn in_a_process() {
        crate::core::store::conformance::processes::work(open);
    }
}

mod gdbm_of_processes {
    use super::*;

    conformance_of_processes!(setup(), |spec| open_apr(c"gdbm", spec));
}

mod db_of_processes {
    use super::*;

    conformance_of_processes!(setup(), |spec| open_apr(c"db", spec));
}

/// A key with a number that needs more than a byte.
fn numbered(number: u32) -> StoreKey {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    StoreKey::new("tests", &id)
}

#[test]
fn sdbm_holds_records_up_to_its_limit_and_names_it() {
    let (_home, store) = apr_store(c"sdbm");
    let of = |size: usize| record_with(7, &vec![b'x'; size]);
    let most =
        (0..1000).rev().find(|size| store.create(&numbered(*size), &of(*size as usize)).is_ok());
    let most = most.unwrap() as usize;
    assert!(most > 700, "{most}");
    assert_eq!(stored(&store, &numbered(most as u32)), Some(of(most)));
    let refused = store.create(&key(1), &of(most + 1));
    // 1008 bytes, less a key of 32 and the head of a value of 42.
    assert!(matches!(refused, Err(StoreError::TooLarge(934))), "{refused:?}");
    store.create(&key(1), &of(10)).unwrap();
    let refused = store.update(&key(1), Held::default(), &of(most + 1)).map(drop);
    assert!(matches!(refused, Err(StoreError::TooLarge(934))));
    assert_eq!(stored(&store, &key(1)), Some(of(10)));
}

#[test]
fn a_type_that_apr_does_not_have_is_no_type() {
    start_apr();
    assert!(dbm::files(c"no-such-type", "/x".as_ref()).unwrap().is_none());
    let sdbm = dbm::files(c"sdbm", "/x".as_ref()).unwrap().unwrap();
    assert_eq!(sdbm, [PathBuf::from("/x.dir"), PathBuf::from("/x.pag")]);
}

#[test]
fn only_what_survives_a_kill_says_so() {
    let survives = |abilities: crate::core::store::Abilities| abilities.survives_kill;
    assert!(survives(lmdb_store().1.abilities()));
    for kind in [c"sdbm", c"gdbm", c"db"] {
        assert!(!survives(apr_store(kind).1.abilities()));
    }
}

#[test]
fn lmdb_counts_its_records_exactly() {
    let (_home, store) = lmdb_store();
    let of = Record { user: Some("alice".into()), ..record(7) };
    for number in 0..300 {
        store.create(&numbered(number), &of).unwrap();
    }
    for number in 0..50 {
        store.delete(&numbered(number), None).unwrap();
    }
    let stats = store.stats().unwrap();
    assert_eq!((stats.records, stats.capacity), (Some(250), Some(1 << 30)));
    assert!(stats.bytes.is_some_and(|bytes| bytes > 250 * 100));
    assert_eq!(store.of_user([1; 8], "alice").unwrap().len(), 250);
}

#[test]
fn ten_thousand_stale_records_are_purged_in_small_steps() {
    let (_home, store) = lmdb_store();
    for number in 0..10_000 {
        store.create(&numbered(number), &record(7)).unwrap();
    }
    let start = Instant::now();
    let all = Stale::EndedBefore(Time(u64::MAX));
    let (mut removed, mut from) = (0, Position::default());
    let mut rounds = 0;
    loop {
        let mut left = 1000;
        let purged = store.purge(all, &from, &mut || {
            left -= 1;
            left > 0
        });
        let purged = purged.unwrap();
        removed += purged.removed;
        rounds += 1;
        match purged.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!((removed, store.stats().unwrap().records), (10_000, Some(0)));
    assert!(rounds > 5 && start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// A file that is not there cannot be synced: by this is seen that each one is.
#[test]
fn all_files_of_a_database_are_synced_where_that_is_wanted() {
    start_apr();
    for kind in [c"sdbm", c"gdbm", c"db"] {
        let (_home, _dir, path) = directory();
        let files = dbm::files(kind, &path).unwrap().unwrap();
        let open = || AprDbm::open(kind, &path).unwrap();
        let (synced, other) = (open().synced().unwrap(), open());
        synced.sync().unwrap();
        for file in &files {
            let aside = path.with_file_name("aside");
            std::fs::rename(file, &aside).unwrap();
            assert!(synced.sync().is_err(), "{kind:?}: {}", file.display());
            other.sync().unwrap();
            std::fs::rename(&aside, file).unwrap();
        }
        synced.sync().unwrap();
    }
}
