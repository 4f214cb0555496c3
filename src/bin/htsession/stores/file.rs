//! Records in files. Beside a running server they are read, and deleted by unlinking them; all else
//! wants the lock of the directory, since this process shares no mutex with the server.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use mod_session_store::core::store::dir::{DataDir, DirError, DirLock, Owner};
use mod_session_store::core::store::file::{FileStore, Options};

use super::{Access, Alone, Kind, Made, Opened, made, real, taken, whose};
use crate::failure::Failure;
use crate::located::Located;

/// Files below a directory.
pub struct Files {
    path: PathBuf,
    options: Options,
    /// Whose the server says they are.
    told: Option<Owner>,
}

impl Files {
    pub fn new(located: &Located) -> Result<Files, Failure> {
        let options = Options { sync: located.settings.sync(), grace: located.grace() };
        Ok(Files { path: located.directory()?, options, told: located.owner })
    }

    fn checked(&self) -> Result<DataDir, Failure> {
        DataDir::check(&self.path, Owner::current()).map_err(refused)
    }
}

/// What is wrong with a directory, or who uses it.
pub(super) fn refused(cause: DirError) -> Failure {
    if cause.is_locked() {
        return taken(cause.locked_by().map(u64::from));
    }
    Failure::store(cause.to_string())
}

impl Kind for Files {
    fn owner(&self) -> Result<Option<Owner>, Failure> {
        let found = DataDir::owner_of(&self.path).map_err(refused)?;
        // A directory of somebody else's is refused when it is checked, with both numbers.
        Ok(found.map(|found| self.told.unwrap_or(found)))
    }

    fn place(&self) -> String {
        format!("file:{}", real(&self.path).display())
    }

    fn make(&self, owner: Option<Owner>) -> Result<Made, Failure> {
        let there = DataDir::owner_of(&self.path).map_err(refused)?.is_some();
        DataDir::prepare(&self.path, whose(owner)?).map_err(refused)?;
        Ok(made(&self.path, there))
    }

    fn open(&self, access: Access) -> Result<Opened, Failure> {
        let lock: Option<Box<dyn Any>> = match access {
            Access::Read | Access::Delete => None,
            Access::Change | Access::Make => {
                Some(Box::new(take(&self.checked()?).map_err(refused)?))
            }
        };
        let store = FileStore::open(&self.path, Arc::new(Alone), self.options).map_err(refused)?;
        Ok(Opened { store: Box::new(store), _lock: lock })
    }

    fn in_use(&self) -> Option<String> {
        in_use(&self.checked().ok()?)
    }
}

/// Takes the lock of a directory, unless this process has it already for the other store of a copy.
pub(super) fn take(dir: &DataDir) -> Result<Option<DirLock>, DirError> {
    match dir.lock() {
        Ok(lock) => Ok(Some(lock)),
        Err(cause) if cause.locked_by() == Some(std::process::id()) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Who holds the lock of a directory, if it is another process.
pub(super) fn in_use(dir: &DataDir) -> Option<String> {
    let locked = dir.lock().err().filter(DirError::is_locked)?;
    match locked.locked_by() {
        Some(pid) if pid == std::process::id() => None,
        Some(pid) => Some(format!("the server {pid}")),
        None => Some("a server".to_owned()),
    }
}
