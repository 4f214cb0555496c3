//! `RewriteMap NAME int:session`: from a key to its value.

use std::ffi::c_char;

use super::value_in;
use crate::httpd::guard::guarded;
use crate::httpd::language::register_map;
use crate::httpd::request::Request;
use crate::httpd::sys;
use crate::httpd::table::bytes_of;

/// # Safety
/// As [`super::register_with_others`].
pub unsafe fn register() {
    // SAFETY: as the caller says.
    unsafe { register_map(c"session", value) };
}

/// Null, so that the map's default is taken, if there is no value.
unsafe extern "C" fn value(record: *mut sys::request_rec, key: *mut c_char) -> *mut c_char {
    // SAFETY: httpd's record, in the thread that works on it.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return std::ptr::null_mut() };
    // SAFETY: a C string of mod_rewrite's.
    let key = unsafe { bytes_of(key) }.unwrap_or_default();
    let found = || value_in(request, request.pool(), key);
    guarded(found, || None).map_or(std::ptr::null_mut(), <*const c_char>::cast_mut)
}
