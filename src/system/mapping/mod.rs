//! A file of words that processes map and share, and that outlives them.
//!
//! One server has it: it holds a lock on the file, which lasts as long as it or a process that it forked
//! has the file open or mapped. Others may look at it without one ([`View`]).

mod error;
mod file;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, FileType, Mode, OFlags};

pub use self::error::FileError;
use self::error::Problem;
pub use self::file::SharedFile;
use super::shared::{load, store};
use crate::core::lock::host::Words;

/// Maps a file, never to be unmapped.
fn map(fd: &OwnedFd, bytes: u64, access: i32) -> io::Result<&'static [AtomicU64]> {
    let count = usize::try_from(bytes / 8).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // SAFETY: a fresh mapping at an address the kernel chooses, of a file that is open.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            (count * 8).max(1),
            access,
            libc::MAP_SHARED,
            fd.as_raw_fd(),
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is page-aligned, `count` words long and never unmapped. Other processes write
    // to it, as atomics allow, and have no state of these elsewhere.
    Ok(unsafe { std::slice::from_raw_parts(at.cast(), count) })
}

/// The words of a file, for who has it locked.
#[derive(Clone)]
pub struct Mapping {
    words: &'static [AtomicU64],
}

impl Words for Mapping {
    fn load(&self, index: usize) -> u64 {
        load(self.words, index)
    }

    fn store(&self, index: usize, value: u64) {
        store(self.words, index, value);
    }

    fn add(&self, index: usize, value: u64) {
        if let Some(word) = self.words.get(index) {
            word.fetch_add(value, Ordering::Relaxed);
        }
    }
}

/// The words of a file that somebody else may be writing: to be read. Writing does nothing.
///
/// Who shortens the file ends whoever looks at it then; servers do so at a start only.
pub struct View {
    words: &'static [AtomicU64],
}

impl View {
    /// Maps the file as it is.
    pub fn open(path: &Path) -> Result<View, FileError> {
        let error = |doing, cause: io::Error| FileError {
            path: path.to_owned(),
            problem: Problem::System { doing, cause },
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = fs::open(path, flags, Mode::empty()).map_err(|it| error("opening", it.into()))?;
        let stat = fs::fstat(&fd).map_err(|it| error("looking at", it.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileError { path: path.to_owned(), problem: Problem::NotAFile });
        }
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let words = map(&fd, bytes, libc::PROT_READ).map_err(|it| error("mapping", it))?;
        Ok(View { words })
    }

    /// How long it is.
    pub fn bytes(&self) -> u64 {
        std::mem::size_of_val(self.words) as u64
    }
}

impl Words for View {
    fn load(&self, index: usize) -> u64 {
        load(self.words, index)
    }

    fn store(&self, _: usize, _: u64) {}

    fn add(&self, _: usize, _: u64) {}
}
