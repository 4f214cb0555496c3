//! A request and the requests within it: whoever has the session does not wait for itself.

use std::time::{Duration, Instant};

use crate::mpm_tests;
use crate::steps::{count, lines, run, sessions, visitor};
use crate::support::probed::quoted;
use crate::support::{Builder, Client, Mpm, Request, parallel};

/// Sessions without notes, sessions of another name and scope, and a place with an error page. All
/// sessions share one mutex.
const PLACES: &str = "\
    SessionLockWaiters 64 100%\n\
    Options +Includes\n\
    AddOutputFilter INCLUDES .shtml\n\
    AddType text/html .shtml\n\
    <Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>\n\
    <Location \"/other\">\nSetHandler probe\nSessionIdName other\nSessionScope other\n</Location>\n\
    <Location \"/fails\">\nSetHandler probe\nErrorDocument 404 /error.shtml\n</Location>";
const PAGE: &str = "<!--#include virtual=\"/plain?incr:n\" -->\
                    <!--#include virtual=\"/other?add:n=1\" -->\
                    <!--#include virtual=\"/within.shtml\" -->";
const WITHIN: &str = "<!--#include virtual=\"/probe?incr:n\" -->";

/// How often a tree adds to `n`.
const EACH: u32 = 4;
const TREES: u32 = 8;

mpm_tests!(handlers_redirects_includes_and_error_pages_share_what_their_request_holds);

/// A way to ask for a page some times at once, and get each status and lines.
pub type AskAtOnce = fn(&Client, &str, usize) -> Vec<(u16, Vec<String>)>;

pub fn handlers_redirects_includes_and_error_pages_share_what_their_request_holds(mpm: Mpm) {
    let builder = sessions().mpm(mpm).threads(32).ready_for(16);
    share_what_their_request_holds(builder, |client, path, times| {
        parallel(times, |_| {
            let page = client.clone().send(&Request::get(path).close());
            (page.status, lines(&page))
        })
    });
}

pub fn share_what_their_request_holds(builder: Builder, ask: AskAtOnce) {
    let builder = builder.locks(1).module("include").conf(PLACES);
    let server = builder.document("error.shtml", PAGE).document("within.shtml", WITHIN).start();
    let mut client = visitor(&server);
    client.get("/other?set:n=1").expect(200);
    let tree = format!("/probe?incr:n;redirect:{}", quoted("/fails?incr:n;return:404"));
    let start = Instant::now();
    let pages = ask(&client, &tree, 1);
    let wanted = ["incr=SUCCESS 4", "add=SUCCESS 2", "incr=SUCCESS 5"].map(str::to_owned);
    assert_eq!(pages, [(404, wanted.to_vec())]);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());

    let pages = ask(&client, &tree, TREES as usize);
    assert!(pages.iter().all(|(status, _)| *status == 404), "{pages:?}");
    assert_eq!(count(&mut client), 1 + EACH * (1 + TREES));
    let others = client.get("/other?trylock;get:n;unlock").expect(200).text();
    let sum = 1 + 1 + TREES;
    assert_eq!(others, format!("trylock=SUCCESS\nget=SUCCESS {sum}\nunlock=SUCCESS\n"));
    assert_eq!(run(&mut client, "trylock;unlock"), ["trylock=SUCCESS", "unlock=SUCCESS"]);
}
