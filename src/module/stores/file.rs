//! The file store: a directory that the parent makes, checks and locks.

use std::path::PathBuf;

use super::{Child, News, Prepared};
use crate::core::config::Server;
use crate::core::store::dir::{DataDir, DirLock, Owner};
use crate::core::store::file::{FileStore, Options};
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;
use crate::httpd::server as host;

/// Where the files are to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    dir: PathBuf,
}

/// The directory, locked for as long as the parent runs.
struct Ready {
    dir: PathBuf,
    _lock: DirLock,
}

impl Plan {
    pub fn new(settings: &Server) -> Result<Plan, String> {
        let dir = settings.directory()?.ok_or("there is no SessionDataDir")?;
        Ok(Plan { dir: PathBuf::from(host::below_root(&dir)?) })
    }

    pub fn prepare(&self) -> Result<(Box<dyn Prepared>, News), String> {
        let (uid, gid) = host::child_owner();
        let data =
            DataDir::prepare(&self.dir, Owner { uid, gid }).map_err(|cause| cause.to_string())?;
        let lock = data.lock().map_err(|cause| cause.to_string())?;
        let news = data.warning().map(|text| (Level::Warning, text)).into_iter().collect();
        Ok((Box::new(Ready { dir: self.dir.clone(), _lock: lock }), news))
    }

    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("SessionStore", format!("file:{}", self.dir.display()))]
    }

    pub fn change_from(&self, used: &Plan) -> Option<String> {
        let (from, to) = (used.dir.display(), self.dir.display());
        Some(format!("the data directory changes from {from} to {to}"))
    }
}

impl Prepared for Ready {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        let options = Options { sync: child.sync, grace: child.grace };
        let opened = FileStore::open(&self.dir, child.slots.clone(), options);
        let store = opened.map_err(|cause| StoreError::Io {
            doing: "opening the data directory",
            cause: std::io::Error::other(cause),
        })?;
        Ok(Box::new(store))
    }
}
