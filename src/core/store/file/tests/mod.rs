//! Tests of the file store; what they share.

mod crash;
mod dir;
mod foreign;
mod listing;
mod processes;
mod race;
mod users;
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::core::store::conformance::processes::FileMutexes;
use crate::core::store::fake::TestMutexes;

const GRACE: Duration = CLEANUP_GRACE;

/// A store in a directory of its own.
fn new_store() -> (TempDir, FileStore) {
    new_store_with(Options::default())
}

fn new_store_with(options: Options) -> (TempDir, FileStore) {
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    DataDir::prepare(&path, Owner::current()).unwrap();
    let store = open_store(&path, options);
    (home, store)
}

/// The store in `home` as several processes open it.
fn shared_store(home: &Path) -> FileStore {
    let mutexes = Arc::new(FileMutexes::new(home, 2));
    FileStore::open(&home.join("data"), mutexes, Options::default()).unwrap()
}

fn open_store(path: &Path, options: Options) -> FileStore {
    FileStore::open(path, Arc::new(TestMutexes::new(4)), options).unwrap()
}

/// The file of a record.
fn file_of(home: &TempDir, key: &StoreKey) -> PathBuf {
    let hex = key.hex();
    home.path().join("data").join(&hex[..2]).join(&hex)
}

/// Writes over a file without making a new one, so that descriptors kept of it see the bytes.
fn overwrite(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

/// Sets back when a file was written last.
fn age(path: &Path, by: Duration) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::now() - by).unwrap();
}
