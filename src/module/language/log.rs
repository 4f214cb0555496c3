//! `%{key}^ss` in log formats: a value as the request saw it last.

use std::ffi::c_char;

use crate::core::session::values::Key;
use crate::httpd::guard::guarded;
use crate::httpd::language::{log_item, register_log};
use crate::httpd::request::Request;
use crate::httpd::sys;
use crate::httpd::table::bytes_of;
use crate::module::tree;

/// # Safety
/// As [`super::register_with_others`].
pub unsafe fn register(pool: *mut sys::apr_pool_t) {
    // SAFETY: as the caller says.
    unsafe { register_log(pool, c"^ss", value) };
}

/// Nothing is read from a store any more: a request that had nothing to do with its session logs none.
unsafe extern "C" fn value(record: *mut sys::request_rec, key: *mut c_char) -> *const c_char {
    let none = std::ptr::null();
    // SAFETY: httpd's record while it is logged.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return none };
    // SAFETY: a C string of the log format.
    let key = unsafe { bytes_of(key) }.and_then(Key::from_bytes);
    let Some(key) = key.filter(|key| !key.is_hidden()) else { return none };
    let pool = request.pool();
    let found = || {
        tree::seen(request, |session| session.get(&key).map(|value| pool.bytes(value)))
            .flatten()
            // SAFETY: the value was copied into this pool.
            .map_or(none, |value| unsafe { log_item(pool, value) })
    };
    guarded(found, || none)
}
