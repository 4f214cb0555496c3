//! LMDB, by the crate `heed`: one file, mapped into every process, and a lock file beside it.
//!
//! - Opened after a fork, never before: its locks belong to a process.
//! - Written by `pwrite`, never through the map: a full disk is an error, not a signal.
//! - Values are in the unnamed database, marks in a named one, whose root is kept as a value under its
//!   name. A commit so writes one page less than with two named ones. No key has that name's length.
//! - Bounded by the pages in use; the map has some more, without which a full one could not even be
//!   emptied.
//! - A thread keeps its place in the table of readers, so that reading costs no system call. Places of
//!   dead processes are cleared when the file is opened and by [`Database::tidy`].

mod change;
pub mod check;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use heed::types::Bytes;
use heed::{CommitOrAbort, DatabaseFlags, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, WithTls};

pub use self::change::{LmdbChange, LmdbView};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::core::database::{Database, DatabaseError, Size, Traits};

/// Name of the database of marks.
const MARKS: &str = "marks";

/// Room for changes beside a quarter of what is asked for; any system's pages are a part of it.
const RESERVE: usize = 1 << 20;

/// Most bytes of a database if none are said: address space, not disk.
pub const MAP: u64 = 64 << 30;

/// Threads that look at once beside those that serve requests: cleanup, HTTP/2, an older generation, and
/// programs beside the server.
const MORE_READERS: u32 = 64;

/// How many threads may look at once where a server works on so many requests.
pub fn readers(workers: u32) -> u32 {
    workers.saturating_mul(4).saturating_add(MORE_READERS)
}

/// A table of bytes. It is a number to LMDB, good as long as its environment is open.
type Table = heed::Database<'static, Bytes, Bytes>;

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Most bytes of pages in use. A quarter more of address space is reserved, and of file used at most,
    /// since removing something takes pages as well before it gives some back.
    pub map: usize,
    /// Threads of all processes that may look at once. The first to open the file decides.
    pub readers: u32,
    /// Whether a change is on the disk before it counts.
    pub sync: bool,
    /// What [`DatabaseError::Full`] says when the map is full.
    pub full: &'static str,
}

/// Most bytes of `asked` that this process can reserve: beside the map there is other memory.
pub fn affordable(asked: u64) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current;
    let room = limit.map_or(u64::MAX, |limit| limit / 4);
    let most = if cfg!(target_pointer_width = "64") { usize::MAX as u64 } else { 1 << 30 };
    usize::try_from(asked.min(room).min(most)).unwrap_or(usize::MAX)
}

/// The end of the name of the file beside the database that holds its locks.
pub const LOCK_END: &str = "-lock";

/// Whether no process has the database `name` in `dir` open. Not for a process that has it itself.
pub fn is_closed(dir: impl AsFd, name: &str) -> io::Result<bool> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir, format!("{name}{LOCK_END}"), flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(true),
        other => other?,
    };
    // Whoever has it open holds a lock on a byte of that file.
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// A database in a file.
pub struct Lmdb {
    path: PathBuf,
    options: Options,
    /// None after an error that LMDB does not get over; the next use opens it again.
    opened: RwLock<Option<Arc<Opened>>>,
}

/// An open environment with its tables.
struct Opened {
    env: Env<WithTls>,
    values: Table,
    marks: Table,
    /// Bytes of a page.
    page: u64,
    /// [`Options::map`]
    most: u64,
}

impl Opened {
    /// Bytes of the pages in use; those of trees within the marks are left out.
    fn used(&self, txn: &RoTxn<'_>) -> heed::Result<u64> {
        let mut pages = 2;
        for table in [&self.values, &self.marks] {
            let stat = table.stat(txn)?;
            pages += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        Ok(self.page.saturating_mul(pages as u64))
    }

    /// Whether the file is so large that its pages in use have to be counted.
    fn is_near_its_end(&self) -> bool {
        let pages = self.env.info().last_page_number as u64 + 1;
        pages.saturating_mul(self.page) >= self.most
    }
}

impl Lmdb {
    /// Opens the database in the file `path`, and makes it if there is none. A process opens a file once
    /// only, and the caller sees to it that one process at a time makes it. The first of them asks
    /// [`check::damage`] before.
    ///
    /// # Errors
    /// It cannot be opened, is none, or is not this user's alone.
    pub fn open(path: PathBuf, options: Options) -> Result<Lmdb, DatabaseError> {
        let lmdb = Lmdb { path, options, opened: RwLock::new(None) };
        lmdb.opened()?;
        Ok(lmdb)
    }

    fn opened(&self) -> Result<Arc<Opened>, DatabaseError> {
        if let Some(opened) = &*self.opened.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(opened));
        }
        let mut place = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Some(opened) => Ok(Arc::clone(opened)),
            None => {
                let opened = Arc::new(self.open_environment()?);
                Ok(Arc::clone(place.insert(opened)))
            }
        }
    }

    fn open_environment(&self) -> Result<Opened, DatabaseError> {
        let mut options = EnvOpenOptions::new();
        let map = self.options.map.saturating_add(self.options.map / 4).saturating_add(RESERVE);
        let map = map - map % RESERVE;
        options.map_size(map).max_readers(self.options.readers).max_dbs(1);
        let sync = if self.options.sync { EnvFlags::empty() } else { EnvFlags::NO_SYNC };
        // SAFETY: without syncing the file may be damaged by a power cut only; who opens it after one
        // has been told so (`Options::sync`).
        unsafe { options.flags(EnvFlags::NO_SUB_DIR | sync) };
        self.is_own()?;
        // SAFETY: the file, or the directory it will be made in, is this user's alone, and every program
        // of this project changes it by LMDB only. What else this user's programs do to it is a damage
        // that mapping it has to live with, as with every file that is mapped.
        let env = unsafe { options.open(&self.path) };
        let env = env.map_err(|cause| self.failed("opening the database", cause))?;
        let tables = tables(&env).map_err(|cause| self.failed("opening the database", cause))?;
        let (values, marks) = tables.ok_or_else(|| DatabaseError::Failed {
            doing: "opening the database",
            cause: io::Error::from(io::ErrorKind::InvalidData),
        })?;
        let page = u64::from(env.unnamed_database_stat().page_size);
        let opened = Opened { env, values, marks, page, most: self.options.map as u64 };
        self.clear_dead_readers(&opened)?;
        Ok(opened)
    }

    /// Whether the file is this user's alone.
    fn is_own(&self) -> Result<(), DatabaseError> {
        let doing = "looking at the database";
        let stat = match rustix::fs::lstat(&self.path) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(DatabaseError::failed(doing))?,
        };
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let us = rustix::process::geteuid().as_raw();
        if is_file && stat.st_uid == us && stat.st_mode & 0o077 == 0 {
            return Ok(());
        }
        Err(DatabaseError::failed(doing)(Errno::PERM))
    }

    fn clear_dead_readers(&self, opened: &Opened) -> Result<(), DatabaseError> {
        let cleared = opened.env.clear_stale_readers();
        cleared.map(drop).map_err(|cause| self.failed("clearing dead readers", cause))
    }

    fn read<'a>(&self, opened: &'a Opened) -> Result<RoTxn<'a, WithTls>, DatabaseError> {
        match opened.env.read_txn() {
            Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                self.clear_dead_readers(opened)?;
                opened.env.read_txn()
            }
            other => other,
        }
        .map_err(|cause| self.failed("beginning to read", cause))
    }

    /// The error as others know it. After one that LMDB does not get over, the environment is given up.
    fn failed(&self, doing: &'static str, cause: heed::Error) -> DatabaseError {
        if matches!(cause, heed::Error::Mdb(MdbError::Panic)) {
            *self.opened.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        translate(doing, self.options.full, cause)
    }
}

fn translate(doing: &'static str, full: &'static str, cause: heed::Error) -> DatabaseError {
    use MdbError::{Corrupted, Invalid, MapFull, PageNotFound, VersionMismatch};
    let cause = match cause {
        heed::Error::Io(cause) => cause,
        heed::Error::Mdb(MapFull) => return DatabaseError::Full(full),
        heed::Error::Mdb(Corrupted | Invalid | PageNotFound | VersionMismatch) => {
            io::Error::new(io::ErrorKind::InvalidData, format!("the file is damaged ({cause})"))
        }
        cause => io::Error::other(cause.to_string()),
    };
    DatabaseError::Failed { doing, cause }
}

/// The tables of values and of marks; made if they are missing.
fn tables(env: &Env<WithTls>) -> heed::Result<Option<(Table, Table)>> {
    let flags = DatabaseFlags::DUP_SORT | DatabaseFlags::DUP_FIXED;
    let found = env.open_databases_and_commit(env.read_txn()?, |opener, txn| {
        let values = opener.open_database(txn, None)?;
        let mut marks = opener.database_options().types::<Bytes, Bytes>();
        let marks = marks.name(MARKS).flags(flags).open(txn)?;
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((values, marks)))
    })?;
    if let Some((Some(values), Some(marks))) = found.commit() {
        return Ok(Some((values, marks)));
    }
    let made = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
        let values = opener.create_database(txn, None)?;
        let mut marks = opener.database_options().types::<Bytes, Bytes>();
        let marks = marks.name(MARKS).flags(flags).create(txn)?;
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit((values, marks)))
    })?;
    Ok(made.commit())
}

impl Database for Lmdb {
    type View<'a> = LmdbView<'a>;
    type Change<'a> = LmdbChange<'a>;

    fn traits(&self) -> Traits {
        Traits { survives_kill: true, reads_beside_writes: true }
    }

    fn view<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&LmdbView<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.opened()?;
        let txn = self.read(&opened)?;
        work(&LmdbView::new(&txn, &opened))
    }

    fn change<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&mut LmdbChange<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let opened = self.opened()?;
        let txn = opened.env.write_txn();
        let txn = txn.map_err(|cause| self.failed("beginning to write", cause))?;
        let mut change = LmdbChange::new(txn, &opened, self.options.full);
        let done = work(&mut change)?;
        change.commit().map_err(|cause| self.failed("writing the database", cause))?;
        Ok(done)
    }

    fn size(&self) -> Result<Size, DatabaseError> {
        let opened = self.opened()?;
        let failed = |cause| self.failed("asking for the size of the database", cause);
        let txn = self.read(&opened)?;
        let keys = opened.values.len(&txn).map_err(failed)?;
        let bytes = opened.used(&txn).map_err(failed)?;
        // The name of the marks is a key as well.
        let keys = keys.saturating_sub(1);
        Ok(Size { keys: Some(keys), bytes: Some(bytes), capacity: Some(opened.most) })
    }

    fn tidy(&self) -> Result<(), DatabaseError> {
        self.clear_dead_readers(&*self.opened()?)
    }
}
