//! The files below the data directory, each reached from one descriptor without following a link.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::{Errno, Result, retry_on_intr};

use crate::core::store::StoreKey;
use crate::core::store::dir::{CORRUPT, DIR_FLAGS, DIR_MODE, FILE_MODE, entries, open_dir};

/// End of the name of a file that is to take the place of one that became too small. What a killed
/// process left of it is never read.
pub const GROWING: &[u8] = b".new";

/// How a file is opened for reading and writing.
pub const FILE_FLAGS: OFlags = OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a record lies: `xx/HASH`, in hexadecimal digits of its key; `xx` are the first two.
pub struct Name([u8; 3 + 64]);

impl Name {
    /// The place of `key`.
    pub fn new(key: &StoreKey) -> Name {
        let hex = key.digits();
        let mut name = [b'/'; 3 + 64];
        name[..2].copy_from_slice(&hex[..2]);
        name[3..].copy_from_slice(&hex);
        Name(name)
    }

    /// The subdirectory.
    pub fn shard(&self) -> &[u8] {
        &self.0[..2]
    }

    /// The name in the subdirectory.
    pub fn leaf(&self) -> &[u8] {
        &self.0[3..]
    }

    /// The name in the subdirectory of what is to take the record's place.
    pub fn growing(&self) -> Vec<u8> {
        [self.leaf(), GROWING].concat()
    }
}

/// The data directory.
pub struct Tree {
    root: OwnedFd,
    /// False once the kernel, or what confines us, turned out to have no `openat2`.
    has_openat2: AtomicBool,
}

impl Tree {
    /// The tree below an open directory.
    pub fn new(root: OwnedFd) -> Tree {
        Tree { root, has_openat2: AtomicBool::new(true) }
    }

    /// The directory itself.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Opens a record's file for reading and writing.
    pub fn open(&self, name: &Name) -> Result<OwnedFd> {
        self.open_below(&name.0, FILE_FLAGS)
    }

    /// Makes a record's file, and its subdirectory if that is the first one there.
    pub fn create(&self, name: &Name) -> Result<OwnedFd> {
        let flags = FILE_FLAGS | OFlags::CREATE | OFlags::EXCL;
        match self.open_below(&name.0, flags) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        make_dir(&self.root, name.shard())?;
        self.open_below(&name.0, flags)
    }

    /// Makes this tree behave as on a kernel without `openat2`.
    #[cfg(test)]
    pub fn pretend_old_kernel(&self) {
        self.has_openat2.store(false, Ordering::Relaxed);
    }

    /// Opens what lies at `path`: each part of it itself, not what a link in its place leads to.
    pub fn open_below(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        if !self.has_openat2.load(Ordering::Relaxed) {
            return self.open_by_steps(path, flags);
        }
        let mode = if flags.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match retry_on_intr(|| fs::openat2(&self.root, path, flags, mode, inside)) {
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                let opened = self.open_by_steps(path, flags);
                // A file may refuse with EPERM too; that says nothing about the call.
                if errno == Errno::NOSYS || !matches!(opened, Err(Errno::PERM)) {
                    self.has_openat2.store(false, Ordering::Relaxed);
                }
                opened
            }
            opened => opened,
        }
    }

    /// Opens the directory at `path` in the same way.
    pub fn open_dir_below(&self, path: &[u8]) -> Result<OwnedFd> {
        self.open_below(path, DIR_FLAGS)
    }

    fn open_by_steps(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let mut parts = path.rsplitn(2, |&byte| byte == b'/');
        let leaf = parts.next().unwrap_or_default();
        let dir = parts.next().map(|dirs| self.dir_by_steps(dirs)).transpose()?;
        let dir = dir.as_ref().unwrap_or(&self.root);
        retry_on_intr(|| fs::openat(dir, leaf, flags, FILE_MODE))
    }

    fn dir_by_steps(&self, path: &[u8]) -> Result<OwnedFd> {
        let mut parts = path.split(|&byte| byte == b'/');
        let first = open_dir(&self.root, parts.next().unwrap_or_default())?;
        parts.try_fold(first, |dir, part| open_dir(&dir, part))
    }

    /// Opens the subdirectory of a record.
    pub fn shard(&self, name: &Name) -> Result<OwnedFd> {
        open_dir(&self.root, name.shard())
    }

    /// Whether something lies in a record's place.
    pub fn has(&self, name: &Name) -> Result<bool> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self.open_below(&name.0, flags) {
            Ok(_) | Err(Errno::LOOP) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Removes a record's file, and returns the subdirectory it was in; none if there was no file.
    pub fn unlink(&self, name: &Name) -> Result<Option<OwnedFd>> {
        let shard = match self.shard(name) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        match fs::unlinkat(&shard, name.leaf(), AtFlags::empty()) {
            Ok(()) => Ok(Some(shard)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Makes the file that is to take the place of a record's, in `shard`.
    pub fn create_growing(&self, shard: &OwnedFd, name: &Name) -> Result<OwnedFd> {
        let growing = name.growing();
        // Left behind by a killed process: whoever grows a record holds its mutex.
        match fs::unlinkat(shard, &growing, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let flags = FILE_FLAGS | OFlags::CREATE | OFlags::EXCL;
        retry_on_intr(|| fs::openat(shard, &growing, flags, FILE_MODE))
    }

    /// Puts that file into the record's place. Fails with `NOENT` if the record is gone: an
    /// exchange cannot bring back what was deleted meanwhile, as a plain rename would.
    pub fn settle_growing(&self, shard: &OwnedFd, name: &Name) -> Result<()> {
        let growing = name.growing();
        let exchange = RenameFlags::EXCHANGE;
        match fs::renameat_with(shard, &growing, shard, name.leaf(), exchange) {
            // Unlinked at once: a descriptor kept from a load tells by its count of links that the
            // file it leads to was replaced.
            Ok(()) => match fs::unlinkat(shard, &growing, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                other => other,
            },
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::statat(shard, name.leaf(), AtFlags::SYMLINK_NOFOLLOW)?;
                fs::renameat(shard, &growing, shard, name.leaf())
            }
            Err(errno) => Err(errno),
        }
    }

    /// Removes that file again.
    pub fn drop_growing(&self, shard: &OwnedFd, name: &Name) {
        // What stays is overwritten by the next growth, or cleaned up by age.
        let _ = fs::unlinkat(shard, name.growing(), AtFlags::empty());
    }

    /// Moves what lies in a record's place into the directory of unreadable ones, or removes it if
    /// `most` are there; false if nothing is in its place.
    pub fn set_aside(&self, name: &Name, most: usize) -> Result<bool> {
        let shard = self.shard(name)?;
        let aside = open_dir(&self.root, CORRUPT)?;
        let moved = if entries(&aside)? < most {
            fs::renameat(&shard, name.leaf(), &aside, name.leaf())
        } else {
            match fs::unlinkat(&shard, name.leaf(), AtFlags::empty()) {
                Err(Errno::ISDIR) => fs::unlinkat(&shard, name.leaf(), AtFlags::REMOVEDIR),
                other => other,
            }
        };
        match moved {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

/// Makes a directory unless it is there.
pub fn make_dir(at: impl AsFd, name: impl rustix::path::Arg) -> Result<()> {
    match fs::mkdirat(at, name, DIR_MODE) {
        // Another process was first.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The names in a directory that `of` makes something of, in its order.
pub fn names<T: Ord>(dir: &OwnedFd, mut of: impl FnMut(&[u8]) -> Option<T>) -> Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in fs::Dir::read_from(dir)? {
        found.extend(of(entry?.file_name().to_bytes()));
    }
    found.sort_unstable();
    Ok(found)
}
