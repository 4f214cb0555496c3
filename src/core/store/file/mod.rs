//! A file for each record: `DIR/xx/HASH`, written in place.
//!
//! Replacing a file by a new one and a rename makes the file system flush; writing in place costs a
//! fiftieth. So each file has two slots (drawn in `layout`): a write replaces the older version,
//! and a kill at any byte leaves the other one.
//!
//! - Every write to a file that exists is made under the key's slot mutex. Reading takes no lock: a
//!   reader that finds no whole version reads again, and believes it only under the mutex.
//! - A request that reads and writes costs five system calls: the descriptor of the load is kept for the
//!   update. By its count of links is seen that the file was not deleted or replaced meanwhile, and by the
//!   time of its latest change that it holds the version that was read; within two seconds of a write that
//!   time does not tell, and the file is read once more. A file keeps its incarnation for life, so that
//!   this settles the incarnation as well.
//! - A record that outgrows its slots gets a file of twice the size, which takes the place of the
//!   old.
//! - Syncing, if asked for, happens after the mutex is given back; only a file that is about to
//!   take the place of another is synced before it does, since the old versions go with it.
//! - Records are listed in the order of their keys. An index leads from a user to the sessions of that
//!   user (`users`); a session without one costs nothing there.
//! - A kill loses nothing. A power cut may, without `sync`, undo or lose what was written last.

mod access;
mod layout;
mod listing;
mod open_file;
#[cfg(test)]
mod tests;
mod tree;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use self::access::Found;
use self::layout::{build_file, seal_slot};
use self::open_file::{OpenFile, failed, sequence_after, version_of, write_at};
use self::tree::{Name, Tree};
use self::users::Entry as UserEntry;
use super::dir::{CORRUPT_MAX, DataDir, DirError, Owner};
use super::{
    Abilities, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats, Store, StoreError,
    StoreKey, Visit,
};
use crate::core::config::CLEANUP_GRACE;
use crate::core::lock::SlotMutexes;
use crate::core::session::record::Record;

/// How a [`FileStore`] works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Data and directory are on disk before a verb returns (`SessionSync`).
    pub sync: bool,
    /// How long a file may be unfinished (`SessionCleanupGrace`).
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { sync: false, grace: CLEANUP_GRACE }
    }
}

/// Records in files.
pub struct FileStore {
    tree: Tree,
    mutexes: Arc<dyn SlotMutexes>,
    options: Options,
    uid: u32,
}

impl FileStore {
    /// Opens the data directory `path`, which [`DataDir::prepare`] has made, as the user that this
    /// process is now: after privileges are dropped.
    pub fn open(
        path: &Path,
        mutexes: Arc<dyn SlotMutexes>,
        options: Options,
    ) -> Result<FileStore, DirError> {
        let owner = Owner::current();
        let dir = DataDir::check(path, owner)?;
        Ok(FileStore { tree: Tree::new(dir.into_fd()), mutexes, options, uid: owner.uid })
    }
}

fn kept(file: Box<OpenFile>) -> Held {
    Held { version: Some(file.facts.sequence), kept: Some(file) }
}

impl Store for FileStore {
    fn name(&self) -> &'static str {
        "file"
    }

    fn abilities(&self) -> Abilities {
        Abilities { survives_kill: true, lists: true, compares: true }
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        let name = Name::new(key);
        let mut slot = version_of(record)?;
        seal_slot(&mut slot, sequence_after(0), record.incarnation);
        let (bytes, _) = build_file(&slot);
        let entry = UserEntry::of(key, record);
        // Others may look for the record that an entry leads to: none of them in between.
        let guard = entry.map(|_| self.guard(key)).transpose()?;
        self.enlist(entry)?;
        let fd = match self.tree.create(&name) {
            Err(Errno::EXIST) => return Err(StoreError::Exists),
            other => other.map_err(failed("making a record"))?,
        };
        if let Err(errno) = write_at(&fd, &bytes, 0) {
            // If this fails too, what stays is damaged and found as such: the cause counts.
            let _ = guard
                .map_or_else(|| self.guard(key), Ok)
                .map(|_guard| self.take_back(&name, &fd).map(|()| self.strike(entry)));
            return Err(failed("writing a new record")(errno));
        }
        drop(guard);
        if !self.options.sync {
            return Ok(());
        }
        let shard = self.tree.shard(&name).map_err(failed("opening a subdirectory"))?;
        self.sync(Some(&fd), Some(&shard))?;
        self.sync_entry(entry)?;
        // The subdirectory may be new, whoever made it.
        self.sync(None, Some(self.tree.root()))
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        match self.look(key, &Name::new(key))? {
            Found::Nothing => Ok(None),
            Found::Record(file, record) => Ok(Some(Loaded { record, held: kept(Box::new(file)) })),
            Found::Newer(format) => Err(StoreError::Newer(format)),
            Found::Damaged | Found::Unfinished => Err(StoreError::Corrupt),
        }
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        let name = Name::new(key);
        let slot = version_of(record)?;
        let kept_file = held.kept.and_then(|held| held.downcast::<OpenFile>().ok());
        let guard = self.guard(key)?;
        let mut file = match kept_file {
            Some(file) if self.is_untouched(&file)? => file,
            Some(before) => {
                let now = self.current(&name, record.incarnation)?.0;
                if now.facts.sequence != before.facts.sequence {
                    return Err(StoreError::Overtaken);
                }
                Box::new(now)
            }
            None => Box::new(self.current(&name, record.incarnation)?.0),
        };
        if file.facts.incarnation != record.incarnation {
            return Err(StoreError::Gone);
        }
        let shard = self.write_record(key, &mut file, (slot, record))?;
        drop(guard);
        self.sync(Some(&file.fd), shard.as_ref())?;
        Ok(kept(file))
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        let name = Name::new(key);
        let guard = self.guard(key)?;
        let (mut file, record) = self.current(&name, incarnation)?;
        let changed = match change(record) {
            Merge::Keep => return Ok(()),
            Merge::Write(changed) if changed.incarnation != incarnation => {
                return Err(StoreError::Gone);
            }
            Merge::Write(changed) => changed,
        };
        let slot = version_of(&changed)?;
        let shard = self.write_record(key, &mut file, (slot, &changed))?;
        drop(guard);
        self.sync(Some(&file.fd), shard.as_ref())
    }

    fn touch(
        &self,
        key: &StoreKey,
        held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        let name = Name::new(key);
        let kept = held.kept.as_deref().and_then(|held| held.downcast_ref::<OpenFile>());
        let kept = kept.map(|file| &file.fd);
        let guard = self.guard(key)?;
        let opened = self.visit(&name, kept, incarnation, visit)?;
        drop(guard);
        self.sync(opened.as_ref().or(kept), None)
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        let name = Name::new(key);
        let guard = self.guard(key)?;
        let entry = match (self.find(&name)?, incarnation) {
            (Found::Record(_, record), Some(wanted)) if record.incarnation != wanted => {
                return Ok(false);
            }
            (Found::Record(_, record), _) => UserEntry::of(key, &record),
            // Whatever it is; also what is not finished yet.
            (_, None) => None,
            (Found::Nothing, _) => return Ok(false),
            (Found::Newer(format), _) => return Err(StoreError::Newer(format)),
            (Found::Damaged | Found::Unfinished, _) => return Err(StoreError::Corrupt),
        };
        let removed = self.remove(&name)?;
        self.strike(entry);
        drop(guard);
        self.sync(None, removed.as_ref())?;
        Ok(removed.is_some())
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let name = Name::new(key);
        let _guard = self.guard(key)?;
        match self.find(&name)? {
            Found::Damaged | Found::Unfinished => {
                self.tree.set_aside(&name, CORRUPT_MAX).map_err(failed("moving a record aside"))
            }
            _ => Ok(false),
        }
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.scan_from(from, see)
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        self.purge_from(stale, from, go_on)
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        self.keys_of_user(scope, user)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.known()
    }
}
