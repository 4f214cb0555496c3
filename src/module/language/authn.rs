//! `AuthType Session`: the session's user is the request's.

use std::ffi::CStr;

use super::look;
use crate::core::session::SessionError;
use crate::httpd::request::Request;
use crate::httpd::sys;
use crate::module::report;
use crate::module::tree::{self, Failure};

const NAME: &[u8] = b"session";
/// What is said to have let the user in.
const BY: &CStr = c"Session";

/// Names the user of a request where `AuthType Session` is set; 401 if there is none.
pub fn check(request: Request<'_>) -> i32 {
    if !request.auth_type().is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
        return sys::DECLINED;
    }
    match look(request, |session| session.user().map(|user| request.pool().bytes(user.as_bytes())))
    {
        Ok(Some(user)) => {
            request.set_user(user, BY);
            sys::OK as i32
        }
        Ok(None) => {
            // RFC 9110, 15.5.2: an answer 401 names a scheme.
            request.err_headers_out().set("WWW-Authenticate", b"Session");
            sys::HTTP_UNAUTHORIZED as i32
        }
        Err(failure) => {
            let off = matches!(failure, Failure::Off);
            let text = "AuthType Session where SessionEngine is off: nobody can be known";
            match off {
                true => report::line(request, crate::httpd::log::Level::Error, text),
                false => {
                    report::failure(request, "reading a session for AuthType Session", &failure)
                }
            }
            i32::from(report::status(&failure))
        }
    }
}

/// Whether the user that was let in, here or in the record around this one, is still the session's, now that
/// the session is held: it may have ended, or another one have logged in, between the look and now.
pub fn confirm(request: Request<'_>) -> Result<(), Failure> {
    let user = request.user();
    if user.is_none() || request.authenticated_by() != Some(BY.to_bytes()) {
        return Ok(());
    }
    let same = tree::with(request, |session, _| {
        if session.user().map(str::as_bytes) == user {
            return Ok(());
        }
        if !session.user_is_ours() {
            return Err(SessionError::Gone);
        }
        // A record around this one has logged somebody in or out: this one is for whoever that is.
        match session.user() {
            Some(user) => request.set_user(request.pool().bytes(user.as_bytes()), BY),
            None => request.forget_user(),
        }
        Ok(())
    });
    match same {
        Err(Failure::Session(SessionError::Gone)) => {
            // Nor is the page of the error for that user.
            request.forget_user();
            Err(Failure::UserChanged)
        }
        other => other,
    }
}
