//! What goes into the error log, and what status an error is. No id, key or value does.

use super::process::{self, Process};
use super::tree::Failure;
use crate::core::lock::Event;
use crate::core::session::{Notice, Session, SessionError};
use crate::core::store::StoreError;
use crate::httpd::log::{self, Level};
use crate::httpd::request::Request;
use crate::httpd::sys;

/// Logs what happened inside a session since the last call.
pub fn notices(request: Request<'_>, session: &mut Session) {
    for notice in session.take_notices() {
        let (level, text) = match &notice {
            Notice::Corrupt(key) => (
                Level::Error,
                format!(
                    "a damaged record ({key:?}) was moved aside and its visitor got a new session"
                ),
            ),
            Notice::Newer(format) => (
                Level::Warning,
                format!("a record of format {format}, written by a newer release, was left alone"),
            ),
            Notice::LeaseLost(key) => (
                Level::Warning,
                format!(
                    "a request kept a session ({key:?}) longer than SessionLockHold; another one took \
                     it, and the changes were merged"
                ),
            ),
            Notice::ClaimLost(key) => (
                Level::Warning,
                format!(
                    "another server may have had a session ({key:?}) that this request held, because \
                     the store did not answer in time, or lost what it was told: the changes were merged"
                ),
            ),
            Notice::ChangesDropped(key) => (
                Level::Notice,
                format!(
                    "a session ({key:?}) was ended meanwhile: this request's changes were dropped"
                ),
            ),
            Notice::OldId(key) => (
                Level::Info,
                format!(
                    "an id ({key:?}) was refused: its session got a new one longer ago than \
                     SessionRegenerateGrace"
                ),
            ),
            Notice::Refused(cause) => (
                Level::Warning,
                format!(
                    "a request was refused its session: {cause}; the next line about this in a minute \
                     at the earliest"
                ),
            ),
            Notice::StoreAbsent(cause) => (
                Level::Error,
                format!("serving without a session (SessionStoreFailure ignore): {cause}"),
            ),
        };
        if matches!(notice, Notice::ChangesDropped(_)) {
            count(Event::Dropped);
        }
        line(request, level, &text);
    }
}

/// Logs and counts a failure to store changes whose answer cannot say so.
pub fn lost(request: Request<'_>, failure: &Failure) {
    count(Event::Lost);
    self::failure(request, "committing a session", failure);
}

/// Logs and counts changes by notes to a session that is not there to be changed; `why` as "was ended".
pub fn dropped(request: Request<'_>, why: &str) {
    count(Event::Dropped);
    let text = format!("a session {why}: what a handler wrote into notes was dropped");
    line(request, Level::Notice, &text);
}

fn count(event: Event) {
    if let Some(process) = process::get() {
        process.services().leases.count(event);
    }
}

/// Logs a failure that nobody else can hear of.
pub fn failure(request: Request<'_>, doing: &str, failure: &Failure) {
    let (level, text) = match failure {
        Failure::Off | Failure::Phase => return,
        // Logged once a minute, by a notice of the session's.
        Failure::Session(SessionError::Lease(_)) => return,
        Failure::UserChanged => (
            Level::Notice,
            "the session that let the user in has ended or is another user's now".to_owned(),
        ),
        Failure::Session(cause @ SessionError::Full(_)) => {
            if !process::get().is_some_and(Process::may_tell_full) {
                return;
            }
            let text = format!("{cause}; the next line about this in a minute at the earliest");
            (Level::Error, text)
        }
        Failure::NoProcess => {
            (Level::Error, "the module could not be set up in this child".to_owned())
        }
        Failure::Notes(count) => (
            Level::Error,
            format!(
                "{count} notes make no sense: a key is 1 to 128 bytes of printable UTF-8, a user UTF-8, \
                 a timeout a number of seconds, and session-store.do knows revert, delete, invalidate, \
                 regenerate, unlock"
            ),
        ),
        Failure::Backend(cause) => (Level::Error, format!("{cause}; none of them was obeyed")),
        Failure::Entries(cause) => (Level::Error, cause.to_string()),
        Failure::Session(cause) => (level_of(cause), cause.to_string()),
    };
    line(request, level, &format!("{doing}: {text}"));
}

fn level_of(cause: &SessionError) -> Level {
    match cause {
        // The visitor's doing, or what an administrator chose.
        SessionError::ReadOnly | SessionError::NoSession | SessionError::Gone => Level::Info,
        _ => Level::Error,
    }
}

/// The status of an answer that could not be given because of `failure`.
pub fn status(failure: &Failure) -> u16 {
    let unavailable = sys::HTTP_SERVICE_UNAVAILABLE as u16;
    let internal = sys::HTTP_INTERNAL_SERVER_ERROR as u16;
    match failure {
        // It will not be better the next time.
        Failure::Session(SessionError::Store(StoreError::Corrupt)) => internal,
        Failure::Session(SessionError::Lease(_) | SessionError::Store(_)) => unavailable,
        Failure::NoProcess => unavailable,
        Failure::UserChanged => sys::HTTP_FORBIDDEN as u16,
        Failure::Backend(_) => sys::HTTP_BAD_GATEWAY as u16,
        _ => internal,
    }
}

/// Writes a line for a request.
pub fn line(request: Request<'_>, level: Level, text: &str) {
    // SAFETY: a request that is being worked on lives.
    unsafe { log::request(level, request.as_ptr(), format_args!("{text}")) }
}
