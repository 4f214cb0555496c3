//! `Require session`, `Require session-user`, `Require session-value`.

use std::ffi::{CStr, c_char, c_void};

use super::look;
use crate::core::session::Session;
use crate::core::session::values::Key;
use crate::httpd::guard::guarded;
use crate::httpd::language::{register_require, words};
use crate::httpd::pool::Pool;
use crate::httpd::request::Request;
use crate::httpd::sys;
use crate::module::report;
use crate::module::tree::Failure;

type Words = [Vec<u8>];

const DENIED: sys::authz_status = sys::authz_status_AUTHZ_DENIED;

/// # Safety
/// As [`super::register`].
pub unsafe fn register(pool: *mut sys::apr_pool_t) {
    let all = [(c"session", &SESSION), (c"session-user", &USER), (c"session-value", &VALUE)];
    for (name, provider) in all {
        // SAFETY: as the caller says; the providers are statics.
        unsafe { register_require(pool, name, &provider.0) };
    }
}

/// A table of functions: it never changes.
struct Provider(sys::authz_provider);

// SAFETY: function pointers, read only.
unsafe impl Sync for Provider {}

/// A session was found.
static SESSION: Provider = Provider(sys::authz_provider {
    check_authorization: Some(check_session),
    parse_require_line: Some(parse_session),
});
/// Its user is one of these.
static USER: Provider = Provider(sys::authz_provider {
    check_authorization: Some(check_user),
    parse_require_line: Some(parse_user),
});
/// Its value under a key is one of these.
static VALUE: Provider = Provider(sys::authz_provider {
    check_authorization: Some(check_value),
    parse_require_line: Some(parse_value),
});

type Raw = *mut sys::request_rec;
type Line = *const c_char;
type Parsed = *const c_void;

unsafe extern "C" fn check_session(record: Raw, line: Line, _: Parsed) -> sys::authz_status {
    // SAFETY: httpd's record and line, in the thread that works on the request.
    unsafe { check(record, line, |session, _| !session.is_new()) }
}

unsafe extern "C" fn check_user(record: Raw, line: Line, _: Parsed) -> sys::authz_status {
    let wanted = |session: &Session, names: &Words| {
        session.user().is_some_and(|user| names.iter().any(|name| name == user.as_bytes()))
    };
    // SAFETY: as above.
    unsafe { check(record, line, wanted) }
}

unsafe extern "C" fn check_value(record: Raw, line: Line, _: Parsed) -> sys::authz_status {
    let wanted = |session: &Session, words: &Words| {
        let Some((key, values)) = words.split_first() else { return false };
        let found = Key::from_bytes(key).and_then(|key| session.get(&key));
        found.is_some_and(|found| values.iter().any(|value| value == found))
    };
    // SAFETY: as above.
    unsafe { check(record, line, wanted) }
}

/// # Safety
/// `record` and `line` are httpd's, in the thread that works on the request.
unsafe fn check(
    record: Raw,
    line: Line,
    wanted: impl FnOnce(&Session, &Words) -> bool,
) -> sys::authz_status {
    // SAFETY: as the caller says.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return DENIED };
    let granted = || {
        // SAFETY: as the caller says.
        let words = unsafe { words(request.pool(), line) };
        match look(request, |session| wanted(session, &words)) {
            Ok(true) => sys::authz_status_AUTHZ_GRANTED,
            Ok(false) | Err(Failure::Off) => DENIED,
            Err(failure) => {
                report::failure(request, "reading a session for Require", &failure);
                sys::authz_status_AUTHZ_GENERAL_ERROR
            }
        }
    };
    guarded(granted, || sys::authz_status_AUTHZ_GENERAL_ERROR)
}

unsafe extern "C" fn parse_session(
    command: *mut sys::cmd_parms,
    line: Line,
    _: *mut *const c_void,
) -> *const c_char {
    let takes = c"Require session takes no words";
    // SAFETY: httpd's command and line.
    unsafe { parse(command, line, takes, |words| words.is_empty()) }
}

unsafe extern "C" fn parse_user(
    command: *mut sys::cmd_parms,
    line: Line,
    _: *mut *const c_void,
) -> *const c_char {
    let takes = c"Require session-user takes one user or more";
    // SAFETY: as above.
    unsafe { parse(command, line, takes, |words| !words.is_empty()) }
}

unsafe extern "C" fn parse_value(
    command: *mut sys::cmd_parms,
    line: Line,
    _: *mut *const c_void,
) -> *const c_char {
    let takes = c"Require session-value takes a key and one value or more";
    let right = |words: &Words| {
        words
            .split_first()
            .is_some_and(|(key, values)| Key::from_bytes(key).is_some() && !values.is_empty())
    };
    // SAFETY: as above.
    unsafe { parse(command, line, takes, right) }
}

/// Null if the words of the line are right, else what it should be.
///
/// # Safety
/// `command` is httpd's; `line` is null or a C string.
unsafe fn parse(
    command: *mut sys::cmd_parms,
    line: Line,
    takes: &'static CStr,
    right: impl FnOnce(&Words) -> bool,
) -> *const c_char {
    let checked = || {
        // SAFETY: as the caller says.
        let pool = unsafe { (*command).temp_pool };
        // SAFETY: a command has a pool for what it needs while the configuration is read.
        let pool = unsafe { Pool::from_raw(pool) };
        // SAFETY: as the caller says.
        let words = unsafe { words(pool, line) };
        if right(&words) { std::ptr::null() } else { takes.as_ptr() }
    };
    guarded(checked, || takes.as_ptr())
}
