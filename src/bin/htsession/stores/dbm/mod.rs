//! Records in a database file: LMDB, or what APR's DBM has.

#[cfg(feature = "httpd")]
mod apr;
mod lmdb;

use std::path::PathBuf;

use mod_session_store::core::config::{DbmType, StoreChoice};
use mod_session_store::core::store::dir::{DataDir, DirError, Owner};

use super::file::{in_use, refused, take};
use super::{Access, Kind, Made, Opened, made, real, whose};
use crate::failure::Failure;
use crate::located::Located;

/// The file, and how it is opened.
pub struct Database {
    dir: PathBuf,
    name: String,
    kind: DbmType,
    map: Option<u64>,
    sync: bool,
    /// How many threads may look at once.
    workers: u32,
    /// Whose the server says it is.
    told: Option<Owner>,
}

/// Requests that a server works on at once, where httpd was not asked: more than most do.
const WORKERS: u32 = 400;

impl Database {
    pub fn new(located: &Located) -> Result<Database, Failure> {
        let StoreChoice::Dbm(file) = located.choice() else {
            return Err(Failure::usage("the store is no database"));
        };
        let kind = located.settings.dbm_type();
        Ok(Database {
            dir: located.directory()?,
            name: file.name().unwrap_or(kind.file_name()).to_owned(),
            kind,
            map: file.map,
            sync: located.settings.sync(),
            workers: located.workers.unwrap_or(WORKERS),
            told: located.owner,
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn checked(&self) -> Result<DataDir, Failure> {
        DataDir::check(&self.dir, Owner::current()).map_err(refused)
    }

    fn is_absent(&self) -> Failure {
        Failure::store(format!("{} is not there", self.path().display()))
    }
}

#[cfg(not(feature = "httpd"))]
mod apr {
    use super::{Database, Failure, Opened};

    pub fn open(_: &Database, _: bool) -> Result<Opened, Failure> {
        Err(Failure::store("this htsession was built without APR, whose databases it cannot open"))
    }
}

impl Kind for Database {
    fn owner(&self) -> Result<Option<Owner>, Failure> {
        let found = DataDir::owner_of(&self.dir).map_err(refused)?;
        Ok(found.map(|found| self.told.unwrap_or(found)))
    }

    fn place(&self) -> String {
        format!("dbm:{}", real(&self.path()).display())
    }

    fn make(&self, owner: Option<Owner>) -> Result<Made, Failure> {
        // An existing directory says by itself whose it is.
        let owner = owner.or(DataDir::owner_of(&self.dir).map_err(refused)?);
        DataDir::prepare(&self.dir, whose(owner)?).map_err(refused)?;
        Ok(made(&self.path(), self.path().exists()))
    }

    fn open(&self, access: Access) -> Result<Opened, Failure> {
        match self.kind {
            DbmType::Lmdb => lmdb::open(self, access),
            _ => apr::open(self, access == Access::Make),
        }
    }

    fn in_use(&self) -> Option<String> {
        in_use(&self.checked().ok()?)
    }
}

/// Makes sure that a file of ours is nothing else under its name.
fn own(data: &DataDir, name: &str) -> Result<bool, Failure> {
    let found = data.own_file(name).map_err(|cause: DirError| refused(cause))?;
    Ok(found.is_some())
}
