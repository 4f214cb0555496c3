//! `apr_status_t`: the numbers that bindgen does not see, since they are sums of macros, and their text.
//! APR promises not to change them within a major version.

use super::sys;
use super::table::bytes_of;

/// `APR_EGENERAL`
pub const GENERAL: i32 = 20_014;
/// `APR_EOF`
pub const EOF: i32 = 70_014;
/// `APR_NOTFOUND`
pub const NOT_FOUND: i32 = 70_015;
/// `APR_ENOTIMPL`
pub const NOT_IMPLEMENTED: i32 = 70_023;
/// `APR_EEXIST`
pub const EXISTS: i32 = libc::EEXIST;
/// `APR_EAGAIN`
pub const AGAIN: i32 = libc::EAGAIN;
/// `APR_ENOSPC`
pub const NO_SPACE: i32 = libc::ENOSPC;

/// What APR says of a status.
pub fn text(status: i32) -> String {
    let mut text = [0; 200];
    // SAFETY: APR writes at most that many bytes, the last one NUL.
    let text = unsafe { sys::apr_strerror(status, text.as_mut_ptr(), text.len()) };
    // SAFETY: the C string that was just written.
    let text = unsafe { bytes_of(text) }.unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
