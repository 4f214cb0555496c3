//! The stores as the module makes them: planned from the configuration, prepared once by the parent,
//! opened by each child.

mod dbm;
mod file;
mod late;
mod memory;
mod provider;
#[cfg(feature = "redis")]
mod redis;
mod socache;

use std::sync::Arc;
use std::time::Duration;

pub use self::late::Late;

use crate::core::config::{Server, StoreChoice};
use crate::core::lock::SlotMutexes;
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;
use crate::httpd::pool::Pool;
use crate::httpd::sys;

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
    /// One database file.
    Dbm(dbm::Plan),
    /// Redis.
    #[cfg(feature = "redis")]
    Redis(redis::Plan),
    /// Memory that all processes share.
    Memory(memory::Plan),
    /// An object cache of httpd's.
    Socache(socache::Plan),
    /// A store of another module.
    Provider(provider::Plan),
}

/// The parent, before it has children.
#[derive(Clone, Copy)]
pub struct Parent {
    /// httpd's main server.
    pub server: *mut sys::server_rec,
    /// The pool that lives as long as the parent.
    pub pool: Pool,
}

/// What the configuration test says of a store.
#[derive(Default)]
pub struct Verdict {
    /// What an administrator should know.
    pub warnings: Vec<String>,
    /// Most bytes of a record, where the store has a limit of its own.
    pub record_max: Option<usize>,
}

/// Judges the store that the settings ask for.
///
/// # Errors
/// It cannot work; a whole sentence.
///
/// # Safety
/// `pool` is the configuration's, which is being read; the MPM's settings are known.
pub unsafe fn check(settings: &Server, pool: Pool) -> Result<Verdict, String> {
    match settings.store() {
        // SAFETY: as the caller says.
        StoreChoice::Socache { .. } => unsafe { socache::check(settings, pool) },
        // SAFETY: as the caller says.
        StoreChoice::Provider { .. } => unsafe { provider::check(settings, pool) },
        StoreChoice::Memory { .. } => memory::check(settings),
        StoreChoice::Dbm(_) => dbm::check(settings),
        #[cfg(feature = "redis")]
        StoreChoice::Redis(address) => redis::Plan::new(address).check(settings),
        #[cfg(not(feature = "redis"))]
        StoreChoice::Redis(_) => Err(WITHOUT_REDIS.to_owned()),
        _ => Ok(Verdict::default()),
    }
}

/// A warning, if `SessionSync` is on: a store of this name does not know what that is.
fn not_synced(settings: &Server, name: &str) -> Option<String> {
    let warning = || format!("SessionSync on has no effect with SessionStore {name}");
    settings.sync().then(warning)
}

/// Whether `SessionMaxSessions`, if it is set, can hold in the store of this name, which can be walked over
/// or not: then nobody learns of sessions that have ended, and once the limit was reached no new one would
/// ever be let in.
fn can_be_counted(settings: &Server, name: &str, lists: bool) -> Result<(), String> {
    if lists || settings.max_sessions().is_none() {
        return Ok(());
    }
    Err(format!(
        "SessionMaxSessions needs a store whose sessions can be listed, and those of SessionStore \
         {name} cannot: take the limit away, and bound the memory of the store itself; or use another store"
    ))
}

/// What there is, for who misspelled it or forgot to load `module`.
fn known(names: &[String], module: &str) -> String {
    match names {
        [] => format!("there is none, so load {module}"),
        names => format!("there is {}; or load {module}", names.join(", ")),
    }
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
            #[cfg(feature = "redis")]
            StoreChoice::Redis(address) => Ok(Plan::Redis(redis::Plan::new(address))),
            #[cfg(not(feature = "redis"))]
            StoreChoice::Redis(_) => Err(WITHOUT_REDIS.to_owned()),
            StoreChoice::Memory { .. } => memory::Plan::new(settings).map(Plan::Memory),
            StoreChoice::Socache { .. } => socache::Plan::new(settings).map(Plan::Socache),
            StoreChoice::Provider { .. } => provider::Plan::new(settings).map(Plan::Provider),
        }
    }

    /// How many mutexes the store needs beside those of the slots.
    pub fn mutexes(&self) -> u32 {
        match self {
            Plan::File(_) => 0,
            Plan::Dbm(_) => 1,
            #[cfg(feature = "redis")]
            Plan::Redis(_) => 0,
            Plan::Memory(_) => memory::MUTEXES,
            Plan::Socache(plan) => plan.mutexes(),
            Plan::Provider(plan) => plan.mutexes(),
        }
    }

    /// Prepares the store in the parent, before there are children.
    ///
    /// # Errors
    /// The server cannot start; a whole sentence.
    pub fn prepare(&self, parent: Parent) -> Result<(Box<dyn Prepared>, News), String> {
        match self {
            Plan::File(plan) => plan.prepare(),
            Plan::Dbm(plan) => plan.prepare(parent),
            Plan::Memory(plan) => plan.prepare(),
            Plan::Socache(plan) => plan.prepare(parent),
            Plan::Provider(plan) => plan.prepare(parent),
            #[cfg(feature = "redis")]
            Plan::Redis(plan) => plan.prepare(),
        }
    }

    /// The directives that tell somebody else which store this is, each with its argument.
    ///
    /// # Errors
    /// Only the server can know: a whole sentence. A password is no part of either.
    pub fn settings(&self) -> Result<Vec<(&'static str, String)>, String> {
        match self {
            Plan::File(plan) => Ok(plan.settings()),
            Plan::Dbm(plan) => Ok(plan.settings()),
            Plan::Memory(plan) => Ok(plan.settings()),
            #[cfg(feature = "redis")]
            Plan::Redis(plan) => plan.settings(),
            Plan::Socache(_) | Plan::Provider(_) => Err(format!(
                "SessionStore {} can be opened by httpd only, which another program is not",
                self.name()
            )),
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
            (Plan::Memory(used), Plan::Memory(wanted)) => wanted.change_from(used),
            (used, wanted) if used.name() == wanted.name() => {
                Some(format!("what SessionStore {} is told changes", used.name()))
            }
            (used, wanted) => {
                Some(format!("SessionStore changes from {} to {}", used.name(), wanted.name()))
            }
        }
    }

    /// The store as logs call it.
    fn name(&self) -> String {
        match self {
            Plan::File(_) => "file".to_owned(),
            Plan::Dbm(_) => "dbm".to_owned(),
            Plan::Memory(_) => "memory".to_owned(),
            Plan::Socache(plan) => plan.name(),
            Plan::Provider(plan) => plan.name(),
            #[cfg(feature = "redis")]
            Plan::Redis(_) => "redis".to_owned(),
        }
    }
}
