//! Outcomes as `apr_status_t`.

use crate::core::session::SessionError;
use crate::httpd::guard::{guarded, trip};
use crate::httpd::mutex::TIMEUP;
use crate::httpd::request::Request;
use crate::httpd::sys::{apr_status_t, request_rec};
use crate::module::entry::panicked;
use crate::module::report;
use crate::module::tree::Failure;

/// APR's numbers of the results that the header names. bindgen does not see them: they are sums of
/// macros; APR promises not to change them within a major version.
pub struct Codes {
    /// `APR_EINVAL`
    pub invalid: apr_status_t,
    /// `APR_EACCES`
    pub access: apr_status_t,
    /// `APR_ENOSPC`
    pub space: apr_status_t,
    /// `APR_ERANGE`
    pub range: apr_status_t,
    /// `APR_EBUSY`
    pub busy: apr_status_t,
    /// `APR_EGENERAL`
    pub general: apr_status_t,
    /// `APR_NOTFOUND`
    pub not_found: apr_status_t,
    /// `APR_TIMEUP`
    pub time_up: apr_status_t,
    /// `APR_ENOTIMPL`
    pub not_implemented: apr_status_t,
}

pub const CODES: Codes = Codes {
    invalid: libc::EINVAL,
    access: libc::EACCES,
    space: libc::ENOSPC,
    range: libc::ERANGE,
    busy: 70_025,
    general: 20_014,
    not_found: 70_015,
    time_up: TIMEUP,
    not_implemented: 70_023,
};

/// Runs the body of a function of the interface.
pub fn call(
    r: *mut request_rec,
    body: impl FnOnce(Request<'_>) -> Result<(), apr_status_t>,
) -> apr_status_t {
    // SAFETY: the header asks for a request of httpd's that is being worked on, in its thread.
    let Some(request) = (unsafe { Request::from_raw(r) }) else { return CODES.invalid };
    let outcome = guarded(
        || {
            trip(request, "function");
            body(request)
        },
        || {
            panicked(request);
            Err(CODES.general)
        },
    );
    outcome.err().unwrap_or(0)
}

/// The number of a failure. What the caller cannot know the reason of is logged.
pub fn code(request: Request<'_>, failure: &Failure) -> apr_status_t {
    let cause = match failure {
        Failure::Off => return CODES.not_implemented,
        Failure::UserChanged => return CODES.not_found,
        Failure::Phase | Failure::Notes(_) | Failure::Backend(_) | Failure::Entries(_) => {
            return CODES.invalid;
        }
        Failure::NoProcess => return CODES.general,
        Failure::Session(cause) => cause,
    };
    match cause {
        SessionError::Lease(_) => CODES.time_up,
        SessionError::Full(_) => {
            report::failure(request, "a session function", failure);
            CODES.space
        }
        SessionError::Store(_) | SessionError::Random(_) => {
            report::failure(request, "a session function", failure);
            CODES.general
        }
        SessionError::Absent => CODES.general,
        SessionError::Limit(_) | SessionError::StoreLimit(_) => CODES.space,
        SessionError::ReadOnly => CODES.access,
        SessionError::HeadSent
        | SessionError::ThroughAlias
        | SessionError::BadArgument
        | SessionError::NotANumber => CODES.invalid,
        SessionError::Overflow => CODES.range,
        SessionError::NoSession | SessionError::Gone => CODES.not_found,
    }
}
