//! The store in one database file: LMDB, or what APR's DBM has. Either way the parent makes, checks and
//! locks the directory; the database is opened by children alone.

mod apr;
mod lmdb;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::apr::Apr;
use self::lmdb::Lmdb;
use super::{Child, News, Parent, Prepared, Verdict};
use crate::core::config::{DbmType, Server, StoreChoice};
use crate::core::lock::SlotMutexes;
use crate::core::lock::gate::Gated;
use crate::core::store::StoreError;
use crate::core::store::dir::{DataDir, DirError, Owner};
use crate::httpd::log::Level;
use crate::httpd::server as host;
use crate::module::process::OWN_DEADLINE;

/// Where the database is to be, and of what kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    dir: PathBuf,
    name: String,
    kind: DbmType,
    /// `?map=SIZE`.
    map: Option<u64>,
    /// `SessionSync` at the full start.
    sync: bool,
}

impl Plan {
    pub fn new(settings: &Server) -> Result<Plan, String> {
        let StoreChoice::Dbm(file) = settings.store() else {
            return Err("SessionStore names no database".to_owned());
        };
        let dir = settings.directory()?.ok_or("there is no SessionDataDir")?;
        Ok(Plan {
            dir: PathBuf::from(host::below_root(&dir)?),
            name: settings.dbm_name().unwrap_or_default(),
            kind: settings.dbm_type(),
            map: file.map,
            sync: settings.sync(),
        })
    }

    pub fn prepare(&self, parent: Parent) -> Result<(Box<dyn Prepared>, News), String> {
        let (uid, gid) = host::child_owner();
        let data = DataDir::prepare(&self.dir, Owner { uid, gid }).map_err(text)?;
        let lock = data.lock().map_err(text)?;
        let mut news: News =
            data.warning().map(|said| (Level::Warning, said)).into_iter().collect();
        let prepared: Box<dyn Prepared> = match self.kind {
            DbmType::Lmdb => Box::new(Lmdb::prepare(self.clone(), &data, lock, parent, &mut news)?),
            _ => Box::new(Apr::prepare(self.clone(), &data, lock)?),
        };
        Ok((prepared, news))
    }

    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let map = self.map.map_or_else(String::new, |map| format!("?map={map}"));
        vec![
            ("SessionStore", format!("dbm:{}{map}", self.path().display())),
            ("SessionDBMType", self.kind.word().to_owned()),
        ]
    }

    pub fn change_from(&self, used: &Plan) -> Option<String> {
        let (from, to) = (used.path(), self.path());
        if from != to {
            return Some(format!(
                "the database changes from {} to {}",
                from.display(),
                to.display()
            ));
        }
        if self.kind != used.kind {
            let (from, to) = (used.kind.word(), self.kind.word());
            return Some(format!("SessionDBMType changes from {from} to {to}"));
        }
        // Children sync as the configuration says now.
        (self.map != used.map).then(|| "the most bytes of the database change".to_owned())
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// The directory for a child, and the database's own mutex.
    fn for_child(&self, child: &Child) -> Result<(DataDir, Arc<dyn SlotMutexes>), StoreError> {
        let data = DataDir::check(&self.dir, Owner::current()).map_err(refused)?;
        let mutex = child.own.clone().ok_or_else(|| StoreError::Io {
            doing: "opening the database",
            cause: io::Error::other("its mutex was not made"),
        })?;
        Ok((data, Arc::new(Gated::new(mutex, OWN_DEADLINE))))
    }
}

/// Judges for the configuration test what only this machine knows; opens and makes nothing.
///
/// # Errors
/// APR has no driver for the type; a whole sentence with those it has.
pub fn check(settings: &Server) -> Result<Verdict, String> {
    match settings.dbm_type() {
        DbmType::Lmdb => Ok(Verdict::default()),
        kind => apr::check(kind),
    }
}

/// The name of a file in the directory.
fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(cause: DirError) -> String {
    cause.to_string()
}

fn refused(cause: DirError) -> StoreError {
    StoreError::Io { doing: "opening the database", cause: io::Error::other(cause) }
}
