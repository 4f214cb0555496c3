//! mod_watchdog, if the server has it: work in one child at a time, beside the requests.
//!
//! Its functions are optional ones, looked up by name: nothing is linked, and a server without it works
//! as well.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::time::Duration;

use super::sys;

/// `AP_WATCHDOG_STATE_RUNNING`: it is time again.
pub const RUNNING: c_int = 2;

/// What is called: the state, the data it was registered with, a pool for the call. It returns 0, or it
/// is not called again.
pub type Callback =
    unsafe extern "C" fn(c_int, *mut c_void, *mut sys::apr_pool_t) -> sys::apr_status_t;

/// `ap_watchdog_get_instance`: the last but one arguments say whether it is the parent's, and whether
/// one process at a time is at it.
type GetInstance = unsafe extern "C" fn(
    *mut *mut c_void,
    *const c_char,
    c_int,
    c_int,
    *mut sys::apr_pool_t,
) -> sys::apr_status_t;

/// `ap_watchdog_register_callback`
type Register = unsafe extern "C" fn(
    *mut c_void,
    sys::apr_interval_time_t,
    *const c_void,
    Callback,
) -> sys::apr_status_t;

/// Lets one child at a time call `callback` every `interval`, in a thread of its own. False if there is
/// no mod_watchdog.
///
/// # Errors
/// The status that mod_watchdog answered.
///
/// # Safety
/// Called while the configuration is set up, whose pool is `pool`, before mod_watchdog makes its threads.
pub unsafe fn call_in_one_child(
    name: &CStr,
    interval: Duration,
    callback: Callback,
    pool: *mut sys::apr_pool_t,
) -> Result<bool, sys::apr_status_t> {
    let (Some(get), Some(register)) =
        (function(c"ap_watchdog_get_instance"), function(c"ap_watchdog_register_callback"))
    else {
        return Ok(false);
    };
    // SAFETY: mod_watchdog registers a function of this type under this name.
    let get = unsafe { std::mem::transmute::<unsafe extern "C" fn(), GetInstance>(get) };
    // SAFETY: as above.
    let register = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Register>(register) };
    let mut watchdog = null_mut();
    // SAFETY: the caller vouches for pool and time; the name is a C string.
    let status = unsafe { get(&raw mut watchdog, name.as_ptr(), 0, 1, pool) };
    if status != 0 {
        return Err(status);
    }
    let interval = sys::apr_interval_time_t::try_from(interval.as_micros()).unwrap_or(1_000_000);
    // SAFETY: the watchdog has just been made; the callback is a function of this library, which stays.
    match unsafe { register(watchdog, interval, null(), callback) } {
        0 => Ok(true),
        status => Err(status),
    }
}

/// An optional function of another module.
fn function(name: &CStr) -> Option<unsafe extern "C" fn()> {
    // SAFETY: a C string; the answer is null or a function.
    unsafe { sys::apr_dynamic_fn_retrieve(name.as_ptr()) }
}
