//! The life of a session, and how it is held.

use std::ffi::c_int;

use super::status::{CODES, call, code};
use super::{change, told, with};
use crate::core::session::{Access, Services, Session, SessionError};
use crate::httpd::sys::{SESSION_STORE_READ, SESSION_STORE_WRITE, apr_status_t, request_rec};
use crate::module::notes::{self, Pending};
use crate::module::{answer, tree};

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
                session.take(services)?;
                if session.is_read_only() { Err(SessionError::ReadOnly) } else { Ok(()) }
            }
        });
        if let (Ok(()), Some(anchor)) = (&opened, tree::slot(request.anchor())) {
            anchor.looking.set(access == Access::Read);
        }
        told(request, opened)
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

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_lock(r: *mut request_rec) -> apr_status_t {
    change_unopened(r, |session, services| session.lock(services, true))
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_trylock(r: *mut request_rec) -> apr_status_t {
    match change_unopened(r, |session, services| session.lock(services, false)) {
        status if status == CODES.time_up => CODES.busy,
        status => status,
    }
}

/// Runs `body`, which opens the session itself.
fn change_unopened(
    r: *mut request_rec,
    body: impl FnOnce(&mut Session, &Services<'_>) -> Result<(), SessionError>,
) -> apr_status_t {
    call(r, |request| {
        let outcome = told(request, tree::with(request, body));
        if outcome.is_ok() {
            notes::refresh_all(request, Pending::Stay);
        }
        outcome
    })
}

/// See the header.
///
/// # Safety
/// Pointers are null or what the header asks for, in the thread that works on the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn session_store_unlock(r: *mut request_rec) -> apr_status_t {
    call(r, |request| {
        let unlocked = tree::with(request, |session, services| {
            if !session.is_open() || !session.unlock() {
                return Ok(None);
            }
            let saved = session.save(services);
            session.let_go(services);
            saved
        });
        if let Some(line) = unlocked.map_err(|failure| code(request, &failure))? {
            answer::set_cookie(request, &line);
        }
        Ok(())
    })
}
