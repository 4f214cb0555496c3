//! What a handler sees in place of what the client sent: the session in its environment and in its
//! request's headers, and not the cookie. It lies over the record while the handler runs only, so that
//! no log, cache, subrequest or redirect sees what is under it otherwise.

use super::OUR_HEADERS;
use super::config::place_of;
use super::kind::Kind;
use super::report;
use super::tree::{self, Failure, Slot};
use crate::core::config::{Keys, Place};
use crate::core::cookie::without;
use crate::core::export::names::{Variable, is_redirected, variable};
use crate::core::export::out::{Exported, Facts, Form};
use crate::core::session::{Access, Session};
use crate::httpd::log::Level;
use crate::httpd::request::Request;

/// What was done to a record and is to be undone.
#[derive(Default)]
pub struct Veil {
    /// The `Cookie` header as it was sent, if the session's is hidden in it.
    cookie: Option<Vec<u8>>,
    /// Headers of ours are among the request's.
    headers: bool,
    /// Variables of ours are in its environment.
    environment: bool,
}

/// What a handler is to see of the session.
#[derive(Default)]
pub struct Shown {
    environment: Option<Exported>,
    headers: Option<Exported>,
}

/// Whether a place gives a handler of this kind anything of the session.
pub fn shows(place: &Place, kind: Kind) -> bool {
    forms(place, kind).iter().any(|(_, keys)| !keys.is_none())
}

fn forms(place: &Place, kind: Kind) -> [(Form, &Keys); 2] {
    let environment = if kind.has_environment() { place.export_env() } else { &Keys::None };
    let headers = if kind == Kind::Proxy { place.export_headers() } else { &Keys::None };
    [(Form::Environment, environment), (Form::Headers, headers)]
}

/// Reads what the record's handler is to see: a snapshot, unless the session is open for writing.
pub fn look(request: Request<'_>, kind: Kind) -> Result<Shown, Failure> {
    let place = place_of(request);
    if !shows(place, kind) {
        return Ok(Shown::default());
    }
    let shown = match tree::offer_nothing(request)? {
        true => Shown::of(place, kind, None),
        false => tree::with(request, |session, services| {
            session.open(services, Access::Read)?;
            let facts = Facts::of(session, services.clock);
            Ok(Shown::of(place, kind, Some((session, facts))))
        })?,
    };
    let skipped = [&shown.environment, &shown.headers].into_iter().flatten().map(Exported::skipped);
    match skipped.max() {
        None | Some(0) => {}
        Some(count) => report::line(
            request,
            Level::Info,
            &format!(
                "{count} values were not exported: their keys have other characters than letters, \
                 digits and _-. or resemble another's, or they are too long"
            ),
        ),
    }
    Ok(shown)
}

impl Shown {
    fn of(place: &Place, kind: Kind, session: Option<(&Session, Facts<'_>)>) -> Shown {
        let [environment, headers] = forms(place, kind).map(|(form, keys)| {
            if keys.is_none() {
                return None;
            }
            Some(match session {
                Some((session, facts)) => Exported::of(form, keys, &facts, session.iter()),
                None => Exported::of(form, keys, &Facts::default(), std::iter::empty()),
            })
        });
        Shown { environment, headers }
    }
}

/// Draws the veil: the handler is next.
pub fn draw(request: Request<'_>, slot: &Slot, kind: Kind, shown: &Shown) {
    let mut veil = slot.veil.borrow_mut();
    if let Some(exported) = &shown.headers {
        // Trailers may have come meanwhile.
        request.headers_in().take(OUR_HEADERS);
        exported.iter().for_each(|(name, value)| request.headers_in().add(name, value));
        veil.headers = true;
    }
    if let Some(exported) = &shown.environment {
        let environment = request.environment();
        environment.take_where(|name| variable(name) == Variable::Ours);
        exported.iter().for_each(|(name, value)| environment.add(name, value));
        veil.environment = true;
    }
    let place = place_of(request);
    if kind.is_outside() && place.id_hide() && place.id_sources().cookie {
        hide(request, place.id_name(), &mut veil);
    }
}

fn hide(request: Request<'_>, name: &str, veil: &mut Veil) {
    let (headers, environment) = (request.headers_in(), request.environment());
    if let Some(sent) = headers.get(c"Cookie")
        && let Some(left) = without(sent, name)
    {
        veil.cookie = Some(sent.to_vec());
        match left.is_empty() {
            true => headers.unset("Cookie"),
            false => headers.set("Cookie", &left),
        }
    }
    // What a record around this one was told is copied into a subrequest's and a redirect's.
    for (variable, sent) in environment.take_where(|name| variable(name) == Variable::Cookies) {
        let left = without(sent, name).unwrap_or_else(|| sent.to_vec());
        if !left.is_empty() {
            environment.add_bytes(variable, &left);
        }
    }
}

/// The `Cookie` header as the client sent it, if the record shows another one now.
pub fn hidden_cookies(request: Request<'_>) -> Option<Vec<u8>> {
    tree::slot(request).and_then(|slot| slot.veil.borrow().cookie.clone())
}

/// Takes the veil off the request's headers: the backend has them, and caches are next.
pub fn lift_headers(request: Request<'_>, slot: &Slot) {
    let mut veil = slot.veil.borrow_mut();
    if veil.headers || veil.cookie.is_some() {
        uncover(request, &veil);
        (veil.headers, veil.cookie) = (false, None);
    }
}

/// The handler has returned.
pub fn lift(request: Request<'_>, slot: &Slot) {
    lift_headers(request, slot);
    if std::mem::take(&mut slot.veil.borrow_mut().environment) {
        request.environment().take_where(|name| variable(name) == Variable::Ours);
    }
}

fn uncover(request: Request<'_>, veil: &Veil) {
    if veil.headers {
        request.headers_in().take(OUR_HEADERS);
    }
    if let Some(sent) = &veil.cookie {
        request.headers_in().set("Cookie", sent);
    }
}

/// A new subrequest has copies of what the record around it sees: it gets what the client sent.
pub fn uncover_part(request: Request<'_>) {
    let Some(slot) = request.main().and_then(tree::slot) else { return };
    let veil = slot.veil.borrow();
    uncover(request, &veil);
    if veil.environment || veil.headers {
        request.environment().take_where(|name| variable(name) == Variable::Ours);
    }
}

/// A redirect has taken over headers and environment of the record before it, whose handler is done
/// with them.
pub fn uncover_redirect(request: Request<'_>) {
    let Some(before) = request.prev() else { return };
    if let Some(slot) = tree::slot(before) {
        lift_headers(before, slot);
    }
    request
        .environment()
        .take_where(|name| is_redirected(name) && variable(name) == Variable::Ours);
}
