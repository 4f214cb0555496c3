//! Which sessions a user has: `DIR/users/xx/USER-HASH`, an empty file for each.
//!
//! `USER` are 32 hexadecimal digits of a hash over scope and user, `xx` the first two of them, `HASH`
//! the name of the record's file. Under the slot mutex of the record such an entry is made before the
//! record and removed after it, so that a kill in between leaves an entry too many, never one too few.
//! An entry is a hint: who reads it looks at the record. Entries without a record are removed at the
//! end of a purge. The names of users stand nowhere but in records.

use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, OFlags};
use rustix::io::{Errno, Result as SysResult};
use sha2::{Digest, Sha256};

use super::FileStore;
use super::access::{Found, is_foreign};
use super::open_file::failed;
use super::tree::{FILE_FLAGS, Name, Tree, make_dir, names};
use crate::core::session::record::Record;
use crate::core::store::checksum::xxh64;
use crate::core::store::dir::open_dir;
use crate::core::store::{StoreError, StoreKey};

/// The directory of the index.
pub const USERS: &str = "users";

/// What is hashed first, so that these hashes mean nothing elsewhere.
const TAG: &[u8] = b"mod_session_store user 1";
/// Bytes of the hash of a user.
const USER_BYTES: usize = 16;

/// A short mark of a record's user, to see whether a write changes it; 0 for none.
pub fn mark_of(record: &Record) -> u64 {
    let Some(user) = &record.user else { return 0 };
    xxh64(user.as_bytes(), u64::from_le_bytes(record.scope)).max(1)
}

/// An entry of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    user: [u8; USER_BYTES],
    key: StoreKey,
}

impl Entry {
    /// The entry of a record; none if it has no user.
    pub fn of(key: &StoreKey, record: &Record) -> Option<Entry> {
        let user = record.user.as_deref()?;
        Some(Entry { user: hash(record.scope, user), key: *key })
    }

    /// The entry whose file has this name.
    fn parse(name: &[u8]) -> Option<Entry> {
        let (user, key) = name.split_at_checked(2 * USER_BYTES)?;
        // A key has twice as many bytes; the digits are checked by the same rules.
        let twice = StoreKey::from_hex(&[user, user].concat())?;
        let (user, _) = twice.as_bytes().split_first_chunk()?;
        Some(Entry { user: *user, key: StoreKey::from_hex(key.strip_prefix(b"-")?)? })
    }

    fn leaf(&self) -> Vec<u8> {
        let mut user = [0; 32];
        user[..USER_BYTES].copy_from_slice(&self.user);
        let user = StoreKey::from_bytes(user).digits();
        [&user[..2 * USER_BYTES], b"-", &self.key.digits()].concat()
    }

    fn dir(&self) -> Vec<u8> {
        dir_of(self.user[0])
    }

    /// The bytes that say in a position of a walk: behind this entry.
    pub fn position(&self) -> Vec<u8> {
        [USERS.as_bytes(), &self.user, self.key.as_bytes()].concat()
    }

    /// What [`Entry::position`] came from.
    pub fn from_position(bytes: &[u8]) -> Option<Entry> {
        let (user, key) = bytes.strip_prefix(USERS.as_bytes())?.split_first_chunk()?;
        Some(Entry { user: *user, key: StoreKey::from_bytes(key.try_into().ok()?) })
    }

    fn make(&self, tree: &Tree) -> SysResult<()> {
        let path = [&self.dir(), &b"/"[..], &self.leaf()].concat();
        let flags = FILE_FLAGS | OFlags::CREATE;
        match tree.open_below(&path, flags) {
            Err(Errno::NOENT) => {}
            other => return other.map(drop),
        }
        make_dir(tree.root(), USERS)?;
        make_dir(open_dir(tree.root(), USERS)?, &self.dir()[USERS.len() + 1..])?;
        tree.open_below(&path, flags).map(drop)
    }

    fn remove(&self, tree: &Tree) -> SysResult<()> {
        let dir = open_shard(tree, self.user[0])?;
        let removed = dir.map(|dir| fs::unlinkat(dir, self.leaf(), AtFlags::empty()));
        match removed {
            None | Some(Ok(()) | Err(Errno::NOENT)) => Ok(()),
            Some(Err(errno)) => Err(errno),
        }
    }
}

fn hash(scope: [u8; 8], user: &str) -> [u8; USER_BYTES] {
    let mut hash = Sha256::new();
    for part in [TAG, &scope, user.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut user = [0; USER_BYTES];
    user.copy_from_slice(&whole[..USER_BYTES]);
    user
}

fn dir_of(shard: u8) -> Vec<u8> {
    format!("{USERS}/{shard:02x}").into_bytes()
}

/// A subdirectory of the index; none if it is missing or was not made by us.
fn open_shard(tree: &Tree, shard: u8) -> SysResult<Option<OwnedFd>> {
    match tree.open_dir_below(&dir_of(shard)) {
        Ok(dir) => Ok(Some(dir)),
        Err(errno) if errno == Errno::NOENT || is_foreign(errno) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The entries of a subdirectory of the index, in order.
fn entries(tree: &Tree, shard: u8) -> SysResult<Vec<Entry>> {
    let Some(dir) = open_shard(tree, shard)? else { return Ok(Vec::new()) };
    names(&dir, |name| Entry::parse(name).filter(|entry| entry.user[0] == shard))
}

impl FileStore {
    /// Under the mutex, before the record is written: makes its entry.
    pub(super) fn enlist(&self, entry: Option<Entry>) -> Result<(), StoreError> {
        let made = entry.map_or(Ok(()), |entry| entry.make(&self.tree));
        made.map_err(failed("making an entry of the index of users"))
    }

    /// Under the mutex, after the record is gone: removes its entry. What cannot be removed is a hint
    /// that leads nowhere.
    pub(super) fn strike(&self, entry: Option<Entry>) {
        let _ = entry.map(|entry| entry.remove(&self.tree));
    }

    /// Without the mutex: makes the entry last, if syncing is asked for.
    pub(super) fn sync_entry(&self, entry: Option<Entry>) -> Result<(), StoreError> {
        let Some(entry) = entry.filter(|_| self.options.sync) else { return Ok(()) };
        for dir in [entry.dir().as_slice(), USERS.as_bytes()] {
            let opened = self.tree.open_dir_below(dir);
            self.sync(None, Some(&opened.map_err(failed("opening the index of users"))?))?;
        }
        self.sync(None, Some(self.tree.root()))
    }

    pub(super) fn keys_of_user(
        &self,
        scope: [u8; 8],
        user: &str,
    ) -> Result<Vec<StoreKey>, StoreError> {
        let wanted = hash(scope, user);
        let entries =
            entries(&self.tree, wanted[0]).map_err(failed("reading the index of users"))?;
        let mut keys = Vec::new();
        for Entry { key, .. } in entries.into_iter().filter(|entry| entry.user == wanted) {
            let found = self.look(&key, &Name::new(&key))?;
            let his =
                |record: &Record| record.scope == scope && record.user.as_deref() == Some(user);
            if matches!(found, Found::Record(_, record) if his(&record)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Removes the entries behind `from` that lead to no record, as long as `go_on` says so. Returns
    /// the last one looked at if it stopped there; none at the end.
    pub(super) fn clean_index(
        &self,
        from: Option<Entry>,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Option<Entry>>, StoreError> {
        let mut last = from;
        for shard in from.map_or(0, |entry| entry.user[0])..=u8::MAX {
            let entries =
                entries(&self.tree, shard).map_err(failed("reading the index of users"))?;
            for entry in entries.into_iter().filter(|entry| Some(*entry) > from) {
                if !go_on() {
                    return Ok(Some(last));
                }
                self.strike_if_astray(entry)?;
                last = Some(entry);
            }
        }
        Ok(None)
    }

    fn strike_if_astray(&self, entry: Entry) -> Result<(), StoreError> {
        let name = Name::new(&entry.key);
        let has = || self.tree.has(&name).map_err(failed("looking for a record"));
        if has()? {
            return Ok(());
        }
        // A record that is being made has its entry already: not under the mutex.
        let _guard = self.guard(&entry.key)?;
        if !has()? {
            self.strike(Some(entry));
        }
        Ok(())
    }
}
