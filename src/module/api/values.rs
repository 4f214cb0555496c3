//! Values by key.

use std::ffi::{c_char, c_void};

use super::status::{CODES, call};
use super::{copied, key_at, look, place_for, with};
use crate::core::session::values::Key;
use crate::httpd::request::Request;
use crate::httpd::sys::{apr_array_header_t, apr_int64_t, apr_size_t, apr_status_t, request_rec};
use crate::httpd::{pool, table::bytes_of};
use crate::module::notes;

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
        let found = look(request, |session, _| {
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
    notes::write_through(request, key, value);
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
        let found = look(request, |session, _| {
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
        let names = look(request, |session, _| {
            Ok(session.iter().map(|(key, _)| copied(request, key.as_bytes())).collect())
        })?;
        *out = pool::array(request.anchor().pool(), names);
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_add(
    r: *mut request_rec,
    key: *const c_char,
    delta: apr_int64_t,
    sum: *mut apr_int64_t,
) -> apr_status_t {
    call(r, |request| {
        let (key, out) = (key_at(key)?, place_for(sum)?);
        let total = with(request, |session, services| session.add(services, &key, delta))?;
        notes::write_through(request, &key, Some(total.to_string().as_bytes()));
        *out = total;
        Ok(())
    })
}
