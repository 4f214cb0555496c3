//! Heads that do not pass the chain of the request: interim answers of backends, answers that switch
//! protocols, scripts and tunnels that write to the client themselves.
//!
//! A filter of the connection looks at the first bytes that are written while such a handler runs. Once
//! a head has passed, by it or by the request's own chain, it lets everything through.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::ptr::null_mut;

use super::handler::{self, Stage};
use super::kind::Kind;
use super::{backend, report};
use crate::core::export::head::{self, HEAD_MAX, Head};
use crate::httpd::brigade::{Brigade, Front};
use crate::httpd::request::Request;
use crate::httpd::sys;

/// The filter's name; httpd keeps names in lower case.
const NAME: &CStr = c"session_store_raw";

/// What is kept with a connection.
pub struct Watch {
    /// The record whose handler runs and whose head has not passed.
    record: Cell<*mut sys::request_rec>,
    /// The beginning of a head whose end has not come.
    begun: RefCell<Vec<u8>>,
}

/// Looks at what the record's handler writes to the connection, from now on. Gives what was looked at
/// before, for [`leave`].
pub fn watch(request: Request<'_>, kind: Kind) -> Option<*mut sys::request_rec> {
    if !matches!(kind, Kind::Proxy | Kind::Nph) || request.main().is_some() {
        return None;
    }
    let watch = match request.connection_filter(NAME) {
        Some(context) => context.cast::<Watch>(),
        None => {
            let made = Watch { record: Cell::new(null_mut()), begun: RefCell::default() };
            let kept = request.connection_pool().keep(made);
            // SAFETY: the filter takes a watch, and the connection's pool keeps it.
            unsafe { request.add_connection_filter(NAME, kept.cast()) };
            kept
        }
    };
    // SAFETY: made above for this connection, whose thread this is.
    let watch = unsafe { &*watch };
    // Of a head that another handler did not end.
    watch.begun.borrow_mut().clear();
    Some(watch.record.replace(request.as_ptr()))
}

/// The head has passed by the request's own chain, or its handler has returned.
pub fn leave(request: Request<'_>, before: *mut sys::request_rec) {
    if let Some(context) = request.connection_filter(NAME) {
        // SAFETY: made by `watch` for this connection, whose thread this is.
        let watch = unsafe { &*context.cast::<Watch>() };
        watch.record.set(before);
    }
}

/// Called with each brigade that leaves on the connection. False: it is kept back for now.
pub fn pass(watch: &Watch, mut brigade: Brigade<'_>) -> Result<bool, sys::apr_status_t> {
    // SAFETY: the record is taken off when its handler returns, before its pool can be cleared.
    let Some(request) = (unsafe { Request::from_raw(watch.record.get()) }) else {
        return Ok(true);
    };
    let Ok(mut begun) = watch.begun.try_borrow_mut() else { return Ok(true) };
    let mut done = Vec::new();
    let goes = loop {
        match brigade.front()? {
            Front::Data(bytes) => {
                let before = begun.len();
                begun.extend_from_slice(&bytes[..bytes.len().min(HEAD_MAX - before)]);
                let taken = begun.len() - before;
                let end = head::end(&begun);
                brigade.drop_front(end.map_or(taken, |end| end - before));
                if let Some(end) = end {
                    begun.truncate(end);
                }
                let whole = end.is_some() || begun.len() == HEAD_MAX;
                if (whole || !head::may_begin(&begun)) && !take(request, &mut begun, &mut done) {
                    watch.record.set(null_mut());
                    break true;
                }
            }
            // What is complete goes; the rest of a head will come.
            Front::Flush => break true,
            Front::Mark => {
                done.append(&mut begun);
                break true;
            }
            Front::Empty => break !done.is_empty(),
        }
    };
    brigade.push_front(&done);
    Ok(goes)
}

/// Takes what has come into `done`, without what is ours. True if another head follows.
fn take(request: Request<'_>, begun: &mut Vec<u8>, done: &mut Vec<u8>) -> bool {
    let Some(parsed) = head::without_ours(begun) else {
        // No head of an answer: a protocol of its own.
        done.append(begun);
        return false;
    };
    begun.clear();
    done.extend_from_slice(&parsed.left);
    if parsed.is_interim() {
        return true;
    }
    answered(request, &parsed);
    false
}

/// The answer's only head: what it orders is done, as far as no cookie is needed, and others may have
/// the session while the connection lasts.
fn answered(request: Request<'_>, head: &Head) {
    handler::mark_head_sent(request);
    let ours = head.ours.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    let ordered = backend::obey_headers(request, ours);
    let committed = ordered.and_then(|awaited| {
        if awaited.is_none() {
            return Ok(());
        }
        handler::commit(request, Stage { status: head.status, more: false })
    });
    handler::release(request);
    if let Err(failure) = committed {
        report::failure(request, "committing what a backend ordered", &failure);
    }
}
