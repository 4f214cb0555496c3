//! The way of a request through its handler: what precedes it, what follows it.
//!
//! Ours is the first handler of all. It runs the others inside itself, because that is the one place
//! that sees the start and the end of every handler in the handler's own thread: filters are thrown
//! away by tunnels and nph scripts, and cleanups run on other threads.

use super::config::place_of;
use super::kind::Kind;
use super::tree::{self, Failure, Slot, Tree};
use super::veil::{self, Shown};
use super::{answer, backend, language, notes, process, raw, report};
use crate::core::config::BackendHeaders;
use crate::core::session::{Point, Services, Session};
use crate::httpd::guard::trip;
use crate::httpd::request::Request;
use crate::httpd::sys;

const OK: i32 = sys::OK as i32;
const DECLINED: i32 = sys::DECLINED;
/// The first status that is an error of the server.
const FAILED: i32 = sys::HTTP_INTERNAL_SERVER_ERROR as i32;

/// Where a record's commit stands in its request.
#[derive(Clone, Copy)]
pub struct Stage {
    /// The status of the answer as far as it is known.
    pub status: u16,
    /// The session is used again before the request ends.
    pub more: bool,
}

/// Runs a record's handler with what the session needs around it.
pub fn handle(request: Request<'_>) -> i32 {
    if tree::slot(request).is_some_and(|slot| slot.wrapped.get()) {
        // Called from inside: the others are next.
        return DECLINED;
    }
    let engine = place_of(request).engine();
    match tree::slot(request.anchor()) {
        Some(anchor) if anchor.closed.get() => return DECLINED,
        None if !engine => return DECLINED,
        _ => {}
    }
    let Some(slot) = tree::slot_or_make(request) else { return DECLINED };
    slot.wrapped.set(true);
    trip(request, "handler");
    let kind = match before(request, slot, engine) {
        Ok(kind) => kind,
        Err(failure) => return refuse(request, &failure, "before the handler"),
    };
    slot.running.set(true);
    let watched = if engine { raw::watch(request, kind) } else { None };
    let result = request.run_handlers();
    if let Some(watched) = watched {
        raw::leave(request, watched);
    }
    slot.running.set(false);
    veil::lift(request, slot);
    match after(request, slot, result) {
        // Its handler tells of an error that it could not send: another one was.
        Ok(()) if slot.replaced.get() => OK,
        Ok(()) => result,
        Err(failure) => refuse_late(request, &failure, result),
    }
}

fn before(request: Request<'_>, slot: &Slot, engine: bool) -> Result<Kind, Failure> {
    if request.main().is_some() || request.prev().is_some() {
        enter_inner(request)?;
    }
    let kind = Kind::of(request, slot.named.get());
    let place = place_of(request);
    let answers = kind.is_backend() && place.backend_headers() != BackendHeaders::Off;
    let touched = kind == Kind::Inside || (engine && (answers || veil::shows(place, kind)));
    if touched && is_alone(request) {
        // Nobody of ours sees the answer's head; it may have left.
        mark_head_sent(request);
        answer::keep_private(request.answering(), place);
    }
    match kind {
        Kind::Inside if engine && place.notes() => notes::offer(request, slot)?,
        Kind::Inside => {}
        _ if engine && answers => backend::await_head(request, slot)?,
        _ => return let_go(request, slot, kind, engine).map(|()| kind),
    }
    if engine && (answers || place.notes()) {
        language::confirm(request)?;
    }
    if engine && (kind.is_outside() || veil::shows(place, kind)) {
        veil::draw(request, slot, kind, &veil::look(request, kind)?);
    }
    Ok(kind)
}

/// A handler that cannot change a session may take as long as its client or backend likes: it gets a
/// snapshot, what was changed before it is committed, and others may have the session. A subrequest's
/// session is its request's to commit.
fn let_go(request: Request<'_>, slot: &Slot, kind: Kind, engine: bool) -> Result<(), Failure> {
    let shown = if engine { veil::look(request, kind)? } else { Shown::default() };
    if request.main().is_none() {
        commit_before(request, kind)?;
    }
    if engine {
        veil::draw(request, slot, kind, &shown);
    }
    Ok(())
}

fn commit_before(request: Request<'_>, kind: Kind) -> Result<(), Failure> {
    if kind == Kind::Nph {
        mark_head_sent(request);
    }
    let committed = commit(request, Stage { status: request.status(), more: false });
    release(request);
    match committed {
        // No answer of ours could tell of it.
        Err(failure) if kind == Kind::Nph => {
            report::lost(request, &failure);
            Ok(())
        }
        committed => committed,
    }
}

/// A record inside another: what the outer handlers did so far counts. Before a redirect's target runs
/// it is also committed and the session let go, so that the target finds it as everybody else would.
fn enter_inner(request: Request<'_>) -> Result<(), Failure> {
    notes::look_at_all(request)?;
    if let Some(before) = request.prev() {
        // Its answer is not sent; the head of it counts.
        match before.main() {
            Some(_) => backend::obey_part(before),
            None => drop(backend::obey(before)?),
        }
    }
    if request.prev().is_some() && request.main().is_none() {
        commit(request, Stage { status: request.status(), more: true })?;
        release(request);
    }
    Ok(())
}

fn after(request: Request<'_>, slot: &Slot, result: i32) -> Result<(), Failure> {
    let anchor = tree::slot(request.anchor());
    if anchor.is_some_and(|anchor| anchor.closed.get()) {
        // A fault was caught while the handler ran; what it wanted kept is lost.
        return Err(Failure::Phase);
    }
    let untouched = anchor.is_some_and(|anchor| anchor.tree.borrow().has_no_part());
    if untouched && request.main().is_none() && slot.awaited.get().is_none() {
        // Nobody asked for the session. Headers of ours are the filter's to remove, if it is still there.
        if !slot.filtered.get() || !request.has_answer_filter() {
            backend::strip(request);
        }
        return Ok(());
    }
    let looked = notes::end(request);
    if request.main().is_some() && !is_alone(request) {
        // A subrequest: folded in, committed with the request it belongs to.
        backend::obey_part(request);
        return looked.map(drop);
    }
    // What its filter has not seen the head of.
    let looked = backend::obey(request).and(looked);
    if slot.filtered.get() && !request.has_answer_filter() && !head_passed(request) {
        // An nph script or a tunnel threw the filters away: it writes its own head.
        mark_head_sent(request);
    }
    let status = match u16::try_from(result) {
        Ok(status) if status >= 100 => status,
        _ => request.status(),
    };
    let committed = match looked {
        Ok(_) => commit(request, Stage { status, more: false }),
        Err(failure) => Err(failure),
    };
    release(request);
    committed
}

/// Commits every session of the tree and puts their cookies into the answer. Where the store is out of
/// reach and the place says to go on, that is logged and no failure.
pub fn commit(request: Request<'_>, stage: Stage) -> Result<(), Failure> {
    let mut renamed = false;
    let committed = in_tree(request, |tree, services| {
        let mut first = Ok(());
        let point = Point { status: stage.status, more: stage.more };
        for session in tree.sessions().filter(|session| session.is_open()) {
            match session.commit(services, point) {
                Ok(Some(line)) => {
                    answer::set_cookie(request, &line);
                    renamed = true;
                }
                Ok(None) => {}
                Err(cause) if session.rules().goes_on_without(&cause) => {
                    report::failure(request, "committing a session", &Failure::Session(cause));
                }
                Err(cause) if first.is_ok() => first = Err(Failure::Session(cause)),
                Err(_) => {}
            }
            report::notices(request, session);
        }
        first
    });
    if renamed {
        // Handlers that go on see the id that the client will have.
        notes::refresh_all(request, notes::Pending::Stay);
    }
    committed.unwrap_or(Ok(()))
}

/// Lets every session of the tree go.
pub fn release(request: Request<'_>) {
    let_all_go(request, Session::release);
}

/// The same while the handler goes on, which can still look at what it has seen.
pub fn unlock(request: Request<'_>) {
    let_all_go(request, Session::let_go);
}

fn let_all_go(request: Request<'_>, how: fn(&mut Session, &Services<'_>)) {
    in_tree(request, |tree, services| {
        tree.sessions().for_each(|session| how(session, services));
    });
    if let Some(anchor) = tree::slot(request.anchor()) {
        anchor.looking.set(false);
    }
}

/// Runs `body` with the sessions of the tree; not at all if there are none.
fn in_tree<T>(request: Request<'_>, body: impl FnOnce(&mut Tree, &Services<'_>) -> T) -> Option<T> {
    let slot = tree::slot(request.anchor())?;
    let mut tree = slot.tree.try_borrow_mut().ok()?;
    if tree.is_empty() {
        return None;
    }
    let services = process::get()?.services();
    Some(body(&mut tree, &services))
}

fn head_passed(request: Request<'_>) -> bool {
    tree::slot(request.anchor()).is_some_and(|slot| slot.tree.borrow().head_sent)
}

/// From now on nothing can be added to the answer's head.
pub fn mark_head_sent(request: Request<'_>) {
    if let Some(slot) = tree::slot_or_make(request.anchor()) {
        let mut tree = slot.tree.borrow_mut();
        tree.head_sent = true;
        tree.sessions().for_each(|session| session.head_is_sent());
    }
}

/// A subrequest of a request whose handler does not run inside ours, for the engine is off at its place:
/// nobody commits after this one.
fn is_alone(request: Request<'_>) -> bool {
    let outer = request.answering();
    outer != request && !tree::slot(outer).is_some_and(|slot| slot.wrapped.get())
}

/// The handler cannot run: the answer is an error of ours.
fn refuse(request: Request<'_>, failure: &Failure, doing: &str) -> i32 {
    notes::withdraw(request);
    release(request);
    report::failure(request, doing, failure);
    i32::from(report::status(failure))
}

/// The handler has run, and what it did cannot be kept. As long as nothing of its answer has left, the
/// answer is an error instead: a redirect after a log-in that was not kept would only mislead.
fn refuse_late(request: Request<'_>, failure: &Failure, result: i32) -> i32 {
    if request.main().is_some() || head_passed(request) || result == sys::SUSPENDED {
        report::lost(request, failure);
        return result;
    }
    report::failure(request, "committing a session", failure);
    if result >= FAILED { result } else { i32::from(report::status(failure)) }
}
