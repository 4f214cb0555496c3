//! Backends that change the session by the head of their answer.
//!
//! The session is taken before the backend is asked and let go when its head is there: a slow client
//! never holds it.

use super::OUR_HEADERS;
use super::config::place_of;
use super::handler::{self, Stage};
use super::notes::{self, Pending};
use super::report;
use super::tree::{self, Failure, Slot};
use crate::core::config::BackendHeaders;
use crate::core::export::orders::Orders;
use crate::core::session::{Access, SessionError};
use crate::httpd::log::Level;
use crate::httpd::request::Request;

/// An answer whose head is awaited.
#[derive(Clone, Copy)]
pub struct Awaited {
    accept: BackendHeaders,
    /// Nobody around the record had the session for writing: when the head has come it is let go.
    alone: bool,
}

/// Takes the session for a backend that may change it.
pub fn await_head(request: Request<'_>, slot: &Slot) -> Result<(), Failure> {
    let accept = place_of(request).backend_headers();
    let mut alone = true;
    // Who has no id has nothing that others could be kept away from.
    if !tree::brought_nothing(request)? {
        alone = tree::with(request, |session, services| {
            let alone = !session.is_open() || session.is_read_only();
            session.open(services, Access::Write)?;
            session.is_handed_over();
            Ok(alone)
        })?;
    }
    slot.awaited.set(Some(Awaited { accept, alone }));
    Ok(())
}

/// Removes every header of ours from the answer, whoever sent it: no client, cache or log sees it.
pub fn strip(request: Request<'_>) -> Vec<(&[u8], &[u8])> {
    let tables = [request.trailers_out(), request.headers_out(), request.err_headers_out()];
    if !tables.iter().any(|table| table.has(OUR_HEADERS)) {
        return Vec::new();
    }
    request.trailers_out().take(OUR_HEADERS);
    let mut taken = request.headers_out().take(OUR_HEADERS);
    taken.extend(request.err_headers_out().take(OUR_HEADERS));
    taken
}

/// Does what the head of the answer orders, if it is a backend's and is allowed to. Gives what was
/// awaited, once.
pub fn obey(request: Request<'_>) -> Result<Option<Awaited>, Failure> {
    let headers = strip(request);
    obey_headers(request, headers.into_iter())
}

/// The same with headers that came another way.
pub fn obey_headers<'h>(
    request: Request<'_>,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) -> Result<Option<Awaited>, Failure> {
    let Some(awaited) = tree::slot(request).and_then(|slot| slot.awaited.take()) else {
        return Ok(None);
    };
    let orders = Orders::read(awaited.accept, headers).map_err(Failure::Backend)?;
    tell(request, &orders);
    if orders.is_empty() {
        return Ok(Some(awaited));
    }
    let outcome = tree::with(request, |session, services| {
        session.take(services)?;
        Ok(orders.apply(session))
    })?;
    notes::refresh_all(request, Pending::Stay);
    match outcome {
        // Served without a session, as the place wants it; that has been logged.
        Err(SessionError::Absent) => {}
        outcome => outcome.map_err(Failure::Session)?,
    }
    Ok(Some(awaited))
}

fn tell(request: Request<'_>, orders: &Orders) {
    if orders.malformed() > 0 {
        let text = format!("{} session headers of a backend make no sense", orders.malformed());
        report::line(request, Level::Warning, &text);
    }
    if orders.denied() > 0 {
        let text = format!(
            "{} session headers of a backend need SessionBackendHeaders all",
            orders.denied()
        );
        report::line(request, Level::Warning, &text);
    }
}

/// The head of a subrequest's answer is there, or its handler has returned. What it ordered is part of
/// what the records around it do; if none of them has the session, it is committed and let go at once.
pub fn obey_part(request: Request<'_>) {
    let ordered = obey(request);
    let committed = match ordered {
        Ok(Some(Awaited { alone: true, .. })) => {
            let stage = Stage { status: request.status(), more: true };
            let committed = handler::commit(request, stage);
            handler::release(request);
            committed
        }
        ordered => ordered.map(drop),
    };
    if let Err(failure) = committed {
        report::failure(request, "committing what an included backend ordered", &failure);
    }
}
