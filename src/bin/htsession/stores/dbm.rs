//! Records in an LMDB file. It keeps order itself: everything works beside a running server, whose children
//! are further processes that have it open. The types of APR's DBM are httpd's alone, which brings APR.

use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use mod_session_store::core::config::{DbmType, StoreChoice};
use mod_session_store::core::store::dbm::{DbmStore, unsynced};
use mod_session_store::core::store::dir::{DataDir, Owner};
use mod_session_store::system::lmdb::{self, LOCK_END, Lmdb, Options};

use super::file::{checked, refused};
use super::{Access, Alone, Opened};
use crate::failure::Failure;
use crate::located::Located;

/// Threads of all processes that may look at once, if this process is the first: a server follows.
const READERS: u32 = 4096;

fn name(located: &Located) -> Result<String, Failure> {
    match (located.settings.dbm_type(), located.settings.dbm_name()) {
        (DbmType::Lmdb, Some(name)) => Ok(name),
        _ => Err(Failure::store("a database of APR's DBM can be opened by httpd alone")),
    }
}

pub fn owner(located: &Located) -> Result<Option<Owner>, Failure> {
    super::file::owner(located)
}

pub fn make(located: &Located, owner: Owner) -> Result<String, Failure> {
    let name = name(located)?;
    let path = located.directory()?;
    DataDir::prepare(&path, owner).map_err(refused)?;
    Ok(path.join(name).display().to_string())
}

pub fn open(located: &Located, access: Access) -> Result<Opened, Failure> {
    let name = name(located)?;
    let dir = located.directory()?;
    let data = checked(&dir)?;
    let path = dir.join(&name);
    let failed = |cause: io::Error| Failure::store(format!("{}: {cause}", path.display()));
    data.own_file(&format!("{name}{LOCK_END}")).map_err(refused)?;
    let file = data.own_file(&name).map_err(refused)?;
    if file.is_none() && access != Access::Make {
        return Err(Failure::store(format!("{} is not there", path.display())));
    }
    let lock = match data.lock() {
        Ok(lock) => {
            look_through(&data, &name, &path, file.as_ref())?;
            Some(Box::new(lock) as Box<dyn Any>)
        }
        // A server has looked through it, and has it open.
        Err(cause) if cause.is_locked() => None,
        Err(cause) => return Err(refused(cause)),
    };
    let sync = located.settings.sync();
    if !sync {
        let run = unsynced::this_run();
        unsynced::begin(data.fd(), &name, run.as_deref()).map_err(failed)?;
    }
    let StoreChoice::Dbm(choice) = located.choice() else {
        return Err(Failure::store("the store is no database"));
    };
    let options = Options {
        map: lmdb::affordable(choice.map.unwrap_or(lmdb::MAP)),
        readers: READERS,
        sync,
        full: "what the database may hold (?map=SIZE behind its name)",
    };
    let database = Lmdb::open(path, options).map_err(|cause| Failure::store(cause.to_string()))?;
    let store = DbmStore::new(database, Arc::new(Alone), data);
    let grace = located.settings.cleanup_grace();
    Ok(Opened { store: Box::new(store), grace, _lock: lock })
}

/// What a server does at its start, but nothing is moved.
fn look_through(
    data: &DataDir,
    name: &str,
    path: &Path,
    file: Option<&OwnedFd>,
) -> Result<(), Failure> {
    let path = path.display();
    let failed = |cause: io::Error| Failure::store(format!("{path}: {cause}"));
    let run = unsynced::this_run();
    if unsynced::is_doubtful(data.fd(), name, run.as_deref()).map_err(failed)? {
        return Err(Failure::store(format!(
            "{path} was not synced when the machine stopped and may be damaged: the server will move it \
             aside; remove {name}-unsynced to use it all the same"
        )));
    }
    let Some(file) = file else { return Ok(()) };
    match lmdb::check::damage(file).map_err(failed)? {
        Some(how) => Err(Failure::store(format!("{path} is damaged: {how}"))),
        None => Ok(()),
    }
}
