//! When expired records are removed: by mod_watchdog in one child of the server, or, where there is no
//! mod_watchdog, beside the requests.
//!
//! In the latter case a request that is being logged, whose answer has left, looks whether a round is
//! due. If so it starts a thread for it and goes: its client's next request waits for nothing. At most
//! one process of the server is at it; a child that ends stops its round and waits for it.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::config::place_of;
use super::process::{self, Process, Turn};
use crate::core::session::id::SystemRandom;
use crate::httpd::guard::guarded;
use crate::httpd::log::{self, Level};
use crate::httpd::pool::Pool;
use crate::httpd::request::Request;
use crate::httpd::{server as host, sys, watchdog};
use crate::system::thread;

/// How often mod_watchdog asks whether a round is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Lets mod_watchdog call; false if there is none.
///
/// # Safety
/// As [`watchdog::call_in_one_child`].
pub unsafe fn register(pool: *mut sys::apr_pool_t) -> Result<bool, String> {
    // SAFETY: as the caller says.
    let called =
        unsafe { watchdog::call_in_one_child(c"session_store", LOOK_EVERY, on_watchdog, pool) };
    called.map_err(|status| format!("registering with mod_watchdog: status {status}"))
}

/// Called in a thread of mod_watchdog's, in the one child that it chose.
unsafe extern "C" fn on_watchdog(
    state: c_int,
    _: *mut c_void,
    _: *mut sys::apr_pool_t,
) -> sys::apr_status_t {
    if state == watchdog::RUNNING {
        guarded(
            || {
                let Some(process) = process::get() else { return };
                if let Some(turn) = process.cleaner.turn() {
                    run(process, turn, &host::is_stopping);
                }
            },
            || (),
        );
    }
    0
}

fn run(process: &Process, turn: Turn<'_>, stop: &dyn Fn() -> bool) {
    let store = match process.store() {
        Ok(store) if store.abilities().lists => store,
        // Where the store is out of reach, requests say so.
        Ok(_) | Err(_) => return,
    };
    let round = turn.round(store, &SystemRandom, stop);
    let level = match (round.is_trouble(), round.did_something()) {
        (true, _) => Level::Notice,
        (false, true) => Level::Info,
        // Whoever asks whether it runs at all sees that it does.
        (false, false) => Level::Debug,
    };
    // SAFETY: the main server lives as long as the child.
    unsafe { log::server(level, process.main.as_ptr(), format_args!("{round}")) };
}

/// The round of this child that a request has started.
#[derive(Default)]
pub struct Aside {
    stop: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// When a request is logged: starts the round that is due, if requests have to see to that.
pub fn after_request(request: Request<'_>) {
    let Some(process) = process::get() else { return };
    let Some(aside) = process.aside.as_ref().filter(|_| process.cleaner.is_due()) else { return };
    if aside.stop.load(Ordering::Relaxed) || !place_of(request).engine() {
        return;
    }
    let Some(turn) = process.cleaner.turn() else { return };
    let mut thread = aside.thread.lock().unwrap_or_else(PoisonError::into_inner);
    let stop = || aside.stop.load(Ordering::Relaxed) || host::is_stopping();
    let body = move || guarded(|| run(process, turn, &stop), || ());
    // The one before has ended: one at a time has the turn.
    *thread = thread::start("session-cleanup", body).ok();
}

/// Makes a child that ends wait for its round, which stops.
///
/// # Safety
/// `pool` is that of a child that has installed its process.
pub unsafe fn stop_with(pool: *mut sys::apr_pool_t) {
    // SAFETY: as the caller says.
    let pool = unsafe { Pool::from_raw(pool) };
    // SAFETY: the function needs no data.
    unsafe { pool.before_clear(std::ptr::null(), stop_aside) };
}

unsafe extern "C" fn stop_aside(_: *mut c_void) -> sys::apr_status_t {
    guarded(
        || {
            let Some(aside) = process::get().and_then(|process| process.aside.as_ref()) else {
                return;
            };
            aside.stop.store(true, Ordering::Relaxed);
            let thread = aside.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = thread.map(JoinHandle::join);
        },
        || (),
    );
    0
}
