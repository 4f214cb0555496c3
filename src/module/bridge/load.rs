//! What mod_session is given: a snapshot, and no lease. It asks in the name of every request, those of
//! static files too.

use std::sync::atomic::Ordering;

use super::{ENCODED, Given, failed};
use crate::core::clock::{Clock, SystemClock, Time};
use crate::core::session::bridge::{entries as shown, is_unopened, opened, sealed};
use crate::core::session::values::Values;
use crate::core::session::{Access, Session};
use crate::httpd::mod_session::Entries;
use crate::httpd::request::Request;
use crate::module::config::place_of;
use crate::module::tree::{self, Failure, Identity, Slot};

/// The entries of the request's session, the same ones each time that a request tree asks. As long as
/// nobody has changed them they follow what other handlers do to the session.
pub fn load(request: Request<'_>) -> Result<Entries, Failure> {
    if !place_of(request).engine() {
        return Err(Failure::Off);
    }
    let anchor = tree::slot_or_make(request.anchor()).ok_or(Failure::Phase)?;
    if anchor.closed.get() {
        return Err(Failure::Phase);
    }
    let known = known(request, anchor);
    if let Some((entries, current)) = known
        && (current || entries.is_dirty())
    {
        entries.forget_end_before(micros(SystemClock.now()));
        return Ok(entries);
    }
    let entries = match known {
        Some((entries, _)) => entries,
        None => Entries::new(request.anchor().pool()),
    };
    let given = give(request, entries);
    let mut state = anchor.bridge.borrow_mut();
    state.given.retain(|other| other.entries != entries);
    state.given.push(given);
    Ok(entries)
}

/// The entries that the tree has of this session, and whether they are what it is now.
fn known(request: Request<'_>, anchor: &Slot) -> Option<(Entries, bool)> {
    let state = anchor.bridge.borrow();
    let given = state.given.iter().find(|given| given.identity.fits(request))?;
    let current = |session: &Session| *session.all_values() == given.seen;
    Some((given.entries, tree::seen(request, current).unwrap_or(true)))
}

/// Reads the session into entries.
fn give(request: Request<'_>, entries: Entries) -> Given {
    let identity = Identity::of(request);
    match read(request) {
        Ok(Seen { values, end }) => {
            let (before, opened) = fill(request, entries, &values);
            // Behind what was in a text: an end of then does not count.
            entries.set_end(end.map_or(0, micros));
            Given { identity, entries, seen: values, before, opened }
        }
        Err(failure) => {
            failed(request, "reading a session for mod_session", &failure);
            // Nobody is logged in, as far as can be told, and nothing is kept.
            entries.table().clear();
            entries.forbid_saving();
            let (seen, before) = (Values::default(), Values::default());
            Given { identity, entries, seen, before, opened: false }
        }
    }
}

/// As httpd counts: `apr_time_t`.
fn micros(time: Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Seen {
    values: Values,
    end: Option<Time>,
}

fn read(request: Request<'_>) -> Result<Seen, Failure> {
    if tree::offer_nothing(request)? {
        return Ok(Seen::default());
    }
    tree::with(request, |session, services| {
        if !session.is_open() && !session.was_let_go() {
            session.open(services, Access::Read)?;
        }
        let end = session.own_end(services.clock);
        Ok(Seen { values: session.all_values().clone(), end })
    })
}

/// Fills the table; what is in it then, and whether that came out of a text which others had encoded.
fn fill(request: Request<'_>, entries: Entries, values: &Values) -> (Values, bool) {
    let table = entries.table();
    table.clear();
    if ENCODED.load(Ordering::Relaxed) {
        if let Some(text) = sealed(values) {
            let decoded = entries.decode(request, text) && !table.is_empty();
            if decoded && !is_unopened(text, table.iter()) {
                return (opened(table.iter()), true);
            }
            table.clear();
        }
        if shown(values).next().is_some() && is_encoded(request) {
            return (Values::default(), true);
        }
    }
    for (key, value) in shown(values) {
        table.add_new(key, value);
    }
    (values.clone(), false)
}

/// Whether others encode what is to be kept at the request's place: then what is there as it is is not
/// mod_session's.
fn is_encoded(request: Request<'_>) -> bool {
    let sample = Entries::new(request.anchor().pool());
    sample.table().add_new("a", b"1");
    sample.encode(request) != Some(b"a=1")
}
