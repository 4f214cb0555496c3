//! LMDB: what the parent looks at before a child opens it, and how a child does.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::fstat;

use super::{Child, News, Parent, Plan, Prepared, refused, text};
use crate::core::lock::SlotGuard;
use crate::core::store::dbm::unsynced::{self, Past};
use crate::core::store::dbm::{DbmStore, FULL};
use crate::core::store::dir::{DataDir, DirLock};
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;
use crate::httpd::server as host;
use crate::system::lmdb::{self, LOCK_END, Options};

/// The directory, locked for as long as the parent runs, and what is known of the database.
pub struct Lmdb {
    plan: Plan,
    options: Options,
    /// A damaged file that is not to be opened: its device and number, and what is wrong.
    damaged: Option<(u64, u64, &'static str)>,
    _lock: DirLock,
}

impl Lmdb {
    pub fn prepare(
        plan: Plan,
        data: &DataDir,
        lock: DirLock,
        parent: Parent,
        news: &mut News,
    ) -> Result<Lmdb, String> {
        look_back(&plan, data, news)?;
        data.own_file(&format!("{}{LOCK_END}", plan.name)).map_err(text)?;
        let damaged = damage(&plan, data)?;
        if let Some((.., how)) = damaged {
            let said = format!(
                "{} is damaged ({how}) and is not opened: move it away, which loses its sessions, or put \
                 a good one in its place",
                plan.path().display()
            );
            news.push((Level::Error, said));
        }
        let asked = plan.map.unwrap_or(lmdb::MAP);
        let map = lmdb::affordable(asked);
        if (map as u64) < asked {
            let said = format!(
                "the database can grow to {map} bytes only, instead of {asked}: the address space of this \
                 process is limited (ulimit -v)"
            );
            news.push((Level::Warning, said));
        }
        let dir = data.fd().try_clone().map_err(|cause| format!("the data directory: {cause}"))?;
        parent.pool.keep(AtStop { dir, name: plan.name.clone(), parent: std::process::id() });
        let readers = lmdb::readers(host::workers());
        let options = Options { map, readers, sync: false, full: FULL };
        Ok(Lmdb { plan, options, damaged, _lock: lock })
    }
}

/// When the server stops, brings what is not on the disk there, so that a machine that is started anew
/// as it should be keeps its sessions.
struct AtStop {
    dir: OwnedFd,
    name: String,
    /// A child that ends has a copy of this, and nothing to do with it.
    parent: u32,
}

impl Drop for AtStop {
    fn drop(&mut self) {
        let alone = || lmdb::is_closed(&self.dir, &self.name).unwrap_or(false);
        if std::process::id() == self.parent && alone() {
            // What fails leaves the mark, as a power cut does: the database is not trusted then.
            let _ = unsynced::end(&self.dir, &self.name);
        }
    }
}

/// Deals with what a power cut may have done.
fn look_back(plan: &Plan, data: &DataDir, news: &mut News) -> Result<(), String> {
    let failed = |cause: io::Error| {
        format!("looking at what was left of {}: {cause}", plan.path().display())
    };
    let run = unsynced::this_run();
    let past = unsynced::look_back(data.fd(), &plan.name, &[LOCK_END], run.as_deref());
    if let Past::MovedAside(aside) = past.map_err(failed)? {
        let said = format!(
            "{} was not synced when the machine stopped (SessionSync off) and may be damaged: it was \
             moved to {aside}, and the store begins empty",
            plan.path().display()
        );
        news.push((Level::Warning, said));
    }
    if plan.sync {
        unsynced::end(data.fd(), &plan.name).map_err(failed)?;
    }
    Ok(())
}

/// What is wrong with the file, and which file that is.
fn damage(plan: &Plan, data: &DataDir) -> Result<Option<(u64, u64, &'static str)>, String> {
    let Some(file) = data.own_file(&plan.name).map_err(text)? else { return Ok(None) };
    let failed = |cause: io::Error| format!("looking at {}: {cause}", plan.path().display());
    let stat = fstat(&file).map_err(|errno| failed(errno.into()))?;
    let how = lmdb::check::damage(&file).map_err(failed)?;
    Ok(how.map(|how| (stat.st_dev, stat.st_ino, how)))
}

impl Prepared for Lmdb {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        let (data, mutex) = self.plan.for_child(child)?;
        let doing = "opening the database";
        let _alone = SlotGuard::lock(&*mutex, 0)?;
        data.own_file(&format!("{}{LOCK_END}", self.plan.name)).map_err(refused)?;
        if let Some(file) = data.own_file(&self.plan.name).map_err(refused)? {
            let stat = fstat(&file).map_err(|errno| StoreError::io(doing)(errno.into()))?;
            let this =
                |damaged: &(u64, u64, _)| (damaged.0, damaged.1) == (stat.st_dev, stat.st_ino);
            if let Some((.., how)) = self.damaged.filter(this) {
                let cause = format!("{} is damaged: {how}", self.plan.path().display());
                return Err(StoreError::io(doing)(io::Error::other(cause)));
            }
        }
        if !child.sync {
            let run = unsynced::this_run();
            unsynced::begin(data.fd(), &self.plan.name, run.as_deref())
                .map_err(StoreError::io("marking the database as not synced"))?;
        }
        let options = Options { sync: child.sync, ..self.options };
        let database = lmdb::Lmdb::open(self.plan.path(), options)?;
        Ok(Box::new(DbmStore::new(database, mutex.clone(), data)))
    }
}
