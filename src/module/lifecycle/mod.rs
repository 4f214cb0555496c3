//! Start, restart, children: what is made when, and what outlives what.
//!
//! The mutex pool, the lease table and the lock on the data directory are made once in a parent's life
//! and kept over graceful restarts, so that children of two generations exclude each other. They are
//! found again through httpd's retained data. What would need new ones changes at a full restart only.

mod checks;
mod dump;
mod kept;

use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::time::Duration;

use self::checks::Checked;
pub use self::dump::dump;
use self::kept::Kept;
use super::bridge;
use super::clients;
use super::config::{separate, server_config, server_config_mut, servers};
use super::language;
use super::process::{Cleaner, LeaseMemory, LeaseTable, Parts, Process, Processes};
use super::stores::{self, Child};
use super::{api, cleanup};
use crate::core::cleanup::Settings;
use crate::core::clock::SystemClock;
use crate::core::lock::SlotMutexes;
use crate::core::session::secrets;
use crate::core::session::wire::Secrets;
use crate::httpd::guard::{guarded, quiet_panics};
use crate::httpd::log::{self, Level};
use crate::httpd::pool::Pool;
use crate::httpd::server as host;
use crate::httpd::sys;

/// The type of our mutexes in httpd's `Mutex` directive.
const MUTEX_TYPE: &CStr = c"session-store";
const OK: c_int = sys::OK as c_int;
const FAILED: c_int = sys::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// What children need to know.
#[derive(Clone)]
pub struct Plan {
    kept: &'static Kept,
    sync: bool,
    cleanup: Option<Settings>,
    grace: Duration,
    by_requests: bool,
    max_sessions: Option<u32>,
    secrets: Secrets,
    workers: u32,
    shared_writes: bool,
}

/// Registers hooks and optional functions; called at each start and restart.
pub unsafe extern "C" fn register_hooks(pool: *mut sys::apr_pool_t) {
    guarded(
        || {
            // SAFETY: called by httpd while it sets up this module's hooks.
            unsafe { sys::shim_register_hooks() };
            api::register();
            // SAFETY: called while httpd sets up this module's hooks, with the configuration's pool.
            unsafe { language::register(pool) };
        },
        || (),
    );
}

/// Names our mutex type before `Mutex` directives are read.
///
/// # Safety
/// `pool` is the configuration's.
pub unsafe fn pre_config(pool: *mut sys::apr_pool_t) -> c_int {
    // SAFETY: as the caller says.
    unsafe { language::register_with_others(pool) };
    // SAFETY: every module of the configuration is loaded, and hooks are sorted later.
    unsafe { bridge::register() };
    // SAFETY: the caller vouches for the pool; the type is a literal.
    let status = unsafe {
        sys::ap_mutex_register(
            pool,
            MUTEX_TYPE.as_ptr(),
            std::ptr::null(),
            sys::apr_lockmech_e_APR_LOCK_DEFAULT,
            0,
        )
    };
    if status == 0 { OK } else { FAILED }
}

/// Judges the configuration as a whole.
///
/// # Safety
/// `main` is httpd's main server, while nobody else uses the configuration, whose pool is `pool`.
pub unsafe fn check_config(pool: *mut sys::apr_pool_t, main: *mut sys::server_rec) -> c_int {
    // SAFETY: as the caller says.
    unsafe { separate(main, pool) };
    // SAFETY: as the caller says.
    let pool = unsafe { Pool::from_raw(pool) };
    // SAFETY: as the caller says.
    let Checked { problems, warnings } = unsafe { checks::check(pool, main) };
    if host::is_worth_telling() {
        for warning in &warnings {
            say(main, Level::Warning, warning);
        }
    }
    for problem in &problems {
        say(main, Level::Emerg, problem);
    }
    if problems.is_empty() { OK } else { FAILED }
}

/// Makes, or finds again, what all children share.
///
/// # Safety
/// As [`check_config`]; `pool` is the configuration's.
pub unsafe fn post_config(pool: *mut sys::apr_pool_t, main: *mut sys::server_rec) -> c_int {
    if host::is_first_pass() {
        return OK;
    }
    // SAFETY: as the caller says.
    let planned = unsafe { plan(main, pool) };
    match planned {
        Ok(plan) => {
            // SAFETY: as the caller says.
            unsafe { server_config_mut(main) }.plan = plan;
            OK
        }
        Err(problem) => {
            say(main, Level::Emerg, &problem);
            FAILED
        }
    }
}

unsafe fn plan(
    main: *mut sys::server_rec,
    pool: *mut sys::apr_pool_t,
) -> Result<Option<Plan>, String> {
    // SAFETY: as the caller says.
    if !unsafe { checks::engine_is_on(main) } {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    let settings = unsafe { server_config(main) }.settings.clone();
    let store = stores::Plan::new(&settings)?;
    let owner = host::child_owner();
    let secrets = secrets::read(settings.secrets(), owner, host::below_root)?;
    let workers = host::workers();
    // SAFETY: as the caller says.
    let (kept, news) =
        unsafe { Kept::find_or_make(main, settings.locks(), &store, workers, pool)? };
    for (level, text) in news {
        say(main, level, &text);
    }
    let limit = settings.cleanup_limit();
    let grace = settings.cleanup_grace();
    let cleanup = settings.cleanup_interval().map(|interval| Settings { interval, limit, grace });
    // SAFETY: as the caller says; mod_watchdog makes its threads last.
    let watched = cleanup.is_some() && unsafe { cleanup::register(pool)? };
    if cleanup.is_some() && !watched {
        let text = "there is no mod_watchdog: expired sessions are removed after requests";
        say(main, Level::Notice, text);
    }
    Ok(Some(Plan {
        kept,
        sync: settings.sync(),
        cleanup,
        grace,
        by_requests: cleanup.is_some() && !watched,
        max_sessions: settings.max_sessions(),
        secrets: Secrets::new(&secrets),
        workers,
        // SAFETY: as the caller says.
        shared_writes: unsafe { checks::writes_without_lease(main) },
    }))
}

/// Attaches a new child to what all share.
///
/// # Safety
/// Called once in a new child, before it has threads; `pool` is the child's, `main` httpd's main server.
pub unsafe fn child_init(pool: *mut sys::apr_pool_t, main: *mut sys::server_rec) {
    quiet_panics();
    // SAFETY: nobody changes the settings in a child.
    let plan = unsafe { server_config(main) }.plan.clone();
    clients::watch(plan.is_some());
    bridge::start();
    let Some(plan) = plan else { return };
    // SAFETY: as the caller says.
    let mutexes = match unsafe { plan.kept.attach(pool) } {
        Ok(mutexes) => Arc::new(mutexes),
        Err(problem) => return say(main, Level::Error, &problem),
    };
    // SAFETY: as the caller says.
    let own = match unsafe { plan.kept.attach_own(pool) } {
        Ok(own) => own.map(|own| Arc::new(own) as Arc<dyn SlotMutexes>),
        Err(problem) => return say(main, Level::Error, &problem),
    };
    let memory = LeaseMemory(plan.kept.words);
    plan.kept.words.dont_fork();
    plan.kept.board.dont_fork();
    let here = Processes::here();
    let table = LeaseTable::open(plan.kept.layout, memory, here, SystemClock, Arc::clone(&mutexes));
    let leases = match table {
        // Of a child's threads at least half go on serving those who wait for nobody.
        Ok(leases) if host::threads() > 1 => leases.with_waiters_here(host::threads() / 2),
        Ok(leases) => leases,
        Err(problem) => return say(main, Level::Error, &problem.to_string()),
    };
    let board = LeaseMemory(plan.kept.board);
    let process = Process::new(Parts {
        prepared: &*plan.kept.store,
        child: Child { slots: mutexes, own, sync: plan.sync, grace: plan.grace },
        leases,
        cleaner: Cleaner::new(board, Processes::here(), SystemClock, plan.cleanup),
        by_requests: plan.by_requests,
        max_sessions: plan.max_sessions,
        // SAFETY: as the caller says.
        main: unsafe { host::MainServer::new(main) },
        secrets: plan.secrets,
        workers: plan.workers,
        shared_writes: plan.shared_writes,
    });
    if let Err(problem) = process.store() {
        say(main, Level::Error, &format!("opening the store in a child: {problem}"));
    }
    process.install();
    if plan.by_requests {
        // SAFETY: as the caller says.
        unsafe { cleanup::stop_with(pool) };
    }
}

fn say(main: *const sys::server_rec, level: Level, text: &str) {
    // SAFETY: httpd's main server, which lives.
    unsafe { log::server(level, main, format_args!("{text}")) }
}

/// Names of virtual hosts and their settings, for [`checks`].
unsafe fn all_servers(main: *mut sys::server_rec) -> Vec<*mut sys::server_rec> {
    // SAFETY: as the caller says.
    unsafe { servers(main) }.collect()
}
