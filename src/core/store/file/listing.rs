//! Walks over all records: in the order of their keys, a subdirectory at a time.

use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::access::{Found, is_foreign};
use super::open_file::failed;
use super::tree::{GROWING, Name, names};
use super::users::{self, USERS};
use super::{CORRUPT_MAX, FileStore};
use crate::core::clock::{Clock, SystemClock, Time};
use crate::core::store::dir::{CORRUPT, entries, open_dir};
use crate::core::store::{Entry, Position, Purged, Stale, Stats, StoreError, StoreKey};

/// Where a walk goes on.
enum Place {
    /// Among the records, behind this one; at their start if none.
    Records(Option<StoreKey>),
    /// Behind all records, in the index of users, behind this entry of it.
    Users(Option<users::Entry>),
}

impl Place {
    fn of(position: &Position) -> Place {
        let bytes = position.bytes();
        match users::Entry::from_position(bytes) {
            Some(entry) => Place::Users(Some(entry)),
            None if bytes == USERS.as_bytes() => Place::Users(None),
            None => Place::Records(position.key()),
        }
    }

    fn position(&self) -> Position {
        match self {
            Place::Records(None) => Position::default(),
            Place::Records(Some(key)) => (*key).into(),
            Place::Users(None) => Position::new(USERS.as_bytes()),
            Place::Users(Some(entry)) => Position::new(&entry.position()),
        }
    }
}

/// A name in a subdirectory that means something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leaf {
    key: StoreKey,
    /// It is the file that was to take the record's place.
    growing: bool,
}

impl Leaf {
    fn parse(name: &[u8]) -> Option<Leaf> {
        let stem = name.strip_suffix(GROWING);
        let key = StoreKey::from_hex(stem.unwrap_or(name))?;
        Some(Leaf { key, growing: stem.is_some() })
    }
}

impl FileStore {
    /// The subdirectory `number` and what lies there behind `after`, in order; nothing if it is missing
    /// or was not made by us.
    fn shard(
        &self,
        number: u8,
        after: Option<StoreKey>,
    ) -> Result<Option<(OwnedFd, Vec<Leaf>)>, StoreError> {
        let dir = match open_dir(self.tree.root(), format!("{number:02x}").as_str()) {
            Ok(dir) => dir,
            Err(errno) if errno == Errno::NOENT || is_foreign(errno) => return Ok(None),
            Err(errno) => return Err(failed("opening a subdirectory")(errno)),
        };
        let ours = |leaf: &Leaf| leaf.key.as_bytes()[0] == number && Some(leaf.key) > after;
        let leaves = names(&dir, |name| Leaf::parse(name).filter(ours));
        Ok(Some((dir, leaves.map_err(failed("reading a subdirectory"))?)))
    }

    pub(super) fn scan_from(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        let Place::Records(after) = Place::of(from) else { return Ok(None) };
        for number in first(after)..=u8::MAX {
            let Some((dir, leaves)) = self.shard(number, after)? else { continue };
            for key in leaves.into_iter().filter(|leaf| !leaf.growing).map(|leaf| leaf.key) {
                let Some(entry) = self.entry(&dir, key)? else { continue };
                if !see(entry) {
                    return Ok(Some(key.into()));
                }
            }
        }
        Ok(None)
    }

    fn entry(&self, dir: &OwnedFd, key: StoreKey) -> Result<Option<Entry>, StoreError> {
        let name = Name::new(&key);
        let (record, bytes) = match self.look(&key, &name) {
            Ok(Found::Nothing) => return Ok(None),
            Ok(Found::Record(file, record)) => (Ok(record), file.facts.bytes()),
            Ok(Found::Newer(format)) => (Err(StoreError::Newer(format)), size(dir, &name)?),
            Ok(Found::Damaged | Found::Unfinished) => (Err(StoreError::Corrupt), size(dir, &name)?),
            Err(cause @ StoreError::Io { .. }) => (Err(cause), size(dir, &name)?),
            Err(cause) => return Err(cause),
        };
        Ok(Some(Entry { key, record, bytes }))
    }

    pub(super) fn purge_from(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        let astray = match Place::of(from) {
            Place::Users(entry) => entry,
            Place::Records(after) => {
                if let Some(key) = self.purge_records(stale, after, go_on, &mut purged)? {
                    purged.next = Some(Place::Records(key).position());
                    return Ok(purged);
                }
                None
            }
        };
        let stopped = self.clean_index(astray, go_on)?;
        purged.next = stopped.map(|entry| Place::Users(entry).position());
        Ok(purged)
    }

    /// Returns the last key looked at if it stopped there; none at the end.
    fn purge_records(
        &self,
        stale: Stale,
        after: Option<StoreKey>,
        go_on: &mut dyn FnMut() -> bool,
        purged: &mut Purged,
    ) -> Result<Option<Option<StoreKey>>, StoreError> {
        let mut last = after;
        for number in first(after)..=u8::MAX {
            let (dir, leaves) = match self.shard(number, after) {
                Ok(Some(shard)) => shard,
                Ok(None) => continue,
                // As below.
                Err(_) => {
                    purged.failed += 1;
                    continue;
                }
            };
            for leaf in leaves {
                if leaf.growing {
                    self.remove_growing(&dir, &leaf.key)?;
                    continue;
                }
                if !go_on() {
                    return Ok(Some(last));
                }
                match self.purge_one(stale, &leaf.key, purged) {
                    // Left there by root, say: it is not to keep all others.
                    Err(StoreError::Io { .. } | StoreError::Corrupt) => purged.failed += 1,
                    other => other?,
                }
                last = Some(leaf.key);
            }
        }
        Ok(None)
    }

    fn purge_one(
        &self,
        stale: Stale,
        key: &StoreKey,
        purged: &mut Purged,
    ) -> Result<(), StoreError> {
        let name = Name::new(key);
        let found = self.find(&name);
        purged.seen += u64::from(!matches!(found, Ok(Found::Nothing)));
        match found? {
            Found::Nothing | Found::Newer(_) => return Ok(()),
            Found::Record(_, record) if !stale.is(&record) => return Ok(()),
            Found::Record(..) | Found::Damaged | Found::Unfinished => {}
        }
        // Nobody writes from here on: what it is now it stays.
        let _guard = self.guard(key)?;
        match self.find(&name)? {
            Found::Record(_, record) if stale.is(&record) => {
                self.remove(&name)?;
                self.strike(users::Entry::of(key, &record));
                purged.removed += 1;
            }
            Found::Damaged => {
                let moved = self.tree.set_aside(&name, CORRUPT_MAX);
                purged.corrupt += u64::from(moved.map_err(failed("moving a record aside"))?);
            }
            Found::Unfinished => {
                self.remove(&name)?;
                purged.corrupt += 1;
            }
            Found::Nothing | Found::Record(..) | Found::Newer(_) => {}
        }
        Ok(())
    }

    /// Removes what a killed process left that was about to replace a file by a larger one.
    fn remove_growing(&self, dir: &OwnedFd, key: &StoreKey) -> Result<(), StoreError> {
        let name = Name::new(key);
        let growing = name.growing();
        let stat = match fs::statat(dir, &growing, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(failed("looking at a temporary file"))?,
        };
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_dir || !self.is_past_grace(&stat) {
            return Ok(());
        }
        let _guard = self.guard(key)?;
        self.tree.drop_growing(dir, &name);
        Ok(())
    }

    /// Whether a file was written longer ago than anybody may take to finish it.
    pub(super) fn is_past_grace(&self, stat: &Stat) -> bool {
        let made = Time::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        SystemClock.now().since(made) >= self.options.grace
    }

    pub(super) fn known(&self) -> Result<Stats, StoreError> {
        let aside = match open_dir(self.tree.root(), CORRUPT) {
            Err(errno) if errno == Errno::NOENT || is_foreign(errno) => 0,
            dir => dir.and_then(|dir| entries(&dir)).map_err(failed("counting damaged records"))?,
        };
        let counters = vec![("set_aside", aside as u64)];
        Ok(Stats { counters, ..Stats::default() })
    }
}

/// The subdirectory in which a walk behind `after` begins.
fn first(after: Option<StoreKey>) -> u8 {
    after.map_or(0, |key| key.as_bytes()[0])
}

fn size(dir: &OwnedFd, name: &Name) -> Result<u64, StoreError> {
    match fs::statat(dir, name.leaf(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
        Err(Errno::NOENT) => Ok(0),
        Err(errno) => Err(failed("looking at a record's file")(errno)),
    }
}
