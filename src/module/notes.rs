//! The session as notes of a record: offered, looked at, kept in step.

use std::cell::RefMut;

use super::config::place_of;
use super::process::{self, Process};
use super::report;
use super::tree::{self, Failure, Slot};
use crate::core::session::notes::{
    Applied, BLANK, Decimal, Look, Offer, TIMEOUT_NOTE, is_ours, note_of,
};
use crate::core::session::values::Key;
use crate::core::session::{Access, Services, Session, SessionError};
use crate::httpd::request::Request;
use crate::httpd::table::Names;

/// Notes of ours.
const OURS: Names = Names::beginning_with(b's', is_ours);

/// Opens the session for writing and offers it to the record's handler.
pub fn offer(request: Request<'_>, slot: &Slot) -> Result<(), Failure> {
    let notes = request.notes();
    if tree::offer_nothing(request)? {
        offer_blank(request, slot);
    } else {
        let made = tree::with(request, |session, services| {
            let page = request.prev().is_some() && session.was_refused();
            match session.open(services, Access::Write) {
                // The page that tells of it cannot have the session either: it is shown what is stored.
                Err(SessionError::Lease(_)) if page => {
                    session.open(services, Access::Read)?;
                    slot.shown.set(true);
                }
                opened => opened?,
            }
            session.is_handed_over();
            Ok(of(session, services))
        })?;
        match notes.has(OURS) {
            true => write(request, &made),
            false => notes.add_all(made.text(), made.places()),
        }
        *slot.offer.borrow_mut() = Some(made);
    }
    slot.offered_as.set(Some(notes.mark()));
    if let Some(anchor) = tree::slot(request.anchor()) {
        anchor.tree.borrow_mut().offered.push(request.as_ptr());
    }
    Ok(())
}

/// Most visitors of most places have no session, and their handlers do not ask: that costs little.
fn offer_blank(request: Request<'_>, slot: &Slot) {
    let (notes, timeout) = (request.notes(), place_of(request).timeout());
    slot.blank.set(Some(timeout));
    if notes.has(OURS) {
        made(slot).iter().for_each(|offer| write(request, offer));
        return;
    }
    for (name, value) in BLANK {
        notes.add_static(name, value);
    }
    notes.add_named(TIMEOUT_NOTE, Decimal::of(timeout.as_secs()).digits());
}

/// What the record's handler was offered.
fn made(slot: &Slot) -> RefMut<'_, Option<Offer>> {
    let mut offer = slot.offer.borrow_mut();
    if let Some(timeout) = slot.blank.take() {
        *offer = Some(Offer::blank(timeout));
    }
    offer
}

fn of(session: &mut Session, services: &Services<'_>) -> Offer {
    // Who has a cookie need not be told an id that is kept only if something is stored.
    let told = !session.is_new() || session.rules().place.id_sources().beside_cookie();
    let id = if told { session.wire_id(services).ok() } else { None };
    Offer::of(session, id.as_deref(), services.clock)
}

fn write(request: Request<'_>, offer: &Offer) {
    for (name, value) in offer.iter() {
        request.notes().set(name, value);
    }
}

/// Takes over what the handlers that run now have written into their notes, outermost first.
pub fn look_at_all(request: Request<'_>) -> Result<Applied, Failure> {
    let mut all = Applied::default();
    let mut first = Ok(());
    for record in offered(request) {
        match look(record) {
            Ok(applied) => all.unlock |= applied.unlock,
            Err(failure) if first.is_ok() => first = Err(failure),
            Err(_) => {}
        }
    }
    first.map(|()| all)
}

/// The records whose handlers run now and were offered notes, one by one: none begins or ends while they
/// are gone through.
fn offered<'r>(request: Request<'r>) -> impl Iterator<Item = Request<'r>> {
    let anchor = tree::slot(request.anchor());
    (0..).map_while(move |at| {
        let record = anchor?.tree.try_borrow().ok()?.offered.get(at);
        // SAFETY: a record is taken off the list when its handler returns, before its pool can be cleared.
        unsafe { Request::from_raw(record) }
    })
}

/// Takes over what one record's handler has written, and brings its notes and offer up to date.
pub fn look(request: Request<'_>) -> Result<Applied, Failure> {
    let Some(slot) = tree::slot(request) else { return Ok(Applied::default()) };
    let offered_as = slot.offered_as.get();
    if offered_as.is_some() && offered_as == Some(request.notes().mark()) {
        return Ok(Applied::default());
    }
    let look = match &*made(slot) {
        None => return Ok(Applied::default()),
        Some(offer) => Look::at(offer, request.notes().iter()),
    };
    if look.is_empty() {
        slot.offered_as.set(Some(request.notes().mark()));
        return Ok(Applied::default());
    }
    if slot.shown.get() {
        // It was made of what others may have changed since.
        refresh(request, Pending::Go);
        report::dropped(request, "could not be had");
        return Ok(Applied::default());
    }
    let outcome = tree::with(request, |session, services| {
        let applied = match session.take(services) {
            // Who logs in begins another one.
            Err(SessionError::Gone) if !look.logs_in() => Err(SessionError::Gone),
            Ok(()) | Err(SessionError::Gone) => look.apply(session),
            Err(cause) => return Err(cause),
        };
        Ok((applied, of(session, services)))
    });
    let (applied, now) = outcome?;
    replace(request, slot, now);
    let applied = match applied {
        // Served without a session, as the place wants it; that has been logged.
        Err(SessionError::Absent) => return Ok(Applied::default()),
        Err(SessionError::Gone) => {
            report::dropped(request, "was ended meanwhile");
            // Nor are the other handlers to go on with it.
            refresh_all(request, Pending::Go);
            return Ok(Applied::default());
        }
        applied => applied.map_err(Failure::Session)?,
    };
    if applied.refused > 0 {
        return Err(Failure::Notes(applied.refused));
    }
    Ok(applied)
}

/// Writes a new offer over the old one.
fn replace(request: Request<'_>, slot: &Slot, now: Offer) {
    let mut kept = now.finder();
    let stale: Vec<String> = request
        .notes()
        .iter()
        .filter(|(name, _)| is_ours(name) && kept.find(name).is_none())
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect();
    for name in stale {
        request.notes().unset(&name);
    }
    write(request, &now);
    slot.offered_as.set(Some(request.notes().mark()));
    slot.blank.set(None);
    *slot.offer.borrow_mut() = Some(now);
}

/// The record's handler will not run: nobody asks for what it made of its notes.
pub fn withdraw(request: Request<'_>) {
    let Some(anchor) = tree::slot(request.anchor()) else { return };
    anchor.tree.borrow_mut().offered.remove(request.as_ptr());
    if let Some(slot) = tree::slot(request) {
        slot.blank.set(None);
        *slot.offer.borrow_mut() = None;
        slot.offered_as.set(None);
    }
}

/// The record's handler has ended: its notes count no more, and those around it see what it did.
pub fn end(request: Request<'_>) -> Result<Applied, Failure> {
    let outcome = look(request);
    if let Some(anchor) = tree::slot(request.anchor()) {
        anchor.tree.borrow_mut().offered.remove(request.as_ptr());
    }
    refresh_all(request, Pending::Stay);
    outcome
}

/// What becomes of notes that a handler has changed and that were not looked at yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// They stay, and still count as changes.
    Stay,
    /// They are dropped.
    Go,
}

/// Offers the session anew to a handler that runs.
fn refresh(request: Request<'_>, pending: Pending) {
    let Some(slot) = tree::slot(request) else { return };
    let Ok(now) = tree::with(request, |session, services| Ok(of(session, services))) else {
        return;
    };
    let changed = if pending == Pending::Stay { changes(request, slot) } else { Vec::new() };
    replace(request, slot, now);
    if !changed.is_empty() {
        slot.offered_as.set(None);
    }
    for (name, value) in changed {
        match value {
            Some(value) => request.notes().set(&name, &value),
            None => request.notes().unset(&name),
        }
    }
}

/// What differs from the offer.
fn changes(request: Request<'_>, slot: &Slot) -> Vec<(String, Option<Vec<u8>>)> {
    let offer = made(slot);
    let Some(offer) = offer.as_ref() else { return Vec::new() };
    let mut offered = offer.finder();
    let written = request
        .notes()
        .iter()
        .filter(|(name, value)| is_ours(name) && offered.find(name) != Some(*value))
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), Some(value.to_vec())));
    let there = |name: &str| {
        request.notes().iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    };
    let removed = offer.iter().filter(|(name, _)| !there(name));
    written.chain(removed.map(|(name, _)| (name.to_owned(), None))).collect()
}

/// Writes a change that came over the C interface through to the notes of every running handler.
pub fn write_through(request: Request<'_>, key: &Key, value: Option<&[u8]>) {
    if key.is_hidden() {
        return;
    }
    let value = value.filter(|value| !value.contains(&0));
    let name = note_of(key);
    for record in offered(request) {
        let Some(slot) = tree::slot(record) else { continue };
        let as_offered = slot.offered_as.get() == Some(record.notes().mark());
        if let Some(offer) = made(slot).as_mut() {
            offer.set(&name, value);
        }
        match value {
            Some(value) => record.notes().set(&name, value),
            None => record.notes().unset(&name),
        }
        // What its handler changed itself is still to be found.
        slot.offered_as.set(as_offered.then(|| record.notes().mark()));
    }
}

/// Brings the notes of every running handler up to date after the session as a whole has changed.
pub fn refresh_all(request: Request<'_>, pending: Pending) {
    if process::get().is_some_and(Process::is_ready) {
        offered(request).for_each(|record| refresh(record, pending));
    }
}
