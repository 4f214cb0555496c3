//! Whether a database may have been damaged by a power cut.
//!
//! What is not synced is whole for every process of the machine, whoever is killed, but not for the next
//! start of the machine. So a file beside the database says that it is written without syncing, and in
//! which run of the machine. Found in a later run, the database is moved aside. It is written, and on the
//! disk itself, before the first change that is not; it is removed when everything is on the disk.

use std::fs as std_fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, Mode, OFlags, fsync};
use rustix::io::Errno;

use super::super::dir::FILE_MODE;

/// End of the name of the file that says so.
const MARK: &str = "-unsynced";
/// End of the name of a database that was moved aside.
const ASIDE: &str = ".aside";
/// Longest name of a run of the machine, in bytes.
const RUN_MAX: u64 = 64;

/// Which run of the machine this is; none if the system does not say.
pub fn this_run() -> Option<String> {
    let run = std_fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(run.trim().to_owned()).filter(|run| !run.is_empty())
}

/// What became of a database at the start.
#[derive(Debug, PartialEq, Eq)]
pub enum Past {
    /// It is as it was left.
    Whole,
    /// It may have been damaged and was moved aside, to this name.
    MovedAside(String),
}

/// Whether the database `name` in `dir` was written without syncing in another run of the machine.
pub fn is_doubtful(dir: &OwnedFd, name: &str, run: Option<&str>) -> io::Result<bool> {
    let written = read(dir, &format!("{name}{MARK}"))?;
    Ok(matches!((written, run), (Some(written), Some(run)) if run != written))
}

/// Looks at what the last run of the server left of the database `name` in `dir`, and its further files
/// with these `ends`; before anybody has it open.
pub fn look_back(dir: &OwnedFd, name: &str, ends: &[&str], run: Option<&str>) -> io::Result<Past> {
    if !is_doubtful(dir, name, run)? {
        return Ok(Past::Whole);
    }
    let aside = format!("{name}{ASIDE}");
    match fs::renameat(dir, name, dir, &aside) {
        // It had not been made when the machine stopped.
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    for end in ends {
        remove(dir, &format!("{name}{end}"))?;
    }
    remove(dir, &format!("{name}{MARK}"))?;
    Ok(Past::MovedAside(aside))
}

/// Says that the database is written without syncing from now on.
pub fn begin(dir: &OwnedFd, name: &str, run: Option<&str>) -> io::Result<()> {
    let mark = format!("{name}{MARK}");
    let Some(run) = run else { return Ok(()) };
    if read(dir, &mark)?.as_deref() == Some(run) {
        return Ok(());
    }
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = std_fs::File::from(fs::openat(dir, &mark, flags, FILE_MODE)?);
    file.write_all(run.as_bytes())?;
    file.sync_all()?;
    Ok(fsync(dir)?)
}

/// Brings the database to the disk and says so; nobody has it open any more, or all who have sync.
pub fn end(dir: &OwnedFd, name: &str) -> io::Result<()> {
    let mark = format!("{name}{MARK}");
    if read(dir, &mark)?.is_none() {
        return Ok(());
    }
    match fs::openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    {
        Ok(file) => fsync(file)?,
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    remove(dir, &mark)
}

fn read(dir: &OwnedFd, name: &str) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match fs::openat(dir, name, flags, Mode::empty()) {
        Ok(file) => std_fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut bytes = Vec::new();
    file.take(RUN_MAX).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn remove(dir: &OwnedFd, name: &str) -> io::Result<()> {
    match fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::store::dir::open_dir;
    use tempfile::TempDir;

    fn made() -> (TempDir, OwnedFd) {
        let home = TempDir::new().unwrap();
        std_fs::write(home.path().join("db"), b"content").unwrap();
        std_fs::write(home.path().join("db-lock"), b"lock").unwrap();
        let dir = open_dir(rustix::fs::CWD, home.path()).unwrap();
        (home, dir)
    }

    fn past(dir: &OwnedFd, run: &str) -> Past {
        look_back(dir, "db", &["-lock"], Some(run)).unwrap()
    }

    #[test]
    fn an_unsynced_database_of_another_run_is_moved_aside() {
        let (home, dir) = made();
        assert_eq!(past(&dir, "one"), Past::Whole);
        begin(&dir, "db", Some("one")).unwrap();
        begin(&dir, "db", Some("one")).unwrap();
        assert_eq!(past(&dir, "one"), Past::Whole);
        assert_eq!(past(&dir, "two"), Past::MovedAside("db.aside".into()));
        assert_eq!(std_fs::read(home.path().join("db.aside")).unwrap(), b"content");
        assert_eq!(std_fs::read_dir(home.path()).unwrap().count(), 1);
        assert_eq!(past(&dir, "two"), Past::Whole);
    }

    #[test]
    fn a_database_that_was_brought_to_the_disk_is_kept() {
        let (_home, dir) = made();
        begin(&dir, "db", Some("one")).unwrap();
        end(&dir, "db").unwrap();
        assert_eq!(past(&dir, "two"), Past::Whole);
        end(&dir, "db").unwrap();
        begin(&dir, "db", None).unwrap();
        assert_eq!(past(&dir, "three"), Past::Whole);
    }

    #[test]
    fn a_machine_that_does_not_tell_its_runs_apart_keeps_everything() {
        let (_home, dir) = made();
        begin(&dir, "db", Some("one")).unwrap();
        assert_eq!(look_back(&dir, "db", &[], None).unwrap(), Past::Whole);
        assert!(this_run().is_some(), "this one does");
    }

    #[test]
    fn a_link_in_the_place_of_the_mark_is_not_followed() {
        let (home, dir) = made();
        let target = home.path().join("precious");
        std_fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, home.path().join("db-unsynced")).unwrap();
        assert!(begin(&dir, "db", Some("one")).is_err());
        assert!(look_back(&dir, "db", &[], Some("one")).is_err());
        assert_eq!(std_fs::read(&target).unwrap(), b"precious");
    }
}
