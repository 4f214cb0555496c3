//! The C interface of `c_shim/mod_session_store.h`: exported symbols, and the same functions as APR
//! optional functions. What each promises is said in the header.
//!
//! Every function checks its pointers, runs its body behind the guard and maps the outcome; a panic is
//! `APR_EGENERAL`. Results are copied into the pool of the request tree's first request.

mod facts;
mod forms;
mod life;
mod register;
mod status;
mod values;

use std::ffi::{c_char, c_int};

pub use self::facts::*;
pub use self::forms::*;
pub use self::life::*;
pub use self::register::register;
use self::status::{CODES, call, code};
pub use self::values::*;
use super::notes::{self, Pending};
use super::tree::{self, Failure};
use crate::core::session::values::Key;
use crate::core::session::{Services, Session, SessionError};
use crate::httpd::request::Request;
use crate::httpd::sys::{SESSION_STORE_VERSION, apr_status_t, request_rec};
use crate::httpd::table::bytes_of;

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn session_store_version() -> c_int {
    SESSION_STORE_VERSION as c_int
}

/// Whether the caller has opened the session for a look only.
fn is_looking(request: Request<'_>) -> bool {
    tree::slot(request.anchor()).is_some_and(|anchor| anchor.looking.get())
}

/// Opens the session as the place says and runs `body` with it.
fn with<T>(
    request: Request<'_>,
    body: impl FnOnce(&mut Session, &Services<'_>) -> Result<T, SessionError>,
) -> Result<T, apr_status_t> {
    let looking = is_looking(request);
    let outcome = tree::with(request, |session, services| {
        // What was read for its id alone is taken now; what a caller wants to look at only is not.
        if !session.is_open() || !looking {
            session.take(services)?;
        }
        body(session, services)
    });
    told(request, outcome)
}

/// As [`with`], for what only reads: a session that its handler let go is shown as it was then.
fn look<T>(
    request: Request<'_>,
    body: impl FnOnce(&mut Session, &Services<'_>) -> Result<T, SessionError>,
) -> Result<T, apr_status_t> {
    let looking = is_looking(request);
    let outcome = tree::with(request, |session, services| {
        if !session.was_let_go() && (!session.is_open() || !looking) {
            session.take(services)?;
        }
        body(session, services)
    });
    told(request, outcome)
}

/// The status for a caller. Handlers that run do not go on with notes of a session that has ended.
fn told<T>(request: Request<'_>, outcome: Result<T, Failure>) -> Result<T, apr_status_t> {
    if matches!(outcome, Err(Failure::Session(SessionError::Gone))) {
        notes::refresh_all(request, Pending::Go);
    }
    outcome.map_err(|failure| code(request, &failure))
}

/// Runs `body`, which changes the session as a whole, and brings the notes of running handlers up to
/// date.
fn change(
    r: *mut request_rec,
    pending: Pending,
    body: impl FnOnce(&mut Session, &Services<'_>) -> Result<(), SessionError>,
) -> apr_status_t {
    call(r, |request| {
        let outcome = with(request, body);
        if outcome.is_ok() {
            notes::refresh_all(request, pending);
        }
        outcome
    })
}

/// Reads a key; none if the pointer is null or the text no key.
fn key_at(key: *const c_char) -> Result<Key, apr_status_t> {
    // SAFETY: the header asks for a C string.
    unsafe { bytes_of(key) }.and_then(Key::from_bytes).ok_or(CODES.invalid)
}

/// The place a result goes to.
fn place_for<'a, T>(out: *mut T) -> Result<&'a mut T, apr_status_t> {
    // SAFETY: not null; the header asks for a variable of the caller's, which lives during the call.
    unsafe { out.as_mut() }.ok_or(CODES.invalid)
}

fn copied(request: Request<'_>, bytes: &[u8]) -> *const c_char {
    request.anchor().pool().bytes(bytes)
}
