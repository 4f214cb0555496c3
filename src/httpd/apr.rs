//! APR in a program that is no httpd.

use std::sync::OnceLock;

use super::sys;

/// Makes APR ready; once in a process, however often it is called. httpd does so by itself.
///
/// # Errors
/// What APR says, as its status.
pub fn initialize() -> Result<(), i32> {
    static STATUS: OnceLock<i32> = OnceLock::new();
    // SAFETY: nothing else of APR's was used before, and it stays to the end of the process.
    match *STATUS.get_or_init(|| unsafe { sys::apr_initialize() }) {
        0 => Ok(()),
        status => Err(status),
    }
}
