//! The session in httpd's own language: expressions, `Require`, `AuthType`, log formats, rewrite maps.
//!
//! All of them look only: no lease is taken, nobody waits.

mod authn;
mod authz;
mod expr;
mod log;
mod rewrite;

use std::ffi::c_char;

pub use self::authn::{check as check_authn, confirm};
pub use self::expr::lookup as look_up_expression;
use super::answer;
use super::config::place_of;
use super::report;
use super::tree::{self, Failure};
use crate::core::session::values::Key;
use crate::core::session::{Access, Session};
use crate::httpd::pool::Pool;
use crate::httpd::request::Request;
use crate::httpd::sys;

/// Registers the kinds of `Require`.
///
/// # Safety
/// `pool` is the configuration's, while hooks are registered.
pub unsafe fn register(pool: *mut sys::apr_pool_t) {
    // SAFETY: as the caller says.
    unsafe { authz::register(pool) };
}

/// Registers what other modules know by name once all of them are loaded.
///
/// # Safety
/// `pool` is the configuration's, before it is read.
pub unsafe fn register_with_others(pool: *mut sys::apr_pool_t) {
    // SAFETY: as the caller says.
    unsafe { log::register(pool) };
    // SAFETY: as the caller says.
    unsafe { rewrite::register() };
}

/// Shows the session to `body` without taking it; it is read if it was not.
fn look<T>(request: Request<'_>, body: impl FnOnce(&Session) -> T) -> Result<T, Failure> {
    tree::with(request, |session, services| {
        if !session.is_open() && !session.was_let_go() {
            session.open(services, Access::Read)?;
        }
        Ok(body(session))
    })
}

/// Says of the answer that it is for one visitor, now: mod_headers asks behind our filter.
fn depends(request: Request<'_>) {
    let place = place_of(request);
    if place.engine() && !tree::is_closed(request) {
        answer::keep_private(request.answering(), place);
    }
}

/// Whether a value can be a part of a header's (RFC 9110, section 5.5).
fn is_of_one_line(value: &[u8]) -> bool {
    !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// The value of a key as a C string in `pool`; none if there is none, or if it is no piece of a line: what
/// comes of an expression may become a header for a backend, and nothing looks at it in between.
fn value_in(request: Request<'_>, pool: Pool, key: &[u8]) -> Option<*const c_char> {
    let key = Key::from_bytes(key).filter(|key| !key.is_hidden())?;
    let found = look(request, |session| {
        session.get(&key).filter(|value| is_of_one_line(value)).map(|value| pool.bytes(value))
    });
    depends(request);
    match found {
        Ok(value) => value,
        Err(failure) => {
            report::failure(request, "reading a session", &failure);
            None
        }
    }
}
