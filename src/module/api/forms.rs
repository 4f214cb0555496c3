//! Form tokens, and looks at other sessions.

use std::ffi::{c_char, c_int};

use super::status::{CODES, call, code};
use super::{copied, key_at, place_for, with};
use crate::httpd::sys::{apr_status_t, request_rec};
use crate::httpd::table::bytes_of;
use crate::module::tree;

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_peek(
    r: *mut request_rec,
    id: *const c_char,
    key: *const c_char,
    value: *mut *const c_char,
) -> apr_status_t {
    call(r, |request| {
        let (key, out) = (key_at(key)?, place_for(value)?);
        // SAFETY: the header asks for a C string.
        let id = unsafe { bytes_of(id) }.ok_or(CODES.invalid)?;
        let other = tree::with(request, |session, services| session.peek(services, id));
        let other = other.map_err(|failure| code(request, &failure))?.ok_or(CODES.not_found)?;
        let bytes = other.get(&key).ok_or(CODES.not_found)?;
        if bytes.contains(&0) {
            return Err(CODES.invalid);
        }
        *out = copied(request, bytes);
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_form_token_new(
    r: *mut request_rec,
    token: *mut *const c_char,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(token)?;
        let token = with(request, |session, services| session.new_form_token(services))?;
        *out = copied(request, token.as_bytes());
        Ok(())
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_form_token_check(
    r: *mut request_rec,
    token: *const c_char,
    valid: *mut c_int,
) -> apr_status_t {
    call(r, |request| {
        let out = place_for(valid)?;
        // SAFETY: the header asks for a C string.
        let token = unsafe { bytes_of(token) }.ok_or(CODES.invalid)?;
        let taken = with(request, |session, services| session.take_form_token(services, token))?;
        *out = c_int::from(taken);
        Ok(())
    })
}
