//! The output filter: what must happen before the head of an answer leaves.

use std::ffi::CStr;

use super::config::place_of;
use super::handler::{self, Stage};
use super::tree::Slot;
use super::{answer, backend, bridge, notes, raw, report, tree, veil};
use crate::httpd::guard::trip;
use crate::httpd::request::Request;

/// The filter of a subrequest whose backend may change the session; httpd keeps names in lower case.
pub const PART: &CStr = c"session_store_part";

/// What becomes of a brigade.
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It goes on and the filter has nothing more to do.
    PassAndLeave,
    /// The answer is replaced by an error of this status.
    Replace(u16),
}

/// Puts the filter into the chain of a record that may have to do with a session, and notes whether its
/// handler was named: right behind this hook httpd falls back to the content type.
pub fn insert(request: Request<'_>) {
    match tree::slot(request.anchor()) {
        Some(anchor) if anchor.closed.get() => return,
        None if !place_of(request).engine() => return,
        _ => {}
    }
    let Some(slot) = tree::slot_or_make(request) else { return };
    if !slot.wrapped.get() {
        slot.named.set(request.handler().is_some());
    }
    if request.main().is_some() {
        if place_of(request).engine() && !request.has_output_filter(PART) {
            request.add_output_filter(PART);
        }
    } else if is_first(request, slot) || !request.has_answer_filter() {
        request.add_answer_filter();
        slot.filtered.set(true);
    }
}

/// Whether nobody can have put the filter there before: an error page has the chain of its record anew, and a
/// redirect that of the record before it.
fn is_first(request: Request<'_>, slot: &Slot) -> bool {
    !slot.filtered.get() && request.prev().is_none()
}

/// Called with each brigade that holds data, a flush or the end.
pub fn output(request: Request<'_>) -> Verdict {
    let Some(slot) = tree::slot(request.anchor()) else { return Verdict::PassAndLeave };
    if slot.closed.get() {
        backend::strip(request);
        return Verdict::PassAndLeave;
    }
    trip(request, "filter");
    let (nothing, head_sent) = match slot.tree.try_borrow() {
        Ok(tree) => (tree.has_no_part(), tree.head_sent),
        Err(_) => return Verdict::Pass,
    };
    let own = tree::slot(request);
    let running = own.is_some_and(|own| own.running.get());
    if let Some(own) = own {
        veil::lift_headers(request, own);
    }
    if nothing && !running {
        backend::strip(request);
        return Verdict::PassAndLeave;
    }
    if head_sent {
        // Trailers come last.
        backend::strip(request);
        return if running { later_output(request) } else { Verdict::PassAndLeave };
    }
    if let Some(status) = bridge::error_due(request) {
        handler::release(request);
        return replace(request, status);
    }
    // What nobody asked for so far is not committed.
    let ready = if nothing && !awaits_head(request) {
        backend::strip(request);
        Ok(())
    } else {
        first_output(request, running)
    };
    match ready {
        Ok(()) => {
            raw::leave(request, std::ptr::null_mut());
            if let Ok(mut tree) = slot.tree.try_borrow_mut() {
                answer::finish_head(request, &mut tree);
            }
            handler::mark_head_sent(request);
            Verdict::Pass
        }
        Err(failure) => {
            report::failure(request, "committing a session", &failure);
            handler::release(request);
            replace(request, report::status(&failure))
        }
    }
}

fn awaits_head(request: Request<'_>) -> bool {
    tree::slot(request).is_some_and(|slot| slot.awaited.get().is_some())
}

fn replace(request: Request<'_>, status: u16) -> Verdict {
    if let Some(slot) = tree::slot(request) {
        slot.replaced.set(true);
    }
    Verdict::Replace(status)
}

/// The head is about to leave: the last chance for cookies.
fn first_output(request: Request<'_>, running: bool) -> Result<(), tree::Failure> {
    let applied = notes::look_at_all(request)?;
    let of_backend = backend::obey(request)?.is_some();
    let more = running && !of_backend;
    handler::commit(request, Stage { status: request.status(), more })?;
    if !more {
        handler::release(request);
    } else if applied.unlock {
        handler::unlock(request);
    }
    Ok(())
}

/// The handler goes on writing: it may ask for the session to be let go.
fn later_output(request: Request<'_>) -> Verdict {
    let unlocked = notes::look_at_all(request).and_then(|applied| {
        if applied.unlock {
            handler::commit(request, Stage { status: request.status(), more: true })?;
            handler::unlock(request);
        }
        Ok(())
    });
    if let Err(failure) = unlocked {
        report::lost(request, &failure);
    }
    Verdict::Pass
}
