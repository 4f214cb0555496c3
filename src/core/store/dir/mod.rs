//! The data directory of stores that keep files: made, checked and locked, whatever lies in it.
//!
//! Whoever can write there is the server's user, and what that user plants must lead nowhere else:
//! not for the server, and not for a tool that root starts.

mod data_dir;
mod error;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Result, retry_on_intr};

pub use self::data_dir::{DataDir, DirLock, Owner};
pub use self::error::DirError;

/// Mode of every file.
pub const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
/// Mode of every directory.
pub const DIR_MODE: Mode = Mode::from_raw_mode(0o700);
/// Where unreadable records are moved.
pub const CORRUPT: &str = "corrupt";
/// Most unreadable records that are kept aside; further ones are removed.
pub const CORRUPT_MAX: usize = 100;

/// How a directory is opened.
pub const DIR_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory itself, not what a link in its place leads to.
pub fn open_dir(at: impl AsFd, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd> {
    retry_on_intr(|| fs::openat(&at, name, DIR_FLAGS, Mode::empty()))
}

/// Whether something is a regular file.
pub fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// How many entries a directory has.
pub fn entries(dir: &OwnedFd) -> Result<usize> {
    let mut count = 0;
    for entry in fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        count += usize::from(name != b"." && name != b"..");
    }
    Ok(count)
}

/// Keeps the bytes of an unreadable record as a file of this name among those set aside in `root`;
/// drops them if [`CORRUPT_MAX`] are there already.
pub fn keep_aside(root: &OwnedFd, name: &str, bytes: &[u8]) -> Result<()> {
    let aside = open_dir(root, CORRUPT)?;
    if entries(&aside)? >= CORRUPT_MAX {
        return Ok(());
    }
    // What lies there under the name already was damaged before, and goes.
    let _ = fs::unlinkat(&aside, name, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = retry_on_intr(|| fs::openat(&aside, name, flags, FILE_MODE))?;
    let mut left = bytes;
    while !left.is_empty() {
        let done = retry_on_intr(|| rustix::io::write(&file, left))?;
        if done == 0 {
            break;
        }
        left = left.get(done..).unwrap_or_default();
    }
    Ok(())
}
