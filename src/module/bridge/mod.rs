//! Storage for httpd's mod_session: with `Session On` where sessions of ours exist, its entries are kept
//! in them, and mod_auth_form and whoever else uses mod_session is in the same session as all others.
//!
//! mod_session asks for its session whenever somebody wants to see it, and says what is to be kept in
//! its output filter, right in front of ours.

mod load;
mod save;

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::panicked;
use super::report;
use super::tree::{self, Failure, Identity};
use crate::core::session::values::Values;
use crate::httpd::guard::guarded;
use crate::httpd::mod_session::{self, Entries};
use crate::httpd::request::Request;
use crate::httpd::status::GENERAL;
use crate::httpd::sys;

const OK: c_int = sys::OK as c_int;
const NAME: &std::ffi::CStr = c"mod_session_store.c";
/// The first status that is an error of the server.
const FAILED: u16 = sys::HTTP_INTERNAL_SERVER_ERROR as u16;

/// Somebody else encodes what mod_session wants kept, maybe. Set in each new child.
static ENCODED: AtomicBool = AtomicBool::new(false);

/// What mod_session was given in a request tree: with its first record.
#[derive(Default)]
pub struct State {
    given: Vec<Given>,
    trouble: Trouble,
}

/// The entries of one session.
struct Given {
    identity: Identity,
    entries: Entries,
    /// The session as it was seen for them.
    seen: Values,
    /// What was in them.
    before: Values,
    /// Others had encoded it.
    opened: bool,
}

/// A session of mod_session's that could not be read or kept.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// The answer is to be an error of this status.
    Due(u16),
    /// It was.
    Over,
}

/// Offers our sessions to mod_session, if it is loaded.
///
/// # Safety
/// In `pre_config`, once for each configuration.
pub unsafe fn register() {
    // SAFETY: as the caller says; this library stays loaded.
    unsafe { mod_session::register(NAME, load_session, save_session) };
}

/// A new child begins.
pub fn start() {
    ENCODED.store(mod_session::others_encode(), Ordering::Relaxed);
}

/// mod_session asks for the session of a request.
unsafe extern "C" fn load_session(
    record: *mut sys::request_rec,
    found: *mut *mut sys::session_rec,
) -> sys::apr_status_t {
    // SAFETY: httpd's record, in the thread that works on it.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return sys::DECLINED };
    // SAFETY: mod_session's variable, during the call.
    let Some(found) = (unsafe { found.as_mut() }) else { return sys::DECLINED };
    let load = || match load::load(request) {
        Ok(entries) => {
            *found = entries.as_ptr();
            OK
        }
        Err(Failure::Off) => sys::DECLINED,
        // The request is over.
        Err(_) => GENERAL,
    };
    guarded(load, || broken(request))
}

/// mod_session wants kept what the session of a request is now.
unsafe extern "C" fn save_session(
    record: *mut sys::request_rec,
    entries: *mut sys::session_rec,
) -> sys::apr_status_t {
    // SAFETY: httpd's record, in the thread that works on it.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return sys::DECLINED };
    // SAFETY: what mod_session has of the session, which lives as long as the request.
    let Some(entries) = (unsafe { Entries::from_raw(entries) }) else { return sys::DECLINED };
    let save = || match save::save(request, entries) {
        Ok(()) => OK,
        Err(Failure::Off) => sys::DECLINED,
        Err(failure) => {
            entries.forbid_saving();
            failed(request, "keeping what mod_session has", &failure);
            GENERAL
        }
    };
    guarded(save, || broken(request))
}

fn broken(request: Request<'_>) -> c_int {
    panicked(request);
    GENERAL
}

/// mod_session goes on as if nothing were wrong, and so does whoever used it. As long as the head has not
/// left, the answer becomes an error: a redirect after a log-in that was not kept would only mislead.
fn failed(request: Request<'_>, doing: &str, failure: &Failure) {
    report::failure(request, doing, failure);
    if let Some(anchor) = tree::slot(request.anchor()) {
        let trouble = &mut anchor.bridge.borrow_mut().trouble;
        if *trouble == Trouble::None {
            *trouble = Trouble::Due(report::status(failure));
        }
    }
}

/// The status of the error that is to take the place of an answer whose head is about to leave; once.
pub fn error_due(request: Request<'_>) -> Option<u16> {
    let anchor = tree::slot(request.anchor())?;
    let trouble = &mut anchor.bridge.borrow_mut().trouble;
    let Trouble::Due(status) = *trouble else { return None };
    *trouble = Trouble::Over;
    // An answer that is an error already says enough.
    (request.status() < FAILED).then_some(status)
}
