//! Stores of other modules: `SessionStore NAME[:ARGUMENT]`, by c_shim/session_store_provider.h.

mod calls;

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

use self::calls::{Calls, FLAGS, Functions};
use super::{Child, News, Parent, Prepared, Verdict};
use crate::core::config::{Server, StoreChoice};
use crate::core::session::codec::RECORD_MAX;
use crate::core::store::external::{ExternalStore, most_of_record};
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;
use crate::httpd::pool::{Pool, Scratch};
use crate::httpd::table::bytes_of;
use crate::httpd::{provider, server as host, sys};
use crate::system::library;

const GROUP: &CStr = literal(sys::SESSION_STORE_PROVIDER_GROUP);
const VERSION: &CStr = literal(sys::SESSION_STORE_PROVIDER_VERSION);
/// Mutexes for changes of a store that does not compare.
const MUTEXES: u32 = 32;

/// A string of the header.
const fn literal(bytes: &'static [u8]) -> &'static CStr {
    match CStr::from_bytes_with_nul(bytes) {
        Ok(text) => text,
        Err(_) => panic!("the header's strings end with a NUL"),
    }
}

/// Which store.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    name: Arc<str>,
    argument: Option<Arc<str>>,
    sync: bool,
    /// `SessionCleanupGrace`.
    grace: Duration,
    mutexes: u32,
}

/// The store, kept by the parent.
struct Ready {
    functions: Functions,
    store: *mut c_void,
}

// SAFETY: made in the parent, which has no threads; children hand the pointer to the provider's `open`,
// and are told by its flags whether several threads may use what comes of it.
unsafe impl Send for Ready {}
// SAFETY: as above.
unsafe impl Sync for Ready {}

fn named(settings: &Server) -> Option<(Arc<str>, Option<Arc<str>>)> {
    match settings.store() {
        StoreChoice::Provider { name, argument } => Some((name, argument)),
        _ => None,
    }
}

/// The functions that are registered under a name; an error if they are not whole.
fn find(name: &str) -> Option<Result<Functions, String>> {
    let found = provider::find(GROUP, name, VERSION)?;
    // SAFETY: registered in this group, whose header says what is to be there.
    Some(
        unsafe { Functions::new(found.cast()) }
            .map_err(|what| format!("SessionStore {name}: its module is built wrong: {what}")),
    )
}

/// Judges the provider, its argument, and whether it can work with this server's processes and threads.
///
/// # Safety
/// `pool` is the configuration's, which is being read; the MPM's settings are known.
pub unsafe fn check(settings: &Server, pool: Pool) -> Result<Verdict, String> {
    let Some((name, argument)) = named(settings) else { return Ok(Verdict::default()) };
    let Some(functions) = find(&name) else {
        // SAFETY: as the caller says.
        let names = unsafe { provider::names(GROUP, VERSION, pool) };
        return Err(format!(
            "SessionStore {name} is none of file, dbm, memory, redis, socache, and no module provides \
             a store of this name; {}",
            super::known(&names, "the module that does")
        ));
    };
    let functions = functions?;
    fits_mpm(&name, &functions, host::processes(), host::threads())?;
    if let Some(problem) = functions.check(argument.as_deref(), pool) {
        return Err(format!("SessionStore {name}: {problem}"));
    }
    super::can_be_counted(settings, &name, functions.lists())?;
    let lacks = |flag| !functions.has(flag);
    let facts = [
        (
            !lacks(FLAGS.remote),
            "requests of one session exclude each other on this machine only; let a visitor's \
             requests come to one machine",
        ),
        (
            lacks(FLAGS.survives_kill),
            "a process that is killed while it writes may damage sessions",
        ),
        (lacks(FLAGS.expires) && !functions.lists(), "sessions that have ended are never removed"),
        (settings.sync() && lacks(FLAGS.syncs), "SessionSync on has no effect"),
    ];
    let warnings = facts.into_iter().filter(|(holds, _)| *holds);
    Ok(Verdict {
        warnings: warnings.map(|(_, text)| format!("SessionStore {name}: {text}")).collect(),
        record_max: Some(most_of_record(functions.record_max())),
    })
}

fn fits_mpm(name: &str, functions: &Functions, processes: u32, threads: u32) -> Result<(), String> {
    if threads > 1 && !functions.has(FLAGS.threads) {
        return Err(format!(
            "SessionStore {name} is not safe for threads, and this MPM has {threads} in a process; \
             use mpm_prefork or another store"
        ));
    }
    if processes > 1 && !functions.has(FLAGS.processes) {
        return Err(format!(
            "SessionStore {name} keeps what one process stores from every other, and this server may \
             have {processes}; use another store"
        ));
    }
    Ok(())
}

impl Plan {
    pub fn new(settings: &Server) -> Result<Plan, String> {
        let (name, argument) = named(settings).ok_or("SessionStore names no provider")?;
        let functions = find(&name).ok_or("SessionStore names no store there is")??;
        let mutexes = if functions.has(FLAGS.compares) { 0 } else { MUTEXES };
        Ok(Plan { name, argument, sync: settings.sync(), grace: settings.cleanup_grace(), mutexes })
    }

    pub fn mutexes(&self) -> u32 {
        self.mutexes
    }

    pub fn prepare(&self, parent: Parent) -> Result<(Box<dyn Prepared>, News), String> {
        let fault = |problem: String| format!("SessionStore {}: {problem}", self.name);
        let functions = find(&self.name);
        let functions = functions.ok_or_else(|| fault("its module is not loaded".to_owned()))??;
        library::keep_loaded(functions.address())
            .map_err(|cause| fault(format!("keeping its module loaded: {cause}")))?;
        let host = sys::session_store_host {
            size: size_of::<sys::session_store_host>(),
            server: parent.server,
            sync: self.sync.into(),
            grace: micros(self.grace),
            record_max: RECORD_MAX,
        };
        let mut store = null_mut();
        let pool = parent.pool.as_ptr();
        let argument = self.argument.as_deref();
        let argument = argument.map_or(null(), |text| parent.pool.bytes(text.as_bytes()));
        let prepare = functions.required().prepare;
        // SAFETY: in the parent, before there are children; the pool is the process's, and the library
        // stays, as was just seen to.
        let problem = unsafe { prepare(&mut store, argument, &host, pool) };
        // SAFETY: null, or a text of the provider's.
        if let Some(text) = unsafe { bytes_of(problem) } {
            return Err(fault(String::from_utf8_lossy(text).into_owned()));
        }
        let text = format!("sessions are kept in the store {} of another module", self.name);
        Ok((Box::new(Ready { functions, store }), vec![(Level::Notice, text)]))
    }

    /// As logs call it; without the argument, which may hold a password.
    pub fn name(&self) -> String {
        self.name.to_string()
    }
}

impl Prepared for Ready {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        let problem = |text: String| StoreError::Io {
            doing: "opening the store of another module",
            cause: std::io::Error::other(text),
        };
        let pool = Scratch::new().map_err(|status| problem(crate::httpd::status::text(status)))?;
        let opened = match self.functions.optional().open {
            None => self.store,
            Some(open) => {
                let mut opened = null_mut();
                // SAFETY: in a child; the store is what `prepare` made, and the pool stays if this works.
                let refused = unsafe { open(&mut opened, self.store, pool.as_ptr()) };
                // SAFETY: null, or a text of the provider's.
                if let Some(text) = unsafe { bytes_of(refused) } {
                    return Err(problem(String::from_utf8_lossy(text).into_owned()));
                }
                pool.for_ever();
                opened
            }
        };
        let calls = Calls::new(self.functions, opened);
        Ok(Box::new(ExternalStore::new(calls, child.own.clone())?))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
