//! What the verbs of the file store are made of: finding a record, and writing it under the mutex.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Stat, fdatasync, fstat, fsync};
use rustix::io::Errno;

use super::FileStore;
use super::layout::{Facts, SLOT_HEAD, build_file, later, latest_sequence, seal_slot};
use super::open_file::{
    Buffer, OpenFile, Seen, failed, sequence_after, understand, write_at, write_visit,
};
use super::tree::Name;
use super::users::{Entry, mark_of};
use crate::core::clock::{Clock, SystemClock, Time};
use crate::core::lock::{SlotGuard, slot_of};
use crate::core::session::record::Record;
use crate::core::store::dir::is_file;
use crate::core::store::{StoreError, StoreKey, Visit};

/// Within this of a write, in microseconds, the time of a file's change does not tell whether it was the
/// last one: from the sequence of a version to its being written some time passes, and the time of a
/// change is as coarse as the kernel's ticks. Then the file itself is looked at.
const SOON: u64 = 1_000_000;

/// What lies under a key.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, for one call")]
pub(super) enum Found {
    Nothing,
    Record(OpenFile, Record),
    Damaged,
    /// Nobody can be finishing it any more.
    Unfinished,
    Newer(u16),
}

impl FileStore {
    pub(super) fn guard(&self, key: &StoreKey) -> Result<SlotGuard<'_>, StoreError> {
        let mutexes = &*self.mutexes;
        Ok(SlotGuard::lock(mutexes, slot_of(key, mutexes.count()))?)
    }

    pub(super) fn find(&self, name: &Name) -> Result<Found, StoreError> {
        let fd = match self.tree.open(name) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(errno) if is_foreign(errno) => return Ok(Found::Damaged),
            Err(errno) => return Err(failed("opening a record")(errno)),
        };
        let mut buffer = Buffer::new();
        let known_at = SystemClock.now();
        let seen = understand(buffer.read(&fd)?);
        match seen {
            Seen::Record(facts, record) => {
                Ok(Found::Record(OpenFile { fd, facts, mark: mark_of(&record), known_at }, record))
            }
            Seen::Newer(format) => Ok(Found::Newer(format)),
            Seen::Damaged => Ok(Found::Damaged),
            Seen::Unfinished => {
                let stat = fstat(&fd).map_err(failed("looking at a record's file"))?;
                match (is_file(&stat), self.is_past_grace(&stat)) {
                    (false, _) => Ok(Found::Damaged),
                    // It may still be in the making.
                    (true, false) => Ok(Found::Nothing),
                    (true, true) => Ok(Found::Unfinished),
                }
            }
        }
    }

    /// What lies under a key, without the mutex unless it makes no sense.
    pub(super) fn look(&self, key: &StoreKey, name: &Name) -> Result<Found, StoreError> {
        // A writer faster than one read can tear both slots under it; twice more it hardly will.
        for _ in 0..3 {
            match self.find(name)? {
                Found::Damaged | Found::Unfinished => {}
                found => return Ok(found),
            }
        }
        let _guard = self.guard(key)?;
        self.find(name)
    }

    /// Whether an open file is still in its place, and fit to be written.
    fn is_in_place(&self, fd: &OwnedFd) -> Result<bool, StoreError> {
        Ok(self.own(fd)?.st_nlink > 0)
    }

    /// The same, and whether it holds the version that it held when `file` was read or written last.
    pub(super) fn is_untouched(&self, file: &OpenFile) -> Result<bool, StoreError> {
        let stat = self.own(&file.fd)?;
        if stat.st_nlink == 0 {
            return Ok(false);
        }
        // Its own last write, as far as the clock of the file system can tell.
        let settled = Time(file.facts.sequence.saturating_add(SOON));
        // Who wrote after it was read did so later than that, by the coarsest clock.
        let read_later = file.known_at.0 > settled.0.saturating_add(SOON);
        if changed_at(&stat) <= settled && read_later {
            return Ok(true);
        }
        // Written a moment before it was read, or visited since. What looks newer may be torn: whether it is,
        // who asks finds out.
        let mut buffer = Buffer::new();
        Ok(latest_sequence(buffer.read(&file.fd)?, &file.facts) == Some(file.facts.sequence))
    }

    /// What the system knows of an open file that is fit to be written.
    fn own(&self, fd: &OwnedFd) -> Result<Stat, StoreError> {
        let stat = fstat(fd).map_err(failed("looking at a record's file"))?;
        if is_file(&stat) && stat.st_uid == self.uid {
            return Ok(stat);
        }
        let cause = io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user");
        Err(StoreError::Io { doing: "writing a record", cause })
    }

    /// Under the mutex: the record as it is now, to be written.
    pub(super) fn current(
        &self,
        name: &Name,
        incarnation: u64,
    ) -> Result<(OpenFile, Record), StoreError> {
        match self.find(name)? {
            Found::Nothing => Err(StoreError::Gone),
            Found::Damaged | Found::Unfinished => Err(StoreError::Corrupt),
            Found::Newer(format) => Err(StoreError::Newer(format)),
            Found::Record(_, record) if record.incarnation != incarnation => Err(StoreError::Gone),
            Found::Record(file, record) => match self.is_in_place(&file.fd)? {
                true => Ok((file, record)),
                false => Err(StoreError::Gone),
            },
        }
    }

    /// Under the mutex: records `visit` in the file `kept`, or in the one that is in its place now.
    pub(super) fn visit(
        &self,
        name: &Name,
        kept: Option<&OwnedFd>,
        incarnation: u64,
        visit: Visit,
    ) -> Result<Option<OwnedFd>, StoreError> {
        let kept = match kept {
            Some(fd) if self.is_in_place(fd)? => Some(fd),
            _ => None,
        };
        let opened = match kept {
            Some(_) => None,
            None => Some(self.current(name, incarnation)?.0.fd),
        };
        let Some(fd) = kept.or(opened.as_ref()) else { return Err(StoreError::Gone) };
        let mut buffer = Buffer::new();
        let bytes = buffer.read(fd)?;
        match understand(bytes) {
            Seen::Record(facts, record) if facts.incarnation == incarnation => {
                let before = Visit { accessed: record.accessed, deadline: record.deadline };
                let after = later(before, visit);
                if after != before {
                    write_visit(fd, bytes, &facts, after).map_err(failed("recording a visit"))?;
                }
            }
            Seen::Record(..) => return Err(StoreError::Gone),
            Seen::Newer(format) => return Err(StoreError::Newer(format)),
            Seen::Damaged | Seen::Unfinished => return Err(StoreError::Corrupt),
        }
        Ok(opened)
    }

    /// Under the mutex: writes `slot` as the next version, into `file` or one that takes its place.
    /// What has to be synced besides the file is returned.
    fn write(
        &self,
        name: &Name,
        file: &mut OpenFile,
        mut slot: Vec<u8>,
    ) -> Result<Option<OwnedFd>, StoreError> {
        let sequence = sequence_after(file.facts.sequence);
        seal_slot(&mut slot, sequence, file.facts.incarnation);
        if file.facts.has_room(slot.len() - SLOT_HEAD) {
            let (facts, offset) = file.facts.next(sequence);
            write_at(&file.fd, &slot, offset).map_err(failed("writing a record"))?;
            (file.facts, file.known_at) = (facts, Time(sequence));
            return Ok(None);
        }
        let shard = self.tree.shard(name).map_err(failed("opening a subdirectory"))?;
        file.known_at = Time(sequence);
        (file.fd, file.facts) = self.grow(name, &shard, &slot).inspect_err(|_| {
            self.tree.drop_growing(&shard, name);
        })?;
        Ok(Some(shard))
    }

    /// Under the mutex: writes `slot`, which holds `record`, and keeps the index of users right.
    pub(super) fn write_record(
        &self,
        key: &StoreKey,
        file: &mut OpenFile,
        (slot, record): (Vec<u8>, &Record),
    ) -> Result<Option<OwnedFd>, StoreError> {
        let name = Name::new(key);
        let mark = mark_of(record);
        if mark == file.mark {
            return self.write(&name, file, slot);
        }
        // Read again instead of kept: few records lose their user, and each but once.
        let before = Entry::of(key, &self.current(&name, record.incarnation)?.1);
        let after = Entry::of(key, record);
        self.enlist(after)?;
        let shard = self.write(&name, file, slot)?;
        file.mark = mark;
        if before != after {
            self.strike(before);
        }
        Ok(shard)
    }

    fn grow(
        &self,
        name: &Name,
        shard: &OwnedFd,
        slot: &[u8],
    ) -> Result<(OwnedFd, Facts), StoreError> {
        let (bytes, facts) = build_file(slot);
        let fd = self.tree.create_growing(shard, name).map_err(failed("making a larger file"))?;
        write_at(&fd, &bytes, 0).map_err(failed("writing a larger file"))?;
        if self.options.sync {
            fdatasync(&fd).map_err(failed("syncing a larger file"))?;
        }
        match self.tree.settle_growing(shard, name) {
            Ok(()) => Ok((fd, facts)),
            Err(Errno::NOENT) => Err(StoreError::Gone),
            Err(errno) => Err(failed("putting a larger file in place")(errno)),
        }
    }

    /// Without the mutex: makes what was written last, if syncing is asked for.
    pub(super) fn sync(
        &self,
        file: Option<&OwnedFd>,
        dir: Option<&OwnedFd>,
    ) -> Result<(), StoreError> {
        if !self.options.sync {
            return Ok(());
        }
        if let Some(file) = file {
            fdatasync(file).map_err(failed("syncing a record"))?;
        }
        if let Some(dir) = dir {
            fsync(dir).map_err(failed("syncing a directory"))?;
        }
        Ok(())
    }

    /// Under the mutex: removes a record's file, and returns the subdirectory it was in.
    pub(super) fn remove(&self, name: &Name) -> Result<Option<OwnedFd>, StoreError> {
        match self.tree.unlink(name) {
            Err(errno) if is_foreign(errno) => Err(StoreError::Corrupt),
            other => other.map_err(failed("removing a record")),
        }
    }

    /// Under the mutex: removes a file that could not be written whole, unless somebody did so already.
    pub(super) fn take_back(&self, name: &Name, fd: &OwnedFd) -> Result<(), StoreError> {
        if self.is_in_place(fd)? {
            self.remove(name)?;
        }
        Ok(())
    }
}

/// Errors that say: what lies there was not put there by us.
pub(super) fn is_foreign(errno: Errno) -> bool {
    matches!(errno, Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::XDEV)
}

/// When a file was written last.
fn changed_at(stat: &Stat) -> Time {
    let seconds = Time::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    Time(seconds.0.saturating_add(stat.st_mtime_nsec as u64 / 1000))
}
