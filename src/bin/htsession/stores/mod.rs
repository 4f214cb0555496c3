//! Opening a store without its server: a file for each kind.

mod dbm;
mod file;
mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::any::Any;
use std::path::{Path, PathBuf};

use mod_session_store::core::config::StoreChoice;
use mod_session_store::core::lock::{MutexError, SlotMutexes};
use mod_session_store::core::store::Store;
use mod_session_store::core::store::dir::Owner;
use serde::Serialize;

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
    /// Keeps servers out, as long as it is there.
    _lock: Option<Box<dyn Any>>,
}

/// A store before it is opened. Root asks whose it is, makes what is missing, becomes the owner and opens
/// it, in this order.
pub trait Kind {
    /// Whose the data is; none if there is none yet, or if it belongs to nobody on this machine.
    fn owner(&self) -> Result<Option<Owner>, Failure>;

    /// Where the data is: the same for all names of one store.
    fn place(&self) -> String;

    /// Makes the directory or the file that is missing, for `owner`: what only root can do. Says in a
    /// sentence what there is now.
    fn make(&self, owner: Option<Owner>) -> Result<Made, Failure>;

    /// Opens it, as the user that this process is by now.
    fn open(&self, access: Access) -> Result<Opened, Failure>;

    /// The server that uses it, if one does and what it writes is not seen by a copy.
    fn in_use(&self) -> Option<String>;
}

/// The kind of store that is meant.
pub fn kind(located: &Located) -> Result<Box<dyn Kind>, Failure> {
    match located.choice() {
        StoreChoice::File { .. } => Ok(Box::new(file::Files::new(located)?)),
        StoreChoice::Dbm(_) => Ok(Box::new(dbm::Database::new(located)?)),
        StoreChoice::Memory { .. } => Ok(Box::new(memory::Memory::new(located)?)),
        StoreChoice::Socache { .. } => {
            Err(Failure::store("an object cache of httpd's can be opened by httpd alone"))
        }
        StoreChoice::Provider { .. } => {
            Err(Failure::store("another module's store can be opened by httpd alone"))
        }
        #[cfg(feature = "redis")]
        StoreChoice::Redis(address) => Ok(Box::new(redis::Redis::new(address, located)?)),
        #[cfg(not(feature = "redis"))]
        StoreChoice::Redis(_) => Err(Failure::store("this htsession was built without Redis")),
    }
}

/// A path without the links in it, as far as there is something under it.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
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

/// What [`Kind::make`] did.
#[derive(Serialize)]
pub struct Made {
    /// Whether it was not there before.
    made: bool,
    /// What there is now, in a sentence.
    pub text: String,
}

/// What [`Kind::make`] says of a path.
fn made(path: &Path, there: bool) -> Made {
    let what = if there { "was there already and is sound" } else { "is made" };
    Made { made: !there, text: format!("{} {what}", path.display()) }
}

/// Says that a server has the store.
fn taken(by: Option<u64>) -> Failure {
    let who = by.map_or_else(|| "a server".to_owned(), |pid| format!("the server {pid}"));
    Failure::in_use(format!("{who} is running with this store; it has to be stopped first"))
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
