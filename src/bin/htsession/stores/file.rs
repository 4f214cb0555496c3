//! Records in files. Beside a running server they are read, and deleted by unlinking them; all else
//! wants the lock of the directory, since this process shares no mutex with the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mod_session_store::core::store::dir::{DataDir, DirError, Owner};
use mod_session_store::core::store::file::{FileStore, GRACE, Options};

use super::{Access, Alone, Opened};
use crate::failure::Failure;
use crate::located::Located;

fn dir(located: &Located) -> Result<PathBuf, Failure> {
    let dir = located.settings.directory().map_err(Failure::usage)?;
    let dir = dir.ok_or_else(|| {
        Failure::usage("the store needs a directory: --store file:DIR, or --data-dir DIR")
    })?;
    std::path::absolute(&*dir).map_err(|cause| Failure::usage(format!("the directory: {cause}")))
}

/// What is wrong with a directory, or who uses it.
pub fn refused(cause: DirError) -> Failure {
    match (cause.is_locked(), cause.locked_by()) {
        (false, _) => Failure::store(cause.to_string()),
        (true, Some(pid)) => Failure::in_use(format!(
            "the server {pid} is running with this store; it has to be stopped first"
        )),
        (true, None) => {
            Failure::in_use("a server is running with this store; it has to be stopped first")
        }
    }
}

pub fn owner(located: &Located) -> Result<Option<Owner>, Failure> {
    let found = DataDir::owner_of(&dir(located)?).map_err(refused)?;
    // What httpd or the administrator says counts: a directory that differs is refused when it is
    // checked, with both numbers.
    Ok(found.map(|found| located.owner.unwrap_or(found)))
}

pub fn make(located: &Located, owner: Option<Owner>) -> Result<String, Failure> {
    let path = dir(located)?;
    let there = DataDir::owner_of(&path).map_err(refused)?;
    let owner = owner.or(there).unwrap_or_else(Owner::current);
    DataDir::prepare(&path, owner).map_err(refused)?;
    let what = if there.is_some() { "is there already and sound" } else { "is made" };
    Ok(format!("{} {what}, for user {}", path.display(), owner.uid))
}

pub fn open(located: &Located, access: Access) -> Result<Opened, Failure> {
    let path = dir(located)?;
    let lock = match access {
        Access::Read | Access::Delete => None,
        Access::Change => Some(checked(&path)?.lock().map_err(refused)?),
    };
    let options = Options { sync: located.settings.sync(), grace: GRACE };
    let store = FileStore::open(&path, Arc::new(Alone), options).map_err(refused)?;
    Ok(Opened { store: Box::new(store), grace: GRACE, _lock: lock })
}

pub fn in_use(located: &Located) -> Option<String> {
    let locked = checked(&dir(located).ok()?).ok()?.lock().err()?;
    locked.is_locked().then(|| match locked.locked_by() {
        Some(pid) if pid == std::process::id() => None,
        pid => Some(pid.map_or_else(|| "a server".to_owned(), |pid| format!("the server {pid}"))),
    })?
}

fn checked(path: &Path) -> Result<DataDir, Failure> {
    DataDir::check(path, Owner::current()).map_err(refused)
}
