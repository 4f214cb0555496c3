//! APR's DBM: whatever database libraries APR has drivers for, behind one interface.
//!
//! A handle keeps parts of the file in memory and notices nothing of what others write. So each use opens
//! the file and closes it again, and one process at a time may use it at all: the caller sees to that.
//! A process that is killed while it writes can leave the file damaged.

use std::borrow::Cow;
use std::collections::BinaryHeap;
use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use super::sys;
use super::table::bytes_of;
use crate::core::database::{Change, Database, DatabaseError, Key, Size, Traits, View};

// Within httpd the library is there; a test has to bring it.
#[cfg(test)]
#[link(name = "aprutil-1")]
#[link(name = "apr-1")]
unsafe extern "C" {}

const OPENING: &str = "opening the database";
const READING: &str = "reading the database";
const WRITING: &str = "writing the database";
const SYNCING: &str = "bringing the database to the disk";

/// Most bytes of a key and its value in SDBM.
const SDBM_PAIR_MAX: usize = 1008;
/// Room on the disk without which nothing is written: some libraries tell nobody that they could not.
const ROOM_MIN: u64 = 1 << 20;
/// Where statuses of the libraries themselves begin.
const LIBRARY_ERRORS: i32 = 120_000;

/// A pool of its own. Its parent is APR's, which lives as long as the process: the drivers that are
/// loaded by the first use live there.
struct OwnPool(*mut sys::apr_pool_t);

impl OwnPool {
    fn new() -> OwnPool {
        let mut pool = std::ptr::null_mut();
        // SAFETY: APR is initialized; it ends the process itself when there is no memory.
        unsafe {
            sys::apr_pool_create_ex(&mut pool, std::ptr::null_mut(), None, std::ptr::null_mut())
        };
        OwnPool(pool)
    }
}

impl Drop for OwnPool {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody uses what is in it any more.
        unsafe { sys::apr_pool_destroy(self.0) };
    }
}

/// The files that a database of this type at `path` has; none if APR has no such type here.
///
/// # Errors
/// The path has a NUL in it.
pub fn files(kind: &CStr, path: &Path) -> Result<Option<Vec<PathBuf>>, DatabaseError> {
    let path = c_path(path)?;
    let pool = OwnPool::new();
    let (mut first, mut second) = (std::ptr::null(), std::ptr::null());
    // SAFETY: live strings and places for two more, which the pool keeps.
    let status = unsafe {
        sys::apr_dbm_get_usednames_ex(pool.0, kind.as_ptr(), path.as_ptr(), &mut first, &mut second)
    };
    if status != 0 {
        return Ok(None);
    }
    // SAFETY: null, or strings in the pool, which lives.
    let names = [first, second].map(|name| unsafe { bytes_of(name) });
    let path = |name: &[u8]| PathBuf::from(String::from_utf8_lossy(name).into_owned());
    Ok(Some(names.into_iter().flatten().map(path).collect()))
}

/// Most bytes of a value in a database with these files, if there is such a limit.
pub fn most(files: &[PathBuf]) -> Option<usize> {
    // By its two files: the type `default` may be it.
    let is_dir = |file: &PathBuf| file.extension().is_some_and(|end| end == "dir");
    let sdbm = files.len() == 2 && files.first().is_some_and(is_dir);
    sdbm.then_some(SDBM_PAIR_MAX - size_of::<Key>())
}

/// A database of one of APR's types.
pub struct AprDbm {
    kind: &'static CStr,
    path: CString,
    files: Vec<PathBuf>,
    /// Most bytes of a value.
    most: Option<usize>,
    /// Whether changes are brought to the disk.
    synced: bool,
}

impl AprDbm {
    /// The database of this type at `path`, made if there is none.
    ///
    /// # Errors
    /// APR has no such type, or the file cannot be opened or is none of it.
    pub fn open(kind: &'static CStr, path: &Path) -> Result<AprDbm, DatabaseError> {
        let found = files(kind, path)?;
        let files = found.ok_or_else(|| DatabaseError::Failed {
            doing: OPENING,
            cause: io::Error::new(io::ErrorKind::Unsupported, "APR has no driver for its type"),
        })?;
        let most = most(&files);
        let database = AprDbm { kind, path: c_path(path)?, files, most, synced: false };
        Handle::open(&database, sys::APR_DBM_RWCREATE)?;
        Ok(database)
    }

    /// The same database, whose changes [`Database::sync`] brings to the disk from now on; that its files
    /// are there is brought there at once. A power cut in the middle of a change can damage it all the same:
    /// the libraries write in place.
    ///
    /// # Errors
    /// The directory of the files cannot be synced.
    pub fn synced(self) -> Result<AprDbm, DatabaseError> {
        if let Some(directory) = self.files.first().and_then(|file| file.parent()) {
            sync(directory)?;
        }
        Ok(AprDbm { synced: true, ..self })
    }

    fn has_room(&self, bytes: usize) -> Result<(), DatabaseError> {
        let needed = ROOM_MIN.saturating_add(bytes as u64 * 4);
        let directory = self.files.first().and_then(|file| file.parent());
        let room = directory.and_then(|directory| rustix::fs::statvfs(directory).ok());
        match room {
            Some(room) if room.f_bavail.saturating_mul(room.f_frsize) < needed => {
                Err(DatabaseError::failed(WRITING)(rustix::io::Errno::NOSPC))
            }
            _ => Ok(()),
        }
    }
}

fn sync(path: &Path) -> Result<(), DatabaseError> {
    let file = File::open(path).map_err(DatabaseError::failed(SYNCING))?;
    file.sync_all().map_err(DatabaseError::failed(SYNCING))
}

fn c_path(path: &Path) -> Result<CString, DatabaseError> {
    CString::new(path.as_os_str().as_encoded_bytes())
        .map_err(DatabaseError::failed("naming the database"))
}

impl Database for AprDbm {
    type View<'a> = Handle<'a>;
    type Change<'a> = Handle<'a>;

    fn traits(&self) -> Traits {
        Traits { survives_kill: false, reads_beside_writes: false }
    }

    fn view<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Handle<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let there = self.files.iter().all(|file| file.exists());
        // Taken away while the server runs: it is made anew.
        let mode = if there { sys::APR_DBM_READONLY } else { sys::APR_DBM_RWCREATE };
        work(&Handle::open(self, mode)?)
    }

    fn change<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&mut Handle<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        work(&mut Handle::open(self, sys::APR_DBM_RWCREATE)?)
    }

    /// Each change has closed its files: the library keeps nothing back.
    fn sync(&self) -> Result<(), DatabaseError> {
        if !self.synced {
            return Ok(());
        }
        self.files.iter().try_for_each(|file| sync(file))
    }

    fn size(&self) -> Result<Size, DatabaseError> {
        let mut bytes = 0;
        for file in &self.files {
            let found = std::fs::metadata(file);
            bytes += found.map_err(DatabaseError::failed("looking at the database"))?.len();
        }
        Ok(Size { bytes: Some(bytes), ..Size::default() })
    }

    fn tidy(&self) -> Result<(), DatabaseError> {
        Ok(())
    }
}

/// An open database.
pub struct Handle<'a> {
    database: &'a AprDbm,
    dbm: *mut sys::apr_dbm_t,
    // Closed before it goes.
    _pool: OwnPool,
    /// For one thread: what a fetch returns is in the handle.
    _one: PhantomData<*mut ()>,
}

impl<'a> Handle<'a> {
    fn open(database: &'a AprDbm, mode: u32) -> Result<Handle<'a>, DatabaseError> {
        let pool = OwnPool::new();
        let mut dbm = std::ptr::null_mut();
        // SAFETY: live strings; the pool outlives the handle.
        let status = unsafe {
            sys::apr_dbm_open_ex(
                &mut dbm,
                database.kind.as_ptr(),
                database.path.as_ptr(),
                mode as i32,
                (sys::APR_FPROT_UREAD | sys::APR_FPROT_UWRITE) as i32,
                pool.0,
            )
        };
        if status != 0 || dbm.is_null() {
            return Err(DatabaseError::Failed { doing: OPENING, cause: error_of(status) });
        }
        Ok(Handle { database, dbm, _pool: pool, _one: PhantomData })
    }

    /// What a call on the handle said.
    fn checked(&self, doing: &'static str, status: i32) -> Result<(), DatabaseError> {
        if status == 0 {
            return Ok(());
        }
        let mut text = [0; 160];
        // SAFETY: a live handle and room of the size that is said.
        let said = unsafe {
            sys::apr_dbm_geterror(
                self.dbm,
                std::ptr::null_mut(),
                text.as_mut_ptr(),
                text.len() as sys::apr_size_t,
            )
        };
        // SAFETY: null, or the text, ended by a NUL.
        let said = unsafe { bytes_of(said) }.map(String::from_utf8_lossy).unwrap_or_default();
        let cause = match error_of(status) {
            cause if cause.raw_os_error().is_some() || said.is_empty() => cause,
            _ => io::Error::other(said.into_owned()),
        };
        Err(DatabaseError::Failed { doing, cause })
    }

    /// The bytes of a datum; none if it has none.
    ///
    /// # Safety
    /// A call on the handle has filled it, and the next one comes after the last use of the result.
    unsafe fn bytes(&self, datum: &sys::apr_datum_t) -> Option<&[u8]> {
        if datum.dptr.is_null() {
            return None;
        }
        // SAFETY: as the caller says, the library points to so many bytes.
        Some(unsafe { std::slice::from_raw_parts(datum.dptr.cast(), datum.dsize) })
    }

    fn fetch(&self, key: &Key) -> Result<Option<Vec<u8>>, DatabaseError> {
        let mut found = empty();
        // SAFETY: a live handle, a live key that the library reads, a place for the value.
        let status = unsafe { sys::apr_dbm_fetch(self.dbm, datum(key), &mut found) };
        self.checked(READING, status)?;
        // SAFETY: just filled, and copied at once.
        let value = unsafe { self.bytes(&found) }.map(<[u8]>::to_vec);
        self.free(found);
        Ok(value)
    }

    fn free(&self, datum: sys::apr_datum_t) {
        if !datum.dptr.is_null() {
            // SAFETY: of this handle, and not used any more.
            unsafe { sys::apr_dbm_freedatum(self.dbm, datum) };
        }
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, closed here alone; its pool is destroyed after it.
        unsafe { sys::apr_dbm_close(self.dbm) };
    }
}

fn datum(bytes: &[u8]) -> sys::apr_datum_t {
    // The libraries do not write there: their interface is older than `const`.
    let dptr = bytes.as_ptr().cast::<c_char>().cast_mut();
    sys::apr_datum_t { dptr, dsize: bytes.len() as sys::apr_size_t }
}

fn empty() -> sys::apr_datum_t {
    sys::apr_datum_t { dptr: std::ptr::null_mut(), dsize: 0 }
}

/// A status of APR, or of the library under it.
fn error_of(status: i32) -> io::Error {
    match status {
        0 => io::Error::other("the library gave nothing and no reason"),
        1..20_000 => io::Error::from_raw_os_error(status),
        _ => io::Error::other(format!(
            "error {} of the library: damaged, or no database of this type",
            status - LIBRARY_ERRORS
        )),
    }
}

impl View for Handle<'_> {
    fn get(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, DatabaseError> {
        Ok(self.fetch(key)?.map(Cow::Owned))
    }

    fn keys_after(&self, after: Option<&Key>, most: usize) -> Result<Vec<Key>, DatabaseError> {
        // The library's order is no order: of all keys the smallest ones stay.
        let mut smallest = BinaryHeap::new();
        let mut at = empty();
        // SAFETY: a live handle and a place for a key.
        let mut status = unsafe { sys::apr_dbm_firstkey(self.dbm, &mut at) };
        while status != END_OF_FILE {
            self.checked(READING, status)?;
            // SAFETY: just filled, and copied before the next call.
            let Some(bytes) = (unsafe { self.bytes(&at) }) else { break };
            if let Ok(key) = Key::try_from(bytes)
                && after.is_none_or(|after| key > *after)
            {
                smallest.push(key);
                if smallest.len() > most {
                    smallest.pop();
                }
            }
            let before = sys::apr_datum_t { ..at };
            // SAFETY: as above; GDBM reads from `at` behind which key it is to go on.
            status = unsafe { sys::apr_dbm_nextkey(self.dbm, &mut at) };
            self.free(before);
        }
        Ok(smallest.into_sorted_vec())
    }

    fn marked(&self, _mark: u64) -> Result<Option<Vec<Key>>, DatabaseError> {
        Ok(None)
    }
}

/// `APR_EOF`: bindgen cannot evaluate the macro.
const END_OF_FILE: i32 = 70014;

impl Change for Handle<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), DatabaseError> {
        if let Some(most) = self.database.most.filter(|most| value.len() > *most) {
            return Err(DatabaseError::TooLarge(most));
        }
        self.database.has_room(value.len())?;
        // SAFETY: a live handle; key and value are read during the call.
        let status = unsafe { sys::apr_dbm_store(self.dbm, datum(key), datum(value)) };
        if status == rustix::io::Errno::NOSPC.raw_os_error() && self.database.most.is_some() {
            // The disk has room, it was asked: the pages that SDBM may split do not.
            return Err(DatabaseError::Full("what SDBM can keep together in one page"));
        }
        self.checked(WRITING, status)
    }

    fn remove(&mut self, key: &Key) -> Result<(), DatabaseError> {
        if self.fetch(key)?.is_none() {
            return Ok(());
        }
        // SAFETY: a live handle; the key is read during the call.
        let status = unsafe { sys::apr_dbm_delete(self.dbm, datum(key)) };
        self.checked(WRITING, status)
    }

    fn mark(&mut self, _mark: u64, _key: &Key) -> Result<(), DatabaseError> {
        Ok(())
    }

    fn unmark(&mut self, _mark: u64, _key: &Key) -> Result<(), DatabaseError> {
        Ok(())
    }
}
