//! LMDB keeps order among processes itself, so that everything is done beside a running server as well.
//! Where none runs, the file is looked through first, as a server does at its start.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mod_session_store::core::store::dbm::unsynced::{self, Past};
use mod_session_store::core::store::dbm::{DbmStore, FULL};
use mod_session_store::core::store::dir::{DataDir, DirLock};
use mod_session_store::system::lmdb::{self, LOCK_END, Lmdb, Options};

use super::{Access, Database, Opened, own, refused, take};
use crate::failure::Failure;
use crate::stores::Alone;

pub fn open(database: &Database, access: Access) -> Result<Opened, Failure> {
    let data = database.checked()?;
    // Kept until the file is open: nobody else makes it or looks through it meanwhile.
    let (alone, lock) = match take(&data) {
        Ok(lock) => (true, lock),
        Err(cause) if cause.is_locked() => (false, None),
        Err(cause) => return Err(refused(cause)),
    };
    // What is written to a doubtful file would make it look like a good one.
    if alone && access != Access::Read {
        look_back(database, &data)?;
    }
    own(&data, &format!("{}{LOCK_END}", database.name))?;
    match data.own_file(&database.name).map_err(refused)? {
        None if access != Access::Make => return Err(database.is_absent()),
        None => {}
        // A server that runs did so at its start, and a look at what it changes would tell nothing.
        Some(_) if !alone => {}
        Some(file) => {
            let found = lmdb::check::damage(&file);
            let found = found.map_err(|cause| failed(database, "looking through", &cause))?;
            if let Some(how) = found {
                return Err(Failure::store(format!(
                    "{} is damaged: {how}",
                    database.path().display()
                )));
            }
        }
    }
    if access != Access::Read && !database.sync {
        unsynced::begin(data.fd(), &database.name, unsynced::this_run().as_deref())
            .map_err(|cause| failed(database, "marking", &cause))?;
    }
    let dir = data.fd().try_clone().map_err(|cause| failed(database, "opening", &cause))?;
    let options = Options {
        map: lmdb::affordable(database.map.unwrap_or(lmdb::MAP)),
        readers: lmdb::readers(database.workers),
        sync: database.sync,
        full: FULL,
    };
    let opened = Lmdb::open(database.path(), options);
    let opened = opened.map_err(|cause| Failure::store(cause.to_string()))?;
    let last: Option<Box<dyn Any>> = match access {
        Access::Read => None,
        _ if !alone => None,
        _ => Some(Box::new(Last { dir, name: database.name.clone(), _lock: lock })),
    };
    let store = DbmStore::new(opened, Arc::new(Alone), data);
    Ok(Opened { store: Box::new(store), _lock: last })
}

/// Nobody else has the database: what was written is brought to the disk at the end, as a server does
/// when it stops.
struct Last {
    dir: OwnedFd,
    name: String,
    _lock: Option<DirLock>,
}

impl Drop for Last {
    fn drop(&mut self) {
        if lmdb::is_closed(&self.dir, &self.name).unwrap_or(false) {
            // If it fails, the mark stays that says so.
            let _ = unsynced::end(&self.dir, &self.name);
        }
    }
}

/// What a server would do that starts now.
fn look_back(database: &Database, data: &DataDir) -> Result<(), Failure> {
    let run = unsynced::this_run();
    let past = unsynced::look_back(data.fd(), &database.name, &[LOCK_END], run.as_deref());
    let past = past.map_err(|cause| failed(database, "looking at", &cause))?;
    if let Past::MovedAside(aside) = past {
        eprintln!(
            "htsession: {} was not synced when the machine stopped, and was moved to {aside}",
            database.path().display()
        );
    }
    Ok(())
}

fn failed(database: &Database, doing: &str, cause: &std::io::Error) -> Failure {
    Failure::store(format!("{doing} {}: {cause}", database.path().display()))
}
