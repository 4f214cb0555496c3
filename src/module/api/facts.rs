//! What a session is: id, age, user.

use std::ffi::{CStr, c_char, c_int};
use std::time::Duration;

use super::status::{call, code};
use super::{change, copied, look, place_for};
use crate::core::clock::Time;
use crate::core::session::{Access, Services, Session, SessionError};
use crate::httpd::sys::{apr_interval_time_t, apr_status_t, apr_time_t, request_rec};
use crate::module::notes::Pending;
use crate::module::tree;

/// Hands out a string or null.
fn text(
    r: *mut request_rec,
    out: *mut *const c_char,
    read: impl FnOnce(&mut Session, &Services<'_>) -> Result<Option<String>, SessionError>,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(out)?;
        let text = look(request, read)?;
        *out = text.map_or(std::ptr::null(), |text| copied(request, text.as_bytes()));
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_id(
    r: *mut request_rec,
    id: *mut *const c_char,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(id)?;
        // A look is enough: who asks for the id alone must not wait for the session.
        let wire = tree::with(request, |session, services| {
            if !session.is_open() {
                session.open(services, Access::Read)?;
            }
            session.wire_id(services)
        });
        let wire = wire.map_err(|failure| code(request, &failure))?;
        *out = copied(request, wire.as_bytes());
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_reason(
    r: *mut request_rec,
    reason: *mut *const c_char,
) -> apr_status_t {
    text(r, reason, |session, _| Ok(Some(session.reason().word().to_owned())))
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_user(
    r: *mut request_rec,
    user: *mut *const c_char,
) -> apr_status_t {
    text(r, user, |session, _| Ok(session.user().map(str::to_owned)))
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_is_new(
    r: *mut request_rec,
    is_new: *mut c_int,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(is_new)?;
        *out = c_int::from(look(request, |session, _| Ok(session.is_new()))?);
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_exists(
    r: *mut request_rec,
    exists: *mut c_int,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(exists)?;
        let came = tree::with(request, |session, _| Ok(session.exists()));
        *out = c_int::from(came.map_err(|failure| code(request, &failure))?);
        Ok(())
    })
}

/// Hands out a time.
fn time(
    r: *mut request_rec,
    out: *mut apr_time_t,
    read: impl FnOnce(&Session, &Services<'_>) -> Time,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(out)?;
        let time = look(request, |session, services| Ok(read(session, services)))?;
        *out = apr_time_t::try_from(time.0).unwrap_or(apr_time_t::MAX);
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_created(
    r: *mut request_rec,
    created: *mut apr_time_t,
) -> apr_status_t {
    time(r, created, |session, services| session.created(services.clock))
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_accessed(
    r: *mut request_rec,
    accessed: *mut apr_time_t,
) -> apr_status_t {
    time(r, accessed, |session, services| session.accessed(services.clock))
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_timeout(
    r: *mut request_rec,
    timeout: *mut apr_interval_time_t,
) -> apr_status_t {
    time(r, timeout, |session, _| Time::default().after(session.timeout()))
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_set_timeout(
    r: *mut request_rec,
    timeout: apr_interval_time_t,
) -> apr_status_t {
    change(r, Pending::Stay, |session, _| {
        let span = Duration::from_micros(u64::try_from(timeout).unwrap_or(0));
        match u32::try_from(span.as_secs()) {
            Ok(seconds) if seconds > 0 => session.set_timeout(seconds),
            _ => Err(SessionError::BadArgument),
        }
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_set_user(
    r: *mut request_rec,
    user: *const c_char,
) -> apr_status_t {
    change(r, Pending::Stay, |session, _| {
        let name = (!user.is_null()).then(|| {
            // SAFETY: not null; the header asks for a C string.
            unsafe { CStr::from_ptr(user) }.to_str().map_err(|_| SessionError::BadArgument)
        });
        session.set_user(name.transpose()?)
    })
}
