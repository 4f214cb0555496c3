//! What is said to an administrator whose file cannot be used.

use std::path::PathBuf;
use std::{fmt, io};

/// Why a file cannot be used.
#[derive(Debug)]
pub struct FileError {
    pub(super) path: PathBuf,
    pub(super) problem: Problem,
}

impl FileError {
    /// Whether another process has the file.
    pub fn is_in_use(&self) -> bool {
        matches!(self.problem, Problem::Locked { .. })
    }

    /// The process that has the file, if that is the problem.
    pub fn used_by(&self) -> Option<u64> {
        match self.problem {
            Problem::Locked { pid } => Some(pid),
            _ => None,
        }
    }

    /// Whether its file system, or the machine, has no room for it.
    pub fn lacks_room(&self) -> bool {
        matches!(self.problem, Problem::Space { .. })
    }
}

/// What is wrong with it.
#[derive(Debug)]
pub(super) enum Problem {
    Link,
    NotAFile,
    Linked,
    Owner { actual: u32, wanted: u32 },
    Open { mode: u32 },
    Locked { pid: u64 },
    Space { bytes: u64, cause: io::Error },
    System { doing: &'static str, cause: io::Error },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Link => write!(f, "{path} is a symbolic link: remove it"),
            Problem::NotAFile => write!(f, "{path} is not a regular file: remove it"),
            Problem::Linked => write!(f, "{path} has more than one name: remove it"),
            Problem::Owner { actual, wanted } => write!(
                f,
                "{path} belongs to user {actual}, but the server runs as user {wanted}: remove it"
            ),
            Problem::Open { mode } => {
                write!(f, "{path} has mode {mode:04o}, which lets others in or us out: remove it")
            }
            Problem::Locked { pid } => write!(f, "{path} is in use by process {pid}"),
            Problem::Space { bytes, cause } => {
                write!(f, "reserving {bytes} bytes for {path}: {cause}")
            }
            Problem::System { doing, cause } => write!(f, "{doing} {path}: {cause}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::System { cause, .. } | Problem::Space { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
