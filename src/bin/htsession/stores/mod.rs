//! Opening a store without its server: a file for each kind.

mod dbm;
mod file;
mod memory;

use std::any::Any;
use std::time::Duration;

use mod_session_store::core::config::StoreChoice;
use mod_session_store::core::lock::{MutexError, SlotMutexes};
use mod_session_store::core::store::Store;
use mod_session_store::core::store::dir::Owner;

use crate::failure::Failure;
use crate::located::Located;
use crate::owner::is_root;

/// What is going to be done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Records are read.
    Read,
    /// Records are deleted, one by one.
    Delete,
    /// Anything: no server may use the store meanwhile, unless the store itself keeps order.
    Change,
    /// Likewise, and what is missing is made.
    Make,
}

/// An open store.
pub struct Opened {
    /// The store.
    pub store: Box<dyn Store>,
    /// How long after its end a session may still be written (`SessionCleanupGrace`).
    pub grace: Duration,
    /// Keeps servers out, as long as it is there.
    _lock: Option<Box<dyn Any>>,
}

/// Whose the data is; none if there is none yet, or if it belongs to nobody on this machine.
pub fn owner(located: &Located) -> Result<Option<Owner>, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => file::owner(located),
        StoreChoice::Dbm(_) => dbm::owner(located),
        StoreChoice::Memory { .. } => memory::owner(located),
        other => Err(foreign(&other)),
    }
}

/// Makes the directory or the file that is missing, for `owner`: what only root can do. Says where it is.
pub fn make(located: &Located, owner: Option<Owner>) -> Result<String, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => file::make(located, whose(owner)?),
        StoreChoice::Dbm(_) => dbm::make(located, whose(owner)?),
        StoreChoice::Memory { .. } => memory::make(located, whose(owner)?),
        other => Err(foreign(&other)),
    }
}

/// Opens it, as the user that this process is by now.
pub fn open(located: &Located, access: Access) -> Result<Opened, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => file::open(located, access),
        StoreChoice::Dbm(_) => dbm::open(located, access),
        StoreChoice::Memory { .. } => memory::open(located, access),
        other => Err(foreign(&other)),
    }
}

/// Says which process keeps a store's directory, if one does: what it writes is not seen by a copy.
pub fn in_use(located: &Located) -> Option<String> {
    match located.choice() {
        StoreChoice::File { .. } | StoreChoice::Dbm(_) => file::in_use(located),
        StoreChoice::Memory { .. } => memory::in_use(located),
        _ => None,
    }
}

/// Whose a new store is to be: nobody's server runs as root.
fn whose(owner: Option<Owner>) -> Result<Owner, Failure> {
    match owner {
        Some(owner) => Ok(owner),
        None if is_root() => Err(Failure::usage(
            "whose is the new store to be? --owner USER says it, or ask httpd by -f CONF",
        )),
        None => Ok(Owner::current()),
    }
}

/// Says that a server has the store.
fn taken(by: Option<u64>) -> Failure {
    let who = by.map_or_else(|| "a server".to_owned(), |pid| format!("the server {pid}"));
    Failure::in_use(format!("{who} is running with this store; it has to be stopped first"))
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
