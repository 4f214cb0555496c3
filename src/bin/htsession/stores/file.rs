//! Records in files. Beside a running server they are read, and deleted by unlinking them; all else
//! wants the lock of the directory, since this process shares no mutex with the server.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use mod_session_store::core::store::dir::{DataDir, DirError, Owner};
use mod_session_store::core::store::file::{FileStore, Options};

use super::{Access, Alone, Opened, taken};
use crate::failure::Failure;
use crate::located::Located;

/// What is wrong with a directory, or who uses it.
pub fn refused(cause: DirError) -> Failure {
    if cause.is_locked() {
        return taken(cause.locked_by().map(u64::from));
    }
    Failure::store(cause.to_string())
}

pub fn owner(located: &Located) -> Result<Option<Owner>, Failure> {
    let found = DataDir::owner_of(&located.directory()?).map_err(refused)?;
    // What httpd or the administrator says counts: a directory that differs is refused when it is
    // checked, with both numbers.
    Ok(found.map(|found| located.owner.unwrap_or(found)))
}

pub fn make(located: &Located, owner: Owner) -> Result<String, Failure> {
    let path = located.directory()?;
    DataDir::prepare(&path, owner).map_err(refused)?;
    Ok(path.display().to_string())
}

pub fn open(located: &Located, access: Access) -> Result<Opened, Failure> {
    let path = located.directory()?;
    let lock: Option<Box<dyn Any>> = match access {
        Access::Read | Access::Delete => None,
        Access::Change | Access::Make => Some(Box::new(checked(&path)?.lock().map_err(refused)?)),
    };
    let grace = located.settings.cleanup_grace();
    let options = Options { sync: located.settings.sync(), grace };
    let store = FileStore::open(&path, Arc::new(Alone), options).map_err(refused)?;
    Ok(Opened { store: Box::new(store), grace, _lock: lock })
}

pub fn in_use(located: &Located) -> Option<String> {
    let locked = checked(&located.directory().ok()?).ok()?.lock().err()?;
    locked.is_locked().then(|| match locked.locked_by() {
        Some(pid) if pid == std::process::id() => None,
        pid => Some(pid.map_or_else(|| "a server".to_owned(), |pid| format!("the server {pid}"))),
    })?
}

pub fn checked(path: &Path) -> Result<DataDir, Failure> {
    DataDir::check(path, Owner::current()).map_err(refused)
}
