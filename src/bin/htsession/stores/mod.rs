//! Opening a store without its server: a file for each kind.

mod file;

use std::time::Duration;

use mod_session_store::core::config::StoreChoice;
use mod_session_store::core::lock::{MutexError, SlotMutexes};
use mod_session_store::core::store::Store;
use mod_session_store::core::store::dir::{DirLock, Owner};

use crate::failure::Failure;
use crate::located::Located;

/// What is going to be done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Records are read.
    Read,
    /// Records are deleted, one by one.
    Delete,
    /// Anything: no server may use the store meanwhile, unless the store itself keeps order.
    Change,
}

/// An open store.
pub struct Opened {
    /// The store.
    pub store: Box<dyn Store>,
    /// How long after its end a session may still be written (`SessionCleanupGrace`).
    pub grace: Duration,
    /// Keeps servers out.
    _lock: Option<DirLock>,
}

/// Whose the data is; none if there is none yet, or if it belongs to nobody on this machine.
pub fn owner(located: &Located) -> Result<Option<Owner>, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => file::owner(located),
        other => Err(foreign(&other)),
    }
}

/// Makes what is missing, as root for `owner`; says what was made, if anything had to be.
pub fn make(located: &Located, owner: Option<Owner>) -> Result<Option<String>, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => file::make(located, owner).map(Some),
        other => Err(foreign(&other)),
    }
}

/// Opens it, as the user that this process is by now.
pub fn open(located: &Located, access: Access) -> Result<Opened, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => file::open(located, access),
        other => Err(foreign(&other)),
    }
}

/// Says which process keeps a store's directory, if one does: what it writes is not seen by a copy.
pub fn in_use(located: &Located) -> Option<String> {
    match located.choice() {
        StoreChoice::File { .. } => file::in_use(located),
        _ => None,
    }
}

fn foreign(choice: &StoreChoice) -> Failure {
    match choice {
        StoreChoice::Socache { .. } => {
            Failure::store("a store of a shared object cache can be opened by httpd alone")
        }
        StoreChoice::Provider { .. } => {
            Failure::store("a store that another module provides can be opened by httpd alone")
        }
        _ => Failure::store("this release of htsession does not know this store"),
    }
}

/// Mutexes for a process with one thread that has the store for itself, or writes nothing but what
/// needs none.
pub struct Alone;

impl SlotMutexes for Alone {
    fn count(&self) -> u32 {
        1
    }

    fn lock(&self, _: u32) -> Result<(), MutexError> {
        Ok(())
    }

    fn unlock(&self, _: u32) {}
}
