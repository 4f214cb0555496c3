//! What a session adds to the head of an answer: its cookie, and what keeps caches away.

use super::config::place_of;
use super::tree::Tree;
use crate::core::cache;
use crate::core::config::{Place, Sources};
use crate::httpd::request::Request;
use crate::httpd::table::Table;

/// Puts a `Set-Cookie` line of ours into the answer, in the place of an earlier one: error pages and
/// internal redirects send one cookie, not two.
pub fn set_cookie(request: Request<'_>, line: &str) {
    let answering = request.answering();
    let name = line.split('=').next().unwrap_or_default();
    // After an error the tables have changed places, so that an earlier line may be in either.
    for table in [answering.headers_out(), answering.err_headers_out()] {
        remove_cookie(table, name);
    }
    // Also errors and redirects carry it.
    answering.err_headers_out().add("Set-Cookie", line);
}

fn remove_cookie(table: Table<'_>, name: &str) {
    let ours = |value: &&[u8]| {
        value.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
    };
    let any = table.get(c"Set-Cookie").is_some();
    if !any || !table.all("Set-Cookie").any(|value| ours(&value)) {
        return;
    }
    let others: Vec<Vec<u8>> =
        table.all("Set-Cookie").filter(|value| !ours(value)).map(<[u8]>::to_vec).collect();
    table.unset("Set-Cookie");
    for other in others {
        table.add_bytes(b"Set-Cookie", &other);
    }
}

/// Adds what the head needs when it leaves: cache rules, and when to come again.
pub fn finish_head(request: Request<'_>, tree: &mut Tree) {
    let errors = request.err_headers_out();
    if tree.timed_up && request.status() == 503 && errors.get(c"Retry-After").is_none() {
        errors.set("Retry-After", b"1");
    }
    if tree.told_nothing || tree.sessions().any(|session| session.was_used()) {
        keep_private(request, place_of(request));
    }
}

/// Says of an answer that it is for one visitor, where a place wants that said.
pub fn keep_private(request: Request<'_>, place: &Place) {
    if place.cache_control() {
        guard_caches(request, place.id_sources());
    }
}

fn guard_caches(request: Request<'_>, sources: &Sources) {
    let tables = [request.headers_out(), request.err_headers_out()];
    let said = |name| tables.iter().any(|table| !table.is_empty() && table.get(name).is_some());
    if *sources == Sources::COOKIE && !said(c"Vary") && !said(c"Cache-Control") {
        // The usual case, without a copy.
        let control =
            if said(c"Set-Cookie") { c"private, no-cache, no-store" } else { c"private, no-cache" };
        tables[0].add_static(c"Vary", c"Cookie");
        tables[0].add_static(c"Cache-Control", control);
        return;
    }
    let all = |name| tables.iter().flat_map(move |table| table.all(name));
    let vary = cache::vary(all("Vary"), sources);
    let with_cookie = all("Set-Cookie").next().is_some();
    let control = cache::control(all("Cache-Control"), with_cookie);
    for (name, value) in [("Vary", vary), ("Cache-Control", control)] {
        if let Some(value) = value {
            tables.iter().for_each(|table| table.unset(name));
            request.headers_out().set(name, value.as_bytes());
        }
    }
}
