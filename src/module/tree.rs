//! What the module keeps with requests: a slot for each record, and with the first record of a request
//! tree the sessions of that tree.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;

use super::backend::Awaited;
use super::bridge;
use super::config::{place_of, server_config};
use super::module_record;
use super::process::{self, Process};
use super::veil::{self, Veil};
use crate::core::config::Place;
use crate::core::cookie::values_of;
use crate::core::export::orders::TooMany;
use crate::core::session::bridge::Unfit;
use crate::core::session::candidates::{Candidates, Source};
use crate::core::session::notes::Offer;
use crate::core::session::record::Client;
use crate::core::session::rules::{Rules, Surroundings};
use crate::core::session::{Services, Session, SessionError};
use crate::httpd::pool::Placed;
use crate::httpd::request::Request;
use crate::httpd::sys;
use crate::httpd::table::Mark;

/// Most sessions of one request tree: more places with different scopes than that are a mistake.
const SESSIONS_MAX: usize = 8;

/// Why a call on a session did not get to it, or failed there.
#[derive(Debug)]
pub enum Failure {
    /// The engine is off at this place.
    Off,
    /// The request is in its log phase or being cleaned up, or its session is in use further up.
    Phase,
    /// The child could not be set up; it has been logged.
    NoProcess,
    /// The session that let the request's user in is another one's now.
    UserChanged,
    /// This many notes say what no session can do.
    Notes(usize),
    /// A backend orders more than any should.
    Backend(TooMany),
    /// mod_session wants kept what no session can.
    Entries(Unfit),
    /// The session says no.
    Session(SessionError),
}

impl<E: Into<SessionError>> From<E> for Failure {
    fn from(cause: E) -> Failure {
        Failure::Session(cause.into())
    }
}

/// What is kept with a record.
#[derive(Default)]
pub struct Slot {
    /// The record's handler runs inside ours.
    pub wrapped: Cell<bool>,
    /// That handler has not returned.
    pub running: Cell<bool>,
    /// A handler was named for the record, not guessed from its content type.
    pub named: Cell<bool>,
    /// Our filter was put into the record's chain.
    pub filtered: Cell<bool>,
    /// Its handler was offered a snapshot of a session that the request could not have.
    pub shown: Cell<bool>,
    /// An error took the place of its answer and has been sent.
    pub replaced: Cell<bool>,
    /// The request is over, or a fault ended its sessions.
    pub closed: Cell<bool>,
    /// A caller has opened the session for reading and not yet for writing: with a tree's first record.
    pub looking: Cell<bool>,
    /// The notes its handler was offered.
    pub offer: RefCell<Option<Offer>>,
    /// They were those of nobody's session, with this timeout: the offer is made once something differs.
    pub blank: Cell<Option<Duration>>,
    /// The table of notes as it was when nothing in it differed from the offer.
    pub offered_as: Cell<Option<Mark>>,
    /// What its handler sees in place of what the client sent.
    pub veil: RefCell<Veil>,
    /// Its handler is a backend that may change the session by the head of its answer.
    pub awaited: Cell<Option<Awaited>>,
    /// What mod_session has of those sessions.
    pub bridge: RefCell<bridge::State>,
    /// The sessions of the tree: with its first record only.
    pub tree: RefCell<Tree>,
}

/// The ids that a request brought, looked at before its session is made: at once behind that look, before
/// anybody else could change the request's headers.
struct Brought {
    /// The settings they were looked for by.
    place: Arc<Place>,
    candidates: Candidates,
}

/// The sessions of a request tree and where its answer stands.
#[derive(Default)]
pub struct Tree {
    sessions: ArrayVec<Placed<Session>, SESSIONS_MAX>,
    brought: Option<Brought>,
    /// Records whose handlers run now and were offered notes.
    pub offered: Stack,
    /// A handler was told that there is no session.
    pub told_nothing: bool,
    /// The head of the answer has left.
    pub head_sent: bool,
    /// A call ended because the session was held: a 503 gets a Retry-After.
    pub timed_up: bool,
}

/// Records, the innermost last. Nearly always there is one: no memory is asked for it.
#[derive(Default)]
pub struct Stack {
    first: Option<NonNull<sys::request_rec>>,
    others: Vec<NonNull<sys::request_rec>>,
}

impl Stack {
    /// Adds the innermost.
    pub fn push(&mut self, record: *mut sys::request_rec) {
        match (NonNull::new(record), self.first) {
            (record, None) => self.first = record,
            (record, Some(_)) => self.others.extend(record),
        }
    }

    /// Takes a record out.
    pub fn remove(&mut self, record: *mut sys::request_rec) {
        self.others.retain(|other| other.as_ptr() != record);
        if self.first.is_some_and(|first| first.as_ptr() == record) {
            self.first = (!self.others.is_empty()).then(|| self.others.remove(0));
        }
    }

    /// The record at this place, from the outermost.
    pub fn get(&self, at: usize) -> *mut sys::request_rec {
        let found = match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.others.get(at).copied(),
        };
        found.map_or(null_mut(), NonNull::as_ptr)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

/// What tells two sessions of a tree apart: places with other settings see another session.
pub struct Identity {
    scope: Arc<str>,
    place: Arc<Place>,
}

impl Identity {
    /// That of the session of the request's place.
    pub fn of(request: Request<'_>) -> Identity {
        let place = place_of(request);
        let scope = scope_of(request, place).cloned().unwrap_or_default();
        Identity { scope, place: Arc::clone(place) }
    }

    /// Whether the session of the request's place is this one.
    pub fn fits(&self, request: Request<'_>) -> bool {
        let place = place_of(request);
        is_one((&self.scope, &self.place), (scope_of(request, place), place))
    }
}

/// Whether what is of this scope and place belongs to that one.
fn is_one(
    (known, at): (&str, &Arc<Place>),
    (scope, place): (Option<&Arc<str>>, &Arc<Place>),
) -> bool {
    let alike = |one: &Place, other: &Place| {
        one.id_name() == other.id_name() && one.id_sources() == other.id_sources()
    };
    *known == *scope.map_or("", |scope| scope) && (Arc::ptr_eq(at, place) || alike(at, place))
}

fn is_of(session: &Session, scope: Option<&Arc<str>>, place: &Arc<Place>) -> bool {
    is_one((&session.rules().scope, &session.rules().place), (scope, place))
}

/// In the place of a slot once the request is over: nothing is opened any more.
static OVER: u8 = 0;

fn over() -> *mut c_void {
    (&raw const OVER).cast_mut().cast()
}

/// The record's slot, if it has one.
pub fn slot(request: Request<'_>) -> Option<&Slot> {
    // SAFETY: our module is loaded, since this code runs.
    let state = unsafe { request.state(module_record()) };
    // SAFETY: what is neither null nor the mark was put there by `make_slot` and lives in the record's
    // pool; its cleanup leaves the mark.
    (!state.is_null() && state != over()).then(|| unsafe { &*state.cast::<Slot>() })
}

/// The record's slot; made if it has none. None when the request is over.
pub fn slot_or_make(request: Request<'_>) -> Option<&Slot> {
    // SAFETY: our module is loaded.
    let state = unsafe { request.state(module_record()) };
    if state == over() {
        return None;
    }
    if state.is_null() {
        make_slot(request);
    }
    slot(request)
}

fn make_slot(request: Request<'_>) {
    let made = request.pool().place(Slot::default());
    // SAFETY: our module is loaded.
    unsafe { request.set_state(module_record(), made.cast()) };
    // SAFETY: the record outlives the cleanups of the pool it lives in, and `end_slot` expects it.
    unsafe { request.pool().on_clear(request.as_ptr().cast(), end_slot) };
}

/// Ends the slot when the record's pool is cleared, maybe on another thread than its handler's. A
/// lease that is still held ends here: memory only.
unsafe extern "C" fn end_slot(record: *mut c_void) -> sys::apr_status_t {
    // SAFETY: registered with the record, which lives until its pool's memory is freed.
    let Some(request) = (unsafe { Request::from_raw(record.cast()) }) else { return 0 };
    // SAFETY: our module is loaded.
    let state = unsafe { request.state(module_record()) };
    mark_over(request);
    if !state.is_null() && state != over() {
        // SAFETY: placed by `make_slot`, and the mark now stands in its place: nobody else drops it.
        let mut slot = unsafe { Placed::<Slot>::from_raw(state.cast()) };
        // All of it is moved in, so that nothing is dropped outside the guard.
        crate::httpd::guard::guarded(move || slot.tree.get_mut().release(), || ());
    }
    0
}

/// Whether the request has no session any more: it is being logged, or a fault was caught.
pub fn is_closed(request: Request<'_>) -> bool {
    slot(request.anchor()).is_some_and(|slot| slot.closed.get())
}

/// The request is being logged, or a fault was caught: its sessions are let go and none is opened any more.
pub fn close(request: Request<'_>) {
    let anchor = request.anchor();
    match slot(anchor) {
        Some(slot) => {
            slot.closed.set(true);
            if let Ok(mut tree) = slot.tree.try_borrow_mut() {
                tree.release();
            }
        }
        None => mark_over(anchor),
    }
}

/// Shows the session of the request's place as the request saw it last, if it did; nothing is read.
pub fn seen<T>(request: Request<'_>, body: impl FnOnce(&Session) -> T) -> Option<T> {
    let tree = slot(request.anchor())?.tree.try_borrow().ok()?;
    let place = place_of(request);
    let scope = scope_of(request, place);
    let session = tree.sessions.iter().find(|session| is_of(session, scope, place))?;
    Some(body(session))
}

/// From now on the record has no session.
fn mark_over(request: Request<'_>) {
    // SAFETY: our module is loaded.
    unsafe { request.set_state(module_record(), over()) }
}

impl Tree {
    /// Every session of the tree.
    pub fn sessions(&mut self) -> impl Iterator<Item = &mut Session> {
        self.sessions.iter_mut().map(|session| &mut **session)
    }

    /// Whether the answer has nothing to do with a session so far.
    pub fn has_no_part(&self) -> bool {
        self.is_empty() && self.offered.is_empty() && !self.timed_up && !self.told_nothing
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    fn release(&mut self) {
        if self.is_empty() {
            return;
        }
        if let Some(services) = process::get().map(Process::services) {
            self.sessions().for_each(|session| session.release(&services));
        }
    }

    fn session(&mut self, request: Request<'_>, process: &Process) -> Option<&mut Session> {
        let place = place_of(request);
        let scope = scope_of(request, place);
        let known = self.sessions.iter().position(|session| is_of(session, scope, place));
        let at = match known {
            Some(at) => at,
            None if self.sessions.is_full() => return None,
            None => {
                let scope = scope.cloned().unwrap_or_default();
                let made = self.make(request, place, scope, process);
                // SAFETY: the tree is with the record whose pool this is, and ends with its slot.
                self.sessions.push(unsafe { request.anchor().pool().own(made) });
                self.sessions.len() - 1
            }
        };
        self.sessions.get_mut(at).map(|session| &mut **session)
    }

    fn make(
        &mut self,
        request: Request<'_>,
        place: &Arc<Place>,
        scope: Arc<str>,
        process: &Process,
    ) -> Session {
        let brought = self.brought.take().filter(|brought| Arc::ptr_eq(&brought.place, place));
        let (place, candidates) = match brought {
            Some(Brought { place, candidates }) => (place, candidates),
            None => (Arc::clone(place), candidates(request, place, process)),
        };
        let rules = Rules::resolve(
            place,
            Surroundings {
                scope,
                https: request.is_https(),
                workers: process.workers,
                shared_writes: process.shared_writes,
                // Two leases in one tree could wait for each other.
                may_lease: self.sessions.is_empty(),
                grace: process.grace(),
            },
        );
        let mut session = Session::new(rules, candidates, client_of(request));
        if self.head_sent {
            session.head_is_sent();
        }
        session
    }
}

/// No address is longer; what is, is none.
fn client_of(request: Request<'_>) -> Client {
    Client::from(request.client_address()).unwrap_or_default()
}

fn scope_of<'r>(request: Request<'r>, place: &'r Place) -> Option<&'r Arc<str>> {
    // SAFETY: the server of a live request lives; nobody changes its settings in a child.
    let config = unsafe { server_config(request.server()) };
    place.scope(config.name.as_ref())
}

fn candidates(request: Request<'_>, place: &Place, process: &Process) -> Candidates {
    let (mut candidates, sources) = (Candidates::default(), place.id_sources());
    let (secrets, headers) = (&process.secrets, request.headers_in());
    let hidden = veil::hidden_cookies(request);
    let cookies = hidden.as_deref().or_else(|| headers.get(c"Cookie"));
    // httpd joins repeated headers, so that there is one of each name.
    if let Some(header) = cookies.filter(|_| sources.cookie) {
        for value in values_of(header, place.id_name()) {
            candidates.add(secrets, Source::Cookie, value);
        }
    }
    if let Some(value) = sources.header.as_ref().and_then(|name| headers.all(name).next()) {
        candidates.add(secrets, Source::Header, value.trim_ascii());
    }
    if let (Some(name), Some(query)) = (&sources.query, request.anchor().query()) {
        for pair in query.split(|&byte| byte == b'&' || byte == b';') {
            if let Some(value) =
                pair.strip_prefix(name.as_bytes()).and_then(|v| v.strip_prefix(b"="))
            {
                candidates.add(secrets, Source::Query, value);
            }
        }
    }
    candidates
}

/// Whether a handler can be told that there is no session without opening anything: the client brought
/// no id, and nothing in the tree has asked for a session before. The answer depends on that then.
pub fn offer_nothing(request: Request<'_>) -> Result<bool, Failure> {
    let nothing = brought_nothing(request)?;
    if nothing && let Some(slot) = slot(request.anchor()) {
        slot.tree.try_borrow_mut().map_err(|_| Failure::Phase)?.told_nothing = true;
    }
    Ok(nothing)
}

/// Whether the client brought no id, and nothing in the tree has asked for a session before.
pub fn brought_nothing(request: Request<'_>) -> Result<bool, Failure> {
    let process = process::get().ok_or(Failure::NoProcess)?;
    let slot = slot_or_make(request.anchor()).ok_or(Failure::Phase)?;
    let mut tree = slot.tree.try_borrow_mut().map_err(|_| Failure::Phase)?;
    let place = place_of(request);
    if !tree.is_empty() || place.id_sources().beside_cookie() {
        return Ok(false);
    }
    let candidates = candidates(request, place, process);
    let nothing = candidates.is_nothing();
    tree.brought = (!nothing).then_some(Brought { place: Arc::clone(place), candidates });
    Ok(nothing)
}

/// Runs `body` with the session of the request's place.
pub fn with<T>(
    request: Request<'_>,
    body: impl FnOnce(&mut Session, &Services<'_>) -> Result<T, SessionError>,
) -> Result<T, Failure> {
    if !place_of(request).engine() {
        return Err(Failure::Off);
    }
    let process = process::get().ok_or(Failure::NoProcess)?;
    let slot = slot_or_make(request.anchor()).ok_or(Failure::Phase)?;
    if slot.closed.get() {
        return Err(Failure::Phase);
    }
    let mut tree = slot.tree.try_borrow_mut().map_err(|_| Failure::Phase)?;
    let services = process.services();
    let session = tree.session(request, process).ok_or(Failure::Phase)?;
    let outcome = body(session, &services).map_err(Failure::Session);
    super::report::notices(request, session);
    tree.timed_up |= matches!(outcome, Err(Failure::Session(SessionError::Lease(_))));
    outcome
}
