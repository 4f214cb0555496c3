//! What clients send that only this server may say to its backends.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{OUR_HEADERS, veil};
use crate::core::export::client::connection_without_ours;
use crate::httpd::request::Request;

/// The filter that sees trailers come; httpd keeps names in lower case.
const TRAILERS: &CStr = c"session_store_trailers";
/// HTTP/2 has trailers without saying so in the head.
const HTTP_2: i32 = 2000;

/// Sessions exist somewhere on this server. Set in each new child.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Whether headers of ours are removed from what clients send: on the whole server, if sessions exist
/// somewhere in it.
pub fn watch(on: bool) {
    WATCHED.store(on, Ordering::Relaxed);
}

/// A request has been read, or a redirect has taken one over.
pub fn arrived(request: Request<'_>) {
    if !WATCHED.load(Ordering::Relaxed) {
        return;
    }
    if request.prev().is_some() {
        veil::uncover_redirect(request);
    }
    // A redirect's too: httpd refuses some requests before anybody has seen them, and then sends for the
    // page of the error.
    clean(request);
}

/// A record has been made. Only a subrequest's has headers at that time.
pub fn created(request: Request<'_>) {
    if request.main().is_some() && WATCHED.load(Ordering::Relaxed) {
        veil::uncover_part(request);
    }
}

fn clean(request: Request<'_>) {
    let headers = request.headers_in();
    headers.take(OUR_HEADERS);
    let left = headers.get(c"Connection").and_then(connection_without_ours);
    match left {
        None => {}
        Some(left) if left.is_empty() => headers.unset("Connection"),
        Some(left) => headers.set("Connection", &left),
    }
}

/// Before the body is read by a handler: what comes behind it is looked at.
pub fn expect_trailers(request: Request<'_>) {
    if request.main().is_some() || !WATCHED.load(Ordering::Relaxed) {
        return;
    }
    // An earlier phase may have read the body.
    clean_trailers(request);
    let chunked = request.headers_in().get(c"Transfer-Encoding").is_some();
    if chunked || request.protocol() >= HTTP_2 {
        request.add_input_filter(TRAILERS);
    }
}

/// Trailers have come, after everything else of the request.
pub fn clean_trailers(request: Request<'_>) {
    if !request.trailers_in().is_empty() {
        request.trailers_in().take(OUR_HEADERS);
        // `MergeTrailers` puts them among the headers.
        request.headers_in().take(OUR_HEADERS);
    }
}
