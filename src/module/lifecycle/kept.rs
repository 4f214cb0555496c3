//! What a parent keeps over graceful restarts.

use std::ffi::CStr;

use super::{LeaseMemory, MUTEX_TYPE};
use crate::core::cleanup;
use crate::core::clock::SystemClock;
use crate::core::lock::table::Layout;
use crate::httpd::log::Level;
use crate::httpd::mutex::{MutexPool, PoolError};
use crate::httpd::pool::Pool;
use crate::httpd::server as host;
use crate::httpd::sys;
use crate::module::process::{LeaseTable, PoolMutexes, Processes};
use crate::module::stores::{News, Parent, Plan, Prepared};
use crate::system::library::Origin;
use crate::system::shared::SharedWords;

/// Names the kept data in this process.
const NAME: &CStr = c"session_store";

/// Names the address of [`BUILD`].
const BUILD_NAME: &CStr = c"session_store:build";

/// Stands for this library, which stays loaded where it is: another one, which a restart may load from
/// another file, must not take the kept data for its own.
static BUILD: u8 = 1;

/// Fewest entries of the lease table.
const ENTRIES_MIN: u32 = 4096;

/// Made once in a parent's life, never freed.
pub struct Kept {
    mutexes: MutexPool,
    asked: u32,
    /// The memory of the lease table.
    pub words: SharedWords,
    /// Its layout.
    pub layout: Layout,
    /// What children know of the cleanup.
    pub board: SharedWords,
    /// The store as it was asked for.
    plan: Plan,
    /// The store.
    pub store: Box<dyn Prepared>,
    /// Mutexes of the store's own, if it asked for some.
    own: Option<MutexPool>,
    /// The file of the code that runs.
    origin: Option<Origin>,
}

impl Kept {
    /// What an earlier generation made, or new ones at the first start.
    ///
    /// # Safety
    /// `main` is httpd's main server, in the parent, in the second pass of the configuration; `scratch`
    /// is the configuration's pool.
    pub unsafe fn find_or_make(
        main: *mut sys::server_rec,
        locks: u32,
        plan: &Plan,
        workers: u32,
        scratch: *mut sys::apr_pool_t,
    ) -> Result<(&'static Kept, News), String> {
        only_build()?;
        // SAFETY: our name; only this function writes there.
        let place = unsafe { host::retained::<Kept>(NAME) };
        // SAFETY: a pointer of httpd's retained data, zeroed at first.
        let found = unsafe { place.read() };
        // SAFETY: null, or what this function put there, which is never freed.
        if let Some(kept) = unsafe { found.as_ref() } {
            // SAFETY: as the caller says; the type was registered in `pre_config`.
            let wanted = unsafe { MutexPool::configured(MUTEX_TYPE, main, scratch) };
            return Ok((kept, kept.differences(locks, plan, wanted)));
        }
        // SAFETY: as the caller says.
        let (kept, news) = unsafe { Kept::make(main, locks, plan, workers)? };
        let kept = Box::leak(Box::new(kept));
        // SAFETY: as above.
        unsafe { place.write(&raw mut *kept) };
        Ok((kept, news))
    }

    unsafe fn make(
        main: *mut sys::server_rec,
        locks: u32,
        plan: &Plan,
        workers: u32,
    ) -> Result<(Kept, News), String> {
        // SAFETY: as the caller says.
        let pool = unsafe { host::process_pool(main) };
        // SAFETY: the process's pool, in the parent, which has one thread.
        let lasting = unsafe { Pool::from_raw(pool) };
        let (store, more) = plan.prepare(Parent { server: main, pool: lasting })?;
        // SAFETY: the type was registered in `pre_config`; this pool lives as long as the parent.
        let made = unsafe { MutexPool::create(MUTEX_TYPE, locks + 1, main, pool) };
        let mutexes = made.map_err(|cause| problem(&cause))?;
        // SAFETY: as above.
        let own = unsafe { own_mutexes(plan.mutexes(), main, pool)? };
        let slots = mutexes.count().saturating_sub(1).max(1);
        let entries = ENTRIES_MIN.max(workers.saturating_mul(4));
        let layout = Layout::new(slots, entries).ok_or("SessionLocks is out of range")?;
        let words = SharedWords::map(layout.words())
            .map_err(|cause| format!("mapping memory for the lease table: {cause}"))?;
        let board = SharedWords::map(cleanup::WORDS)
            .map_err(|cause| format!("mapping memory for the cleanup: {cause}"))?;
        let pool = std::sync::Arc::new(PoolMutexes::new(mutexes));
        LeaseTable::create(
            layout,
            LeaseMemory(words),
            Processes::here(),
            SystemClock,
            pool.clone(),
        );
        let mutexes = std::sync::Arc::into_inner(pool).ok_or("the pool is in use")?.into_pool();
        let mut news = vec![(
            Level::Notice,
            format!("{slots} session locks by {}, {entries} leases", mutexes.mechanism()),
        )];
        if slots < locks {
            let text = format!(
                "SessionLocks {locks} became {slots}: the mutex mechanism {} needs a file for each; \
                 \"Mutex pthread session-store\" needs none",
                mutexes.mechanism()
            );
            news.push((Level::Warning, text));
        }
        news.extend(more);
        let plan = plan.clone();
        let origin = Origin::of((&raw const BUILD).cast());
        Ok((Kept { mutexes, asked: locks, words, layout, board, plan, store, own, origin }, news))
    }

    /// What the configuration asks for now and gets at a full restart only.
    fn differences(&self, locks: u32, plan: &Plan, mechanism: Option<&str>) -> News {
        let mut news = News::new();
        let mut differs = |what: String| {
            let text =
                format!("{what} at the next full restart; a graceful one keeps what is in use");
            news.push((Level::Warning, text));
        };
        if self.asked != locks {
            differs(format!("SessionLocks changes from {} to {locks}", self.asked));
        }
        let now = self.mutexes.mechanism();
        if let Some(mechanism) = mechanism.filter(|wanted| *wanted != now) {
            differs(format!("the mechanism of session locks changes from {now} to {mechanism}"));
        }
        if self.origin.as_ref().is_some_and(Origin::is_replaced) {
            differs("the file of the module was replaced, and is loaded".to_owned());
        }
        if let Some(change) = plan.change_from(&self.plan) {
            differs(change);
        }
        news
    }

    /// The pool for a new child.
    ///
    /// # Safety
    /// Called once in a new child, before it has threads; `pool` is the child's.
    pub unsafe fn attach(&self, pool: *mut sys::apr_pool_t) -> Result<PoolMutexes, String> {
        // SAFETY: as the caller says.
        unsafe { attach(&self.mutexes, pool) }
    }

    /// The store's own mutexes for a new child, if it has some.
    ///
    /// # Safety
    /// As [`Kept::attach`].
    pub unsafe fn attach_own(
        &self,
        pool: *mut sys::apr_pool_t,
    ) -> Result<Option<PoolMutexes>, String> {
        // SAFETY: as the caller says.
        let own = self.own.as_ref().map(|own| unsafe { attach(own, pool) }).transpose()?;
        Ok(own.map(PoolMutexes::of_store))
    }
}

unsafe fn attach(mutexes: &MutexPool, pool: *mut sys::apr_pool_t) -> Result<PoolMutexes, String> {
    // SAFETY: as the caller says.
    let mutexes = unsafe { mutexes.attached(pool) }
        .map_err(|status| format!("attaching a child to its session locks: status {status}"))?;
    mutexes.dont_fork();
    Ok(PoolMutexes::new(mutexes))
}

/// The mutexes that a store needs for itself, under names of their own: a file mechanism makes a file
/// of each name.
unsafe fn own_mutexes(
    count: u32,
    main: *mut sys::server_rec,
    pool: *mut sys::apr_pool_t,
) -> Result<Option<MutexPool>, String> {
    if count == 0 {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    let made = unsafe { MutexPool::create_named(MUTEX_TYPE, "store-", count + 1, main, pool) };
    made.map(Some).map_err(|cause| problem(&cause))
}

fn problem(cause: &PoolError) -> String {
    match cause {
        PoolError::PosixSem => {
            "the mutex mechanism posixsem stays locked for ever when its holder \
                                dies: write \"Mutex pthread session-store\""
                .to_owned()
        }
        PoolError::Failed(status) => format!(
            "making the session locks failed with status {status}; fewer SessionLocks, or another \
             mechanism by the Mutex directive, may help"
        ),
    }
}

/// Refuses to run beside another build of the module.
fn only_build() -> Result<(), String> {
    // SAFETY: our name, for an address that is compared and nothing else.
    let place = unsafe { host::retained::<u8>(BUILD_NAME) };
    // SAFETY: a pointer of httpd's retained data, zeroed at first.
    let before = unsafe { place.read() };
    let this = (&raw const BUILD).cast_mut();
    if before.is_null() {
        // SAFETY: as above.
        unsafe { place.write(this) };
    } else if before != this {
        return Err(
            "LoadModule names another file than the one whose code runs, and what that keeps for \
                    sessions cannot be handed over: stop httpd and start it"
                .to_owned(),
        );
    }
    Ok(())
}
