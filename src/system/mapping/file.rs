//! The file itself: made, checked, locked, and as long as it has to be.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::{FileError, Problem};
use super::{Mapping, map};

const MODE: Mode = Mode::from_raw_mode(0o600);

/// The file, locked.
pub struct SharedFile {
    fd: OwnedFd,
    path: PathBuf,
}

impl SharedFile {
    /// Opens the file for this process and those it forks, or makes it, empty and for `owner` (user and
    /// group). The word `pid_word` of a file in use says who uses it, for the message.
    pub fn open(path: &Path, owner: (u32, u32), pid_word: usize) -> Result<SharedFile, FileError> {
        let fd = open_or_make(path, owner)?;
        let file = SharedFile { fd, path: path.to_owned() };
        match fs::flock(&file.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let pid = file.word(pid_word);
                return Err(file.error(Problem::Locked { pid }));
            }
            Err(errno) => return Err(file.system("locking", errno)),
        }
        file.check(owner)?;
        Ok(file)
    }

    fn word(&self, word: usize) -> u64 {
        let mut bytes = [0; 8];
        match rustix::io::pread(&self.fd, &mut bytes, word as u64 * 8) {
            Ok(8) => u64::from_ne_bytes(bytes),
            _ => 0,
        }
    }

    /// Nothing is changed in a file that is not ours.
    fn check(&self, (uid, gid): (u32, u32)) -> Result<(), FileError> {
        let stat = fs::fstat(&self.fd).map_err(|errno| self.system("looking at", errno))?;
        let mode = Mode::from_raw_mode(stat.st_mode).bits();
        let us = rustix::process::geteuid();
        // Made by a start that was cut short before it gave the file away.
        let unfinished = us.is_root() && stat.st_uid == 0 && stat.st_size == 0;
        let problem = if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            Problem::NotAFile
        } else if stat.st_nlink != 1 {
            Problem::Linked
        } else if stat.st_uid != uid && !unfinished {
            Problem::Owner { actual: stat.st_uid, wanted: uid }
        } else if mode & 0o7777 != MODE.bits() {
            Problem::Open { mode: mode & 0o7777 }
        } else if stat.st_uid != uid {
            return give(&self.fd, (uid, gid)).map_err(|errno| self.system("giving away", errno));
        } else {
            return Ok(());
        };
        Err(self.error(problem))
    }

    /// How long it is.
    pub fn bytes(&self) -> Result<u64, FileError> {
        let stat = fs::fstat(&self.fd).map_err(|errno| self.system("looking at", errno))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Makes it empty. What is mapped reads as zeros once it is as long as before again; in between,
    /// whoever touches it is killed.
    pub fn clear(&self) -> Result<(), FileError> {
        fs::ftruncate(&self.fd, 0).map_err(|errno| self.system("emptying", errno))
    }

    /// Makes it at least `bytes` long, with room for all of them on its file system: what is missing
    /// later would kill who writes there.
    pub fn reserve(&self, bytes: u64) -> Result<(), FileError> {
        let space = |cause| self.error(Problem::Space { bytes, cause });
        let length = libc::off_t::try_from(bytes)
            .map_err(|_| space(io::Error::from(io::ErrorKind::FileTooLarge)))?;
        // Asked first: the system would take all there is, from everybody, before it says no.
        if self.lacks(bytes)? {
            return Err(space(Errno::NOSPC.into()));
        }
        // SAFETY: an open descriptor and numbers.
        match unsafe { libc::posix_fallocate(self.fd.as_raw_fd(), 0, length) } {
            0 => Ok(()),
            status => {
                // A part would only be in the way of others.
                let _ = fs::ftruncate(&self.fd, 0);
                Err(space(io::Error::from_raw_os_error(status)))
            }
        }
    }

    /// Whether its file system surely has less room than this.
    fn lacks(&self, bytes: u64) -> Result<bool, FileError> {
        let stat = fs::fstat(&self.fd).map_err(|errno| self.system("looking at", errno))?;
        let room = fs::fstatvfs(&self.fd).map_err(|errno| self.system("looking at", errno))?;
        let there = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        // Memory without a bound says that it has no blocks at all.
        Ok(room.f_blocks > 0 && there.saturating_add(free) < bytes)
    }

    /// Maps its first `bytes` bytes, which [`SharedFile::reserve`] has made sure of, for this process
    /// and those it forks.
    pub fn map(&self, bytes: u64) -> Result<Mapping, FileError> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let words = map(&self.fd, bytes, access).map_err(|cause| self.failed("mapping", cause))?;
        Ok(Mapping { words })
    }

    fn error(&self, problem: Problem) -> FileError {
        FileError { path: self.path.clone(), problem }
    }

    fn failed(&self, doing: &'static str, cause: io::Error) -> FileError {
        self.error(Problem::System { doing, cause })
    }

    fn system(&self, doing: &'static str, errno: Errno) -> FileError {
        self.failed(doing, errno.into())
    }
}

fn open_or_make(path: &Path, owner: (u32, u32)) -> Result<OwnedFd, FileError> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let error = |problem| FileError { path: path.to_owned(), problem };
    match fs::open(path, flags | OFlags::CREATE | OFlags::EXCL, MODE) {
        Ok(fd) if rustix::process::geteuid().is_root() => match give(&fd, owner) {
            Ok(()) => return Ok(fd),
            Err(errno) => {
                let cause = errno.into();
                return Err(error(Problem::System { doing: "giving away", cause }));
            }
        },
        Ok(fd) => return Ok(fd),
        Err(Errno::EXIST) => {}
        Err(errno) => {
            return Err(error(Problem::System { doing: "making", cause: errno.into() }));
        }
    }
    fs::open(path, flags, Mode::empty()).map_err(|errno| {
        error(match errno {
            Errno::LOOP => Problem::Link,
            Errno::ISDIR | Errno::NXIO => Problem::NotAFile,
            errno => Problem::System { doing: "opening", cause: errno.into() },
        })
    })
}

fn give(fd: &OwnedFd, (uid, gid): (u32, u32)) -> rustix::io::Result<()> {
    fs::fchown(fd, Some(fs::Uid::from_raw(uid)), Some(fs::Gid::from_raw(gid)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::super::View;
    use super::*;
    use crate::core::lock::host::Words;

    const BYTES: u64 = 64 << 10;

    fn us() -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn said<T>(result: Result<T, FileError>) -> String {
        result.err().expect("a refusal").to_string()
    }

    #[test]
    fn words_are_seen_by_others_and_the_file_is_taken_while_they_are_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        let file = SharedFile::open(&path, us(), 0).unwrap();
        assert_eq!(file.bytes().unwrap(), 0);
        file.reserve(BYTES).unwrap();
        let words = file.map(BYTES).unwrap();
        words.store(100, 77);
        words.add(100, 1);
        words.store(usize::MAX, 1);
        let view = View::open(&path).unwrap();
        assert_eq!((view.load(100), view.load(usize::MAX), view.bytes()), (78, 0, BYTES));
        view.store(100, 1);
        drop(file);
        assert_eq!(view.load(100), 78);
        // Whoever has it mapped has it.
        assert!(SharedFile::open(&path, us(), 0).is_err_and(|cause| cause.is_in_use()));
        let facts = path.metadata().unwrap();
        assert_eq!((facts.mode() & 0o7777, facts.uid()), (0o600, us().0));
    }

    #[test]
    fn an_emptied_file_reads_as_zeros_where_it_was_mapped_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = SharedFile::open(&folder.path().join("words"), us(), 0).unwrap();
        file.reserve(BYTES).unwrap();
        let words = file.map(BYTES).unwrap();
        words.store(100, 77);
        file.clear().unwrap();
        file.reserve(BYTES).unwrap();
        assert_eq!(words.load(100), 0);
        words.store(100, 5);
        assert_eq!(file.map(BYTES).unwrap().load(100), 5);
    }

    #[test]
    fn a_second_one_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        let file = SharedFile::open(&path, us(), 6).unwrap();
        file.reserve(BYTES).unwrap();
        file.map(BYTES).unwrap().store(6, 4711);
        let refused = said(SharedFile::open(&path, us(), 6));
        assert!(refused.contains("is in use by process 4711"), "{refused}");
    }

    #[test]
    fn what_was_planted_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("other"), "precious").unwrap();
        symlink(at("other"), at("link")).unwrap();
        std::fs::hard_link(at("other"), at("hard")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("open"), "").unwrap();
        std::fs::set_permissions(at("open"), PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::write(at("foreign"), "full").unwrap();
        std::fs::set_permissions(at("foreign"), PermissionsExt::from_mode(0o600)).unwrap();
        for (name, owner, why) in [
            ("link", us(), "is a symbolic link"),
            ("hard", us(), "has more than one name"),
            ("folder", us(), "is not a regular file"),
            ("open", us(), "has mode 0644"),
            ("foreign", (us().0 + 1, us().1), "belongs to user"),
            ("missing/words", us(), "No such file"),
        ] {
            let refused = said(SharedFile::open(&at(name), owner, 0));
            assert!(refused.contains(why), "{name}: {refused}");
        }
        assert_eq!(std::fs::read_to_string(at("other")).unwrap(), "precious");
        assert!(said(View::open(&at("link")).map(drop)).contains("opening"));
    }

    #[test]
    fn more_than_there_is_room_for_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = SharedFile::open(&folder.path().join("words"), us(), 0).unwrap();
        let refused = file.reserve(1 << 60).unwrap_err();
        assert!(refused.lacks_room() && !refused.is_in_use());
        let refused = refused.to_string();
        assert!(refused.contains("bytes for"), "{refused}");
        assert_eq!(file.bytes().unwrap(), 0);
    }
}
