//! The error log.

use std::ffi::CString;
use std::fmt::Arguments;

use super::sys;

/// Levels of the error log that the module uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Level {
    /// The server cannot start or go on.
    Emerg = sys::APLOG_EMERG,
    /// A request could not be served as it should.
    Error = sys::APLOG_ERR,
    /// Something an administrator should change.
    Warning = sys::APLOG_WARNING,
    /// Worth knowing in normal service.
    Notice = sys::APLOG_NOTICE,
    /// For who looks closer.
    Info = sys::APLOG_INFO,
    /// For who looks for a fault.
    Debug = sys::APLOG_DEBUG,
}

/// Writes a line for a server.
///
/// # Safety
/// `server` is null (before there is one) or one of httpd's that lives.
pub unsafe fn server(level: Level, server: *const sys::server_rec, text: Arguments<'_>) {
    let line = line(text);
    // A line written while the configuration is read goes to the terminal as well.
    let level = level as i32 | (sys::APLOG_STARTUP as i32 * i32::from(server.is_null()));
    // SAFETY: the caller vouches for the server, `line` outlives the call.
    unsafe { sys::shim_log_server(level, 0, server, line.as_ptr()) }
}

/// Writes a line for a request.
///
/// # Safety
/// `request` is one of httpd's that lives.
pub unsafe fn request(level: Level, request: *const sys::request_rec, text: Arguments<'_>) {
    let line = line(text);
    // SAFETY: the caller vouches for the request, `line` outlives the call.
    unsafe { sys::shim_log_request(level as i32, 0, request, line.as_ptr()) }
}

fn line(text: Arguments<'_>) -> CString {
    let bytes = text.to_string().replace('\0', "");
    CString::new(bytes).unwrap_or_default()
}
