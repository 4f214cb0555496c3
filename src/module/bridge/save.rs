//! What mod_session wants kept: its changes are merged into the session as it is now.

use super::super::{answer, notes, report};
use crate::core::config::Locking;
use crate::core::session::bridge::Save;
use crate::core::session::{Access, Cookie, Point, Services, Session, SessionError};
use crate::httpd::log::Level;
use crate::httpd::mod_session::Entries;
use crate::httpd::request::Request;
use crate::module::config::place_of;
use crate::module::notes::Pending;
use crate::module::tree::{self, Failure, Slot};

/// Brings what changed in the entries since they were given out into the session.
///
/// A handler that runs and has the session for writing commits it with what it did itself. Else it is
/// taken for this alone, committed and let go: whoever has it under a lease writes it as a whole, so
/// that a change made beside the lease would be lost.
pub fn save(request: Request<'_>, entries: Entries) -> Result<(), Failure> {
    if !place_of(request).engine() {
        return Err(Failure::Off);
    }
    let anchor = tree::slot(request.anchor()).ok_or(Failure::Off)?;
    let Some(save) = wanted(request, entries, anchor)? else { return Ok(()) };
    let point = Point { status: request.status(), more: false };
    let kept =
        tree::with(request, |session, services| keep(session, services, &save, (request, point)));
    let cookie = match kept {
        // Served without a session, as the place wants it; that has been logged.
        Err(Failure::Session(SessionError::Absent)) => None,
        Err(Failure::Session(SessionError::Gone)) => {
            let text = "a session was ended meanwhile: what mod_session wanted kept was dropped";
            report::line(request, Level::Notice, text);
            None
        }
        Err(failure @ Failure::Session(_)) if goes_on_without(request, &failure) => {
            report::failure(request, "committing a session", &failure);
            None
        }
        kept => kept?,
    };
    if let Some(line) = cookie {
        answer::set_cookie(request, &line);
    }
    notes::refresh_all(request, Pending::Stay);
    Ok(())
}

/// What there is to be done; none for most requests. mod_session also wants kept what nobody changed, so
/// that it lives on: visits are recorded without that.
fn wanted(request: Request<'_>, entries: Entries, anchor: &Slot) -> Result<Option<Save>, Failure> {
    let state = anchor.bridge.borrow();
    let given = state.given.iter().find(|given| given.entries == entries);
    let given = given.ok_or(Failure::Off)?;
    let age = entries.max_age();
    if entries.is_dirty() {
        let now: Vec<(&[u8], &[u8])> = entries.table().iter().collect();
        let save = Save::of((&given.before, given.opened), &now, entries.text());
        let save = save.map_err(Failure::Entries)?;
        if !save.is_idle() {
            return Ok(Some(save.with_age(age)));
        }
    }
    // A session that was made without a time of its own gets mod_session's.
    let Some(age) = age else { return Ok(None) };
    let lacks = |session: &Session| session.is_stored() && !session.has_own_timeout();
    let writable = place_of(request).locking() != Locking::Read;
    let lacks = writable && tree::seen(request, lacks) == Some(true);
    Ok(lacks.then(|| Save::age_alone(age)))
}

fn keep(
    session: &mut Session,
    services: &Services<'_>,
    save: &Save,
    (request, point): (Request<'_>, Point),
) -> Result<Cookie, SessionError> {
    let was_open = session.is_open();
    let was_stored = session.is_stored();
    if was_open && !session.is_read_only() {
        save.apply(session)?;
        return Ok(None);
    }
    session.open(services, Access::Write)?;
    session.is_handed_over();
    let gone = was_stored && !session.is_stored() && !save.logs_in();
    let kept = match gone {
        true => Err(SessionError::Gone),
        false => save.apply(session).and_then(|()| session.commit(services, point)),
    };
    session.release(services);
    let kept = kept?;
    if was_open && let Err(cause) = session.open(services, Access::Read) {
        // Whoever was looking does not go on looking. What was kept stands, and its cookie is to be sent.
        let text = format!("reading a session after it was committed: {cause}");
        report::line(request, Level::Error, &text);
    }
    Ok(kept)
}

fn goes_on_without(request: Request<'_>, failure: &Failure) -> bool {
    let Failure::Session(cause) = failure else { return false };
    tree::seen(request, |session| session.rules().goes_on_without(cause)).unwrap_or(false)
}
