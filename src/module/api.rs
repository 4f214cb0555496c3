//! The C interface of `c_shim/mod_session_store.h`: exported symbols, and the same functions as APR
//! optional functions. What each promises is said in the header.
//!
//! Every function checks its pointers, runs its body behind the guard and maps the outcome; a panic is
//! `APR_EGENERAL`. Results are copied into the pool of the request tree's first request.

mod register;
mod status;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::time::Duration;

pub use self::register::register;
use self::status::{CODES, call, code};
use super::answer;
use super::notes::{self, Pending};
use super::tree;
use crate::core::clock::Time;
use crate::core::session::values::Key;
use crate::core::session::{Access, Services, Session, SessionError};
use crate::httpd::request::Request;
use crate::httpd::sys::{
    SESSION_STORE_READ, SESSION_STORE_VERSION, SESSION_STORE_WRITE, apr_array_header_t,
    apr_interval_time_t, apr_size_t, apr_status_t, apr_time_t, request_rec,
};
use crate::httpd::{pool, table::bytes_of};

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn session_store_version() -> c_int {
    SESSION_STORE_VERSION as c_int
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_open(r: *mut request_rec, mode: c_int) -> apr_status_t {
    call(r, |request| {
        let access = match u32::try_from(mode) {
            Ok(SESSION_STORE_READ) => Access::Read,
            Ok(SESSION_STORE_WRITE) => Access::Write,
            _ => return Err(CODES.invalid),
        };
        let opened = tree::with(request, |session, services| match access {
            Access::Read => session.open(services, Access::Read),
            Access::Write => {
                take(session, services)?;
                if session.is_read_only() { Err(SessionError::ReadOnly) } else { Ok(()) }
            }
        });
        if let (Ok(()), Some(anchor)) = (&opened, tree::slot(request.anchor())) {
            anchor.looking.set(access == Access::Read);
        }
        opened.map_err(|failure| code(request, &failure))
    })
}

/// Opens the session as the place says; one that was seen before and is another one now is not handed
/// over.
fn take(session: &mut Session, services: &Services<'_>) -> Result<(), SessionError> {
    let found = session.is_open() && !session.is_new();
    session.open(services, Access::Write)?;
    if found && session.is_new() { Err(SessionError::Gone) } else { Ok(()) }
}

/// Opens the session as the place says and runs `body` with it.
fn with<T>(
    request: Request<'_>,
    body: impl FnOnce(&mut Session, &Services<'_>) -> Result<T, SessionError>,
) -> Result<T, apr_status_t> {
    let looking = tree::slot(request.anchor()).is_some_and(|anchor| anchor.looking.get());
    let outcome = tree::with(request, |session, services| {
        // What was read for its id alone is taken now; what a caller wants to look at only is not.
        if !session.is_open() || !looking {
            take(session, services)?;
        }
        body(session, services)
    });
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

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_get(
    r: *mut request_rec,
    key: *const c_char,
    value: *mut *const c_char,
) -> apr_status_t {
    call(r, |request| {
        let (key, out) = (key_at(key)?, place_for(value)?);
        let found = with(request, |session, _| {
            Ok(session.get(&key).map(|v| (v.contains(&0), copied(request, v))))
        })?;
        match found {
            None => Err(CODES.not_found),
            Some((true, _)) => Err(CODES.invalid),
            Some((false, text)) => {
                *out = text;
                Ok(())
            }
        }
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_set(
    r: *mut request_rec,
    key: *const c_char,
    value: *const c_char,
) -> apr_status_t {
    // SAFETY: the header asks for a C string.
    call(r, |request| set(request, &key_at(key)?, unsafe { bytes_of(value) }))
}

fn set(request: Request<'_>, key: &Key, value: Option<&[u8]>) -> Result<(), apr_status_t> {
    with(request, |session, _| match value {
        Some(value) => session.set(key, value),
        None => session.unset(key).map(drop),
    })?;
    notes::write_through(request, key.as_str(), value);
    Ok(())
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_get_bytes(
    r: *mut request_rec,
    key: *const c_char,
    data: *mut *const c_void,
    len: *mut apr_size_t,
) -> apr_status_t {
    call(r, |request| {
        let (key, data, len) = (key_at(key)?, place_for(data)?, place_for(len)?);
        let found = with(request, |session, _| {
            Ok(session.get(&key).map(|value| (copied(request, value), value.len())))
        })?;
        let (bytes, count) = found.ok_or(CODES.not_found)?;
        *data = bytes.cast();
        *len = count as apr_size_t;
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_set_bytes(
    r: *mut request_rec,
    key: *const c_char,
    data: *const c_void,
    len: apr_size_t,
) -> apr_status_t {
    call(r, |request| {
        let key = key_at(key)?;
        if data.is_null() {
            return if len == 0 { set(request, &key, None) } else { Err(CODES.invalid) };
        }
        if isize::try_from(len).is_err() {
            return Err(CODES.invalid);
        }
        // SAFETY: not null, no longer than memory can be; the header asks for `len` readable bytes.
        set(request, &key, Some(unsafe { std::slice::from_raw_parts(data.cast(), len) }))
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_keys(
    r: *mut request_rec,
    keys: *mut *const apr_array_header_t,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(keys)?;
        let names = with(request, |session, _| {
            Ok(session.iter().map(|(key, _)| copied(request, key.as_str().as_bytes())).collect())
        })?;
        *out = pool::array(request.anchor().pool(), names);
        Ok(())
    })
}

/// Hands out a string or null.
fn text(
    r: *mut request_rec,
    out: *mut *const c_char,
    read: impl FnOnce(&mut Session, &Services<'_>) -> Result<Option<String>, SessionError>,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(out)?;
        let text = with(request, read)?;
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
        *out = c_int::from(with(request, |session, _| Ok(session.is_new()))?);
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
        let time = with(request, |session, services| Ok(read(session, services)))?;
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

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_save(r: *mut request_rec) -> apr_status_t {
    call(r, |request| {
        if let Some(line) = with(request, |session, services| session.save(services))? {
            answer::set_cookie(request, &line);
        }
        notes::refresh_all(request, Pending::Stay);
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_reload(r: *mut request_rec) -> apr_status_t {
    change(r, Pending::Go, |session, services| {
        let found = !session.is_new();
        session.reload(services)?;
        if found && session.is_new() { Err(SessionError::Gone) } else { Ok(()) }
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_revert(r: *mut request_rec) -> apr_status_t {
    change(r, Pending::Go, |session, _| session.revert())
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_delete(r: *mut request_rec) -> apr_status_t {
    change(r, Pending::Stay, |session, _| session.delete())
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_invalidate(r: *mut request_rec) -> apr_status_t {
    change(r, Pending::Go, |session, _| session.invalidate())
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_regenerate(r: *mut request_rec) -> apr_status_t {
    change(r, Pending::Stay, |session, _| session.regenerate())
}
