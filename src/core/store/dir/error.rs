//! What is said to an administrator whose data directory cannot be used.

use std::path::PathBuf;
use std::{fmt, io};

use rustix::io::Errno;

use super::data_dir::Owner;

/// Why a directory cannot hold sessions.
#[derive(Debug)]
pub struct DirError {
    pub(super) path: PathBuf,
    pub(super) problem: Problem,
}

/// What is wrong with it.
#[derive(Debug)]
pub(super) enum Problem {
    NoName,
    NotADirectory,
    Link,
    Owner { actual: u32, wanted: Owner },
    Open { mode: u32 },
    NotWritable { mode: u32 },
    ReadOnly,
    Locked { pid: Option<u32> },
    ForeignLock,
    NoFile,
    FileOwner { actual: u32, wanted: Owner },
    OpenFile { mode: u32 },
    System { doing: &'static str, cause: Errno },
}

impl DirError {
    /// The process that holds the directory's lock, if that is the problem and it left its number.
    pub fn locked_by(&self) -> Option<u32> {
        match self.problem {
            Problem::Locked { pid } => pid,
            _ => None,
        }
    }

    /// Whether another process holds the directory's lock.
    pub fn is_locked(&self) -> bool {
        matches!(self.problem, Problem::Locked { .. })
    }
}

impl fmt::Display for DirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::NoName => write!(f, "data directory {path} has no name of its own"),
            Problem::NotADirectory => write!(f, "{path} is not a directory"),
            Problem::Link => {
                write!(f, "{path} is a symbolic link: name the directory it leads to instead")
            }
            Problem::Owner { actual, wanted: Owner { uid, gid } } => write!(
                f,
                "{path} belongs to user {actual}, but the server runs as user {uid}: \
                 chown -R {uid}:{gid} {path}, or name another directory"
            ),
            Problem::Open { mode } => {
                write!(f, "{path} has mode {mode:04o}, which lets others in: chmod 0700 {path}")
            }
            Problem::NotWritable { mode } => write!(
                f,
                "{path} has mode {mode:04o}, in which its owner cannot write: chmod 0700 {path}"
            ),
            Problem::ReadOnly => write!(f, "{path} is on a file system mounted read-only"),
            Problem::Locked { pid: Some(pid) } => write!(
                f,
                "{path} is in use by process {pid}: each server needs a data directory of its own"
            ),
            Problem::Locked { pid: None } => write!(
                f,
                "{path} is in use by another process: each server needs a data directory of its own"
            ),
            Problem::ForeignLock => {
                write!(f, "{path} is not the lock file of this server: remove it")
            }
            Problem::NoFile => write!(
                f,
                "{path} is no file of its own: the database has to be a regular file with one name"
            ),
            Problem::FileOwner { actual, wanted: Owner { uid, gid } } => write!(
                f,
                "{path} belongs to user {actual}, but the server runs as user {uid}: \
                 chown {uid}:{gid} {path}"
            ),
            Problem::OpenFile { mode } => {
                write!(f, "{path} has mode {mode:04o}, which lets others in: chmod 0600 {path}")
            }
            Problem::System { doing, cause } => {
                write!(f, "{doing} {path}: {}", io::Error::from(*cause))
            }
        }
    }
}

impl std::error::Error for DirError {}
