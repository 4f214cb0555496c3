//! The stores as the module makes them: planned from the configuration, prepared once by the parent,
//! opened by each child.

mod file;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;
use std::time::Duration;

use crate::core::config::{Server, StoreChoice};
use crate::core::lock::SlotMutexes;
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;

#[cfg(not(feature = "redis"))]
const WITHOUT_REDIS: &str =
    "SessionStore names Redis, which this build leaves out: its cargo feature is redis";

/// Lines for the error log.
pub type News = Vec<(Level, String)>;

/// A store as the configuration asks for it, with paths and defaults resolved. One that differs after a
/// graceful restart waits for a full one.
#[derive(Clone, PartialEq, Eq)]
pub enum Plan {
    /// Files.
    File(file::Plan),
    /// Redis.
    #[cfg(feature = "redis")]
    Redis(redis::Plan),
}

/// A store in the parent. Made once in its life and kept over graceful restarts.
pub trait Prepared: Send + Sync {
    /// Opens the store in a child, as the user that the child is.
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError>;
}

/// What a child gives to its store.
#[derive(Clone)]
pub struct Child {
    /// The pool of slot mutexes.
    pub slots: Arc<dyn SlotMutexes>,
    /// The store's own mutexes, as many as [`Plan::mutexes`] and one, if it asked for any.
    #[expect(dead_code, reason = "for the stores to come")]
    pub own: Option<Arc<dyn SlotMutexes>>,
    /// `SessionSync`.
    pub sync: bool,
    /// `SessionCleanupGrace`.
    pub grace: Duration,
}

impl Plan {
    /// What the settings ask for.
    ///
    /// # Errors
    /// They cannot work; a whole sentence.
    pub fn new(settings: &Server) -> Result<Plan, String> {
        match settings.store() {
            StoreChoice::File { .. } => file::Plan::new(settings).map(Plan::File),
            #[cfg(feature = "redis")]
            StoreChoice::Redis(address) => Ok(Plan::Redis(redis::Plan::new(address))),
            #[cfg(not(feature = "redis"))]
            StoreChoice::Redis(_) => Err(WITHOUT_REDIS.to_owned()),
            _ => Err("SessionStore names a store that this release does not have".to_owned()),
        }
    }

    /// How many mutexes the store needs beside those of the slots.
    pub fn mutexes(&self) -> u32 {
        match self {
            Plan::File(_) => 0,
            #[cfg(feature = "redis")]
            Plan::Redis(_) => 0,
        }
    }

    /// Prepares the store in the parent, before there are children.
    ///
    /// # Errors
    /// The server cannot start; a whole sentence.
    pub fn prepare(&self) -> Result<(Box<dyn Prepared>, News), String> {
        match self {
            Plan::File(plan) => plan.prepare(),
            #[cfg(feature = "redis")]
            Plan::Redis(plan) => plan.prepare(),
        }
    }

    /// How this plan differs from the one in use; none if it does not.
    pub fn change_from(&self, used: &Plan) -> Option<String> {
        if self == used {
            return None;
        }
        match (used, self) {
            (Plan::File(used), Plan::File(wanted)) => wanted.change_from(used),
            #[cfg(feature = "redis")]
            (Plan::Redis(used), Plan::Redis(wanted)) => wanted.change_from(used),
            #[cfg(feature = "redis")]
            _ => Some("the kind of store changes".to_owned()),
        }
    }
}

/// What can be found out about the store of a configuration that is only tested: nothing is opened.
///
/// # Errors
/// The server could not start; a whole sentence.
pub fn check(settings: &Server) -> Result<(), String> {
    match settings.store() {
        #[cfg(feature = "redis")]
        StoreChoice::Redis(address) => redis::Plan::new(address).check(),
        #[cfg(not(feature = "redis"))]
        StoreChoice::Redis(_) => Err(WITHOUT_REDIS.to_owned()),
        _ => Ok(()),
    }
}
