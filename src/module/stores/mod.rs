//! The stores as the module makes them: planned from the configuration, prepared once by the parent,
//! opened by each child.

mod dbm;
mod file;

use std::sync::Arc;
use std::time::Duration;

use crate::core::config::{Server, StoreChoice};
use crate::core::lock::SlotMutexes;
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;

/// Lines for the error log.
pub type News = Vec<(Level, String)>;

/// A store as the configuration asks for it, with paths and defaults resolved. One that differs after a
/// graceful restart waits for a full one.
#[derive(Clone, PartialEq, Eq)]
pub enum Plan {
    /// Files.
    File(file::Plan),
    /// One database file.
    Dbm(dbm::Plan),
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
            StoreChoice::Dbm(_) => dbm::Plan::new(settings).map(Plan::Dbm),
            _ => Err("SessionStore names a store that this release does not have".to_owned()),
        }
    }

    /// How many mutexes the store needs beside those of the slots.
    pub fn mutexes(&self) -> u32 {
        match self {
            Plan::File(_) => 0,
            Plan::Dbm(_) => 1,
        }
    }

    /// Judges for the configuration test what only this machine knows; opens and makes nothing.
    ///
    /// # Errors
    /// The store cannot work here; a whole sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Plan::File(_) => Ok(()),
            Plan::Dbm(plan) => plan.check(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Plan::File(_) => "file",
            Plan::Dbm(_) => "dbm",
        }
    }

    /// Prepares the store in the parent, before there are children.
    ///
    /// # Errors
    /// The server cannot start; a whole sentence.
    pub fn prepare(&self) -> Result<(Box<dyn Prepared>, News), String> {
        match self {
            Plan::File(plan) => plan.prepare(),
            Plan::Dbm(plan) => plan.prepare(),
        }
    }

    /// How this plan differs from the one in use; none if it does not.
    pub fn change_from(&self, used: &Plan) -> Option<String> {
        if self == used {
            return None;
        }
        match (used, self) {
            (Plan::File(used), Plan::File(wanted)) => wanted.change_from(used),
            (Plan::Dbm(used), Plan::Dbm(wanted)) => wanted.change_from(used),
            _ => Some(format!("SessionStore changes from {} to {}", used.name(), self.name())),
        }
    }
}
