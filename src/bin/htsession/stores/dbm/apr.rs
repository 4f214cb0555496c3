//! What APR's DBM has: one process at a time may have such a file open, and servers exclude each other's
//! children by a mutex that is out of reach here. So the lock of the directory is wanted for everything.

use std::ffi::CStr;
use std::sync::Arc;

use mod_session_store::core::config::DbmType;
use mod_session_store::core::store::dbm::DbmStore;
use mod_session_store::httpd::apr::initialize;
use mod_session_store::httpd::dbm::{self, AprDbm};

use super::{Database, Opened, own, refused, take};
use crate::failure::Failure;
use crate::stores::Alone;

pub fn open(database: &Database, make: bool) -> Result<Opened, Failure> {
    initialize().map_err(|status| Failure::store(format!("starting APR: status {status}")))?;
    let data = database.checked()?;
    let lock = take(&data).map_err(refused)?;
    let (kind, path) = (name(database.kind), database.path());
    let failed = |cause: &dyn std::fmt::Display| Failure::store(cause.to_string());
    let files = dbm::files(kind, &path).map_err(|cause| failed(&cause))?;
    let files = files.ok_or_else(|| {
        Failure::store(format!("APR has no driver here for {}", database.kind.word()))
    })?;
    for file in &files {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !own(&data, name)? && !make {
            return Err(database.is_absent());
        }
    }
    let opened = AprDbm::open(kind, &path).map_err(|cause| failed(&cause))?;
    let opened = match database.sync {
        true => opened.synced().map_err(|cause| failed(&cause))?,
        false => opened,
    };
    let store = DbmStore::new(opened, Arc::new(Alone), data);
    Ok(Opened { store: Box::new(store), _lock: Some(Box::new(lock)) })
}

/// What APR calls a type.
fn name(kind: DbmType) -> &'static CStr {
    match kind {
        DbmType::Lmdb | DbmType::Default => c"default",
        DbmType::Gdbm => c"gdbm",
        DbmType::Db => c"db",
        DbmType::Sdbm => c"sdbm",
    }
}
