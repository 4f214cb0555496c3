//! The types of APR's DBM: whether they are there, and how a child opens one.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use super::{Child, Plan, Prepared, Verdict, name_of, refused, text};
use crate::core::config::DbmType;
use crate::core::lock::SlotGuard;
use crate::core::store::dbm::{DbmStore, most_of_record};
use crate::core::store::dir::{DataDir, DirLock};
use crate::core::store::{Store, StoreError};
use crate::httpd::dbm::{self, AprDbm};

/// What APR calls a type.
fn name(kind: DbmType) -> &'static CStr {
    match kind {
        DbmType::Lmdb | DbmType::Default => c"default",
        DbmType::Gdbm => c"gdbm",
        DbmType::Db => c"db",
        DbmType::Sdbm => c"sdbm",
    }
}

/// Whether APR has a driver for a type.
///
/// # Errors
/// It has none; a whole sentence with those it has.
pub fn check(kind: DbmType) -> Result<Verdict, String> {
    // Where it will be changes nothing about the type.
    let files = files(kind, Path::new("sessions"))?;
    let record_max = dbm::most(&files).map(most_of_record);
    Ok(Verdict { record_max, ..Verdict::default() })
}

fn files(kind: DbmType, path: &Path) -> Result<Vec<PathBuf>, String> {
    let of = |kind| dbm::files(name(kind), path).map_err(|cause| cause.to_string());
    if let Some(files) = of(kind)? {
        return Ok(files);
    }
    let has = |kind: &DbmType| of(*kind).is_ok_and(|files| files.is_some());
    let there: Vec<&str> =
        DbmType::OF_APR.iter().filter(|kind| has(kind)).map(|kind| kind.word()).collect();
    Err(format!(
        "SessionDBMType {}: APR has no driver for it here; it has {}, and lmdb needs none",
        kind.word(),
        there.join(", ")
    ))
}

/// The directory, locked for as long as the parent runs.
pub struct Apr {
    plan: Plan,
    files: Vec<PathBuf>,
    _lock: DirLock,
}

impl Apr {
    pub fn prepare(plan: Plan, data: &DataDir, lock: DirLock) -> Result<Apr, String> {
        let files = files(plan.kind, &plan.path())?;
        for file in &files {
            data.own_file(name_of(file)).map_err(text)?;
        }
        Ok(Apr { plan, files, _lock: lock })
    }
}

impl Prepared for Apr {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        let (data, mutex) = self.plan.for_child(child)?;
        let _alone = SlotGuard::lock(&*mutex, 0)?;
        for file in &self.files {
            data.own_file(name_of(file)).map_err(refused)?;
        }
        let database = AprDbm::open(name(self.plan.kind), &self.plan.path())?;
        let database = if child.sync { database.synced()? } else { database };
        Ok(Box::new(DbmStore::new(database, mutex.clone(), data)))
    }
}
