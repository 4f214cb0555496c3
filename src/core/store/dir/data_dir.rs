//! The data directory as a whole: made and checked once at start, and held by one server.
//!
//! The process that starts the server may be root while its children are not. It makes and checks
//! the directory through descriptors, and writes no record.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{geteuid, getpid};

use super::error::{DirError, Problem};
use super::{CORRUPT, DIR_MODE, FILE_MODE, is_file, open_dir};

/// The file that the server of a directory holds a lock on.
pub const LOCK: &str = ".lock";

/// The user and group that the server's children run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// The user and group of this process.
    pub fn current() -> Owner {
        Owner { uid: geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }
}

/// A directory that passed the checks.
pub struct DataDir {
    path: PathBuf,
    dir: OwnedFd,
    remote: bool,
}

impl DataDir {
    /// Makes the directory if it is missing (not those above it) and checks it. Root hands a new
    /// one over to `owner`.
    pub fn prepare(path: &Path, owner: Owner) -> Result<DataDir, DirError> {
        let dir = make(path, owner)?;
        let ready = DataDir::checked(path, dir, owner)?;
        ready.make_corrupt(owner)?;
        Ok(ready)
    }

    /// Checks the directory and changes nothing.
    pub fn check(path: &Path, owner: Owner) -> Result<DataDir, DirError> {
        DataDir::checked(path, open_named(path)?, owner)
    }

    /// Whose the directory is; none if it is missing. A link in its place is refused.
    pub fn owner_of(path: &Path) -> Result<Option<Owner>, DirError> {
        let dir = match open_named(path) {
            Err(DirError { problem: Problem::System { cause: Errno::NOENT, .. }, .. }) => {
                return Ok(None);
            }
            other => other?,
        };
        let stat = fs::fstat(&dir).map_err(|e| system(path, "looking at", e))?;
        Ok(Some(Owner { uid: stat.st_uid, gid: stat.st_gid }))
    }

    fn checked(path: &Path, dir: OwnedFd, owner: Owner) -> Result<DataDir, DirError> {
        check_dir(path, &dir, owner)?;
        let system = fs::fstatfs(&dir).map_err(|e| system(path, "looking at", e))?;
        let remote = system.f_type == fs::NFS_SUPER_MAGIC;
        Ok(DataDir { path: path.to_owned(), dir, remote })
    }

    fn make_corrupt(&self, owner: Owner) -> Result<(), DirError> {
        let path = self.path.join(CORRUPT);
        let dir = make_in(&self.dir, CORRUPT.as_ref(), &path, owner)?;
        check_dir(&path, &dir, owner)
    }

    /// What an administrator should know about the directory though it works.
    pub fn warning(&self) -> Option<String> {
        self.remote.then(|| {
            format!(
                "{} is on NFS: one machine only may use it, and a record may be damaged when the \
                 connection breaks; a local directory is safer and faster",
                self.path.display()
            )
        })
    }

    /// Takes the directory for this process and those it forks; it is free again when the last of
    /// them has closed what is returned.
    pub fn lock(&self) -> Result<DirLock, DirError> {
        let path = self.path.join(LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match fs::openat(&self.dir, LOCK, flags, FILE_MODE) {
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                return Err(DirError { path, problem: Problem::ForeignLock });
            }
            other => other.map_err(|e| system(&path, "opening the lock file", e))?,
        };
        let home = fs::fstat(&self.dir).map_err(|e| system(&self.path, "looking at", e))?;
        own_lock(&path, &file, &home)?;
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let problem = Problem::Locked { pid: read_pid(&file) };
                return Err(DirError { path: self.path.clone(), problem });
            }
            Err(errno) => return Err(system(&path, "locking", errno)),
        }
        write_pid(&file).map_err(|e| system(&path, "writing the lock file", e))?;
        Ok(DirLock(file))
    }

    /// Opens a file in the directory to look at it, if it is there; it has to be one that the directory's
    /// owner alone has.
    pub fn own_file(&self, name: &str) -> Result<Option<OwnedFd>, DirError> {
        let path = self.path.join(name);
        // Not to wait for the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => {
                return Err(DirError { path, problem: Problem::NoFile });
            }
            Err(errno) => return Err(system(&path, "opening", errno)),
        };
        let home = fs::fstat(&self.dir).map_err(|e| system(&self.path, "looking at", e))?;
        let stat = fs::fstat(&file).map_err(|e| system(&path, "looking at", e))?;
        let mode = Mode::from_raw_mode(stat.st_mode).bits();
        let problem = if !is_file(&stat) || stat.st_nlink != 1 {
            Problem::NoFile
        } else if stat.st_uid != home.st_uid {
            let wanted = Owner { uid: home.st_uid, gid: home.st_gid };
            Problem::FileOwner { actual: stat.st_uid, wanted }
        } else if mode & 0o077 != 0 {
            Problem::OpenFile { mode }
        } else {
            return Ok(Some(file));
        };
        Err(DirError { path, problem })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, borrowed.
    pub fn fd(&self) -> &OwnedFd {
        &self.dir
    }

    /// The open directory.
    pub fn into_fd(self) -> OwnedFd {
        self.dir
    }
}

/// The lock of a data directory, held.
pub struct DirLock(OwnedFd);

impl From<DirLock> for OwnedFd {
    /// The descriptor that holds the lock, for who keeps it by other means.
    fn from(lock: DirLock) -> OwnedFd {
        lock.0
    }
}

fn system(path: &Path, doing: &'static str, cause: Errno) -> DirError {
    DirError { path: path.to_owned(), problem: Problem::System { doing, cause } }
}

fn parent_and_name(path: &Path) -> Result<(&Path, &Path), DirError> {
    let parent = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    match (parent, path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, Path::new(name))),
        _ => Err(DirError { path: path.to_owned(), problem: Problem::NoName }),
    }
}

fn open_parent(parent: &Path) -> Result<OwnedFd, DirError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(parent, flags, Mode::empty()).map_err(|e| system(parent, "opening", e))
}

fn open_named(path: &Path) -> Result<OwnedFd, DirError> {
    let (parent, name) = parent_and_name(path)?;
    open_in(&open_parent(parent)?, name, path)
}

fn make(path: &Path, owner: Owner) -> Result<OwnedFd, DirError> {
    let (parent, name) = parent_and_name(path)?;
    make_in(&open_parent(parent)?, name, path, owner)
}

/// Opens the directory `name` in `parent`; `path` is how messages call it.
fn open_in(parent: &OwnedFd, name: &Path, path: &Path) -> Result<OwnedFd, DirError> {
    let problem = match open_dir(parent, name) {
        Ok(dir) => return Ok(dir),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let link = fs::statat(parent, name, fs::AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            if link { Problem::Link } else { Problem::NotADirectory }
        }
        Err(cause) => Problem::System { doing: "opening", cause },
    };
    Err(DirError { path: path.to_owned(), problem })
}

fn make_in(parent: &OwnedFd, name: &Path, path: &Path, owner: Owner) -> Result<OwnedFd, DirError> {
    let made = match fs::mkdirat(parent, name, DIR_MODE) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(system(path, "making the directory", errno)),
    };
    let dir = open_in(parent, name, path)?;
    if made && geteuid().is_root() {
        hand_over(path, &dir, owner)?;
    }
    Ok(dir)
}

fn hand_over(path: &Path, dir: &OwnedFd, owner: Owner) -> Result<(), DirError> {
    let stat = fs::fstat(dir).map_err(|e| system(path, "looking at", e))?;
    // Only what root has just made: another directory may have been moved into its place.
    if stat.st_uid != 0 {
        return Ok(());
    }
    let (uid, gid) = (fs::Uid::from_raw(owner.uid), fs::Gid::from_raw(owner.gid));
    fs::fchown(dir, Some(uid), Some(gid)).map_err(|e| system(path, "handing over", e))
}

fn check_dir(path: &Path, dir: &OwnedFd, owner: Owner) -> Result<(), DirError> {
    let stat = fs::fstat(dir).map_err(|e| system(path, "looking at", e))?;
    let mount = fs::fstatvfs(dir).map_err(|e| system(path, "looking at", e))?;
    let mode = Mode::from_raw_mode(stat.st_mode).bits();
    let problem = if stat.st_uid != owner.uid {
        Problem::Owner { actual: stat.st_uid, wanted: owner }
    } else if mode & 0o077 != 0 {
        Problem::Open { mode }
    } else if mode & 0o700 != 0o700 {
        Problem::NotWritable { mode }
    } else if mount.f_flag.contains(fs::StatVfsMountFlags::RDONLY) {
        Problem::ReadOnly
    } else {
        return Ok(());
    };
    Err(DirError { path: path.to_owned(), problem })
}

/// Makes sure that the lock file is nothing else under its name, before a byte of it is changed,
/// and that the directory's owner can open it too.
fn own_lock(path: &Path, file: &OwnedFd, home: &Stat) -> Result<(), DirError> {
    let stat = fs::fstat(file).map_err(|e| system(path, "looking at", e))?;
    let us = geteuid();
    let ours = stat.st_uid == home.st_uid || stat.st_uid == us.as_raw();
    if !is_file(&stat) || stat.st_nlink != 1 || !ours {
        return Err(DirError { path: path.to_owned(), problem: Problem::ForeignLock });
    }
    if us.is_root() && stat.st_uid != home.st_uid {
        let (uid, gid) = (fs::Uid::from_raw(home.st_uid), fs::Gid::from_raw(home.st_gid));
        fs::fchown(file, Some(uid), Some(gid)).map_err(|e| system(path, "handing over", e))?;
    }
    Ok(())
}

fn write_pid(file: &OwnedFd) -> rustix::io::Result<()> {
    let text = format!("{}\n", getpid().as_raw_nonzero());
    fs::ftruncate(file, 0)?;
    rustix::io::pwrite(file, text.as_bytes(), 0).map(drop)
}

fn read_pid(file: &OwnedFd) -> Option<u32> {
    let mut buffer = [0; 16];
    let length = rustix::io::pread(file, &mut buffer, 0).ok()?;
    std::str::from_utf8(&buffer[..length]).ok()?.trim().parse().ok()
}
