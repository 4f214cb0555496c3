//! What mod_session_dbd is known for does not happen here, and what happens when things go wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{forms, is_in, log_in, set_entries};
use crate::steps::{run, visitor};
use crate::support::probed::{one_cookie_at_most, records};
use crate::support::{Server, Store, stored};

#[test]
fn with_an_age_visitors_without_a_session_leave_no_record() {
    let server = forms().conf("SessionMaxAge 3600").start();
    for _ in 0..5 {
        let mut visitor = server.client();
        for path in ["/page.html", "/entries.lua", "/in/page.html", "/absent"] {
            assert!(visitor.get(path).set_cookies().is_empty(), "{path}");
        }
    }
    assert_eq!(records(&server), 0);
}

#[test]
fn with_an_age_a_logout_leaves_neither_record_nor_cookie() {
    let server = forms().conf("SessionMaxAge 3600").start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    assert!(is_in(&mut visitor));
    let logout = visitor.get("/logout").expect(307);
    assert_eq!(logout.set_cookies().len(), 1);
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);
}

#[test]
fn every_answer_sets_one_cookie_at_most() {
    let server = forms().conf("SessionMaxAge 3600\nSessionIdRefresh on").start();
    let mut visitor = server.client();
    let answer = set_entries(&mut visitor, "a=1");
    assert_eq!(answer.set_cookies().len(), 1);
    for path in ["/page.html", "/in/page.html", "/absent", "/entries.lua?a=2", "/logout"] {
        one_cookie_at_most(&visitor.get(path));
    }
    one_cookie_at_most(&log_in(&mut visitor, "ann"));
    one_cookie_at_most(&visitor.get("/probe?set:n=1;return:404"));
    one_cookie_at_most(&visitor.get("/probe?set:n=2;header:X-Entries=m%3D1;return:302"));
}

#[test]
fn who_changes_nothing_writes_nothing_and_keeps_the_id() {
    let server = forms().conf("SessionMaxAge 3600\nSessionCleanupInterval 0").start();
    let mut visitor = visitor(&server);
    visitor.get("/page.html").expect(200);
    let before = stored::state(&server);
    assert!(!before.is_empty());
    for path in ["/page.html", "/entries.lua", "/entries.lua?n=1"] {
        let answer = visitor.get(path).expect(200);
        assert!(answer.set_cookies().is_empty(), "{path}");
    }
    assert!(stored::state(&server) == before, "something was written");
}

#[test]
fn the_age_becomes_the_timeout_of_the_session() {
    let server = forms()
        .conf("<Location \"/entries.lua\">\nSessionMaxAge 7200\nSessionTimeout 10m\n</Location>")
        .start();
    let mut client = server.client();
    set_entries(&mut client, "a=1");
    assert_eq!(run(&mut client, "timeout"), ["timeout=SUCCESS 7200000000"]);
    // One that was made elsewhere gets it with the first visit; its own one is not touched by visits.
    let mut client = visitor(&server);
    assert_eq!(run(&mut client, "timeout"), ["timeout=SUCCESS 1800000000"]);
    assert!(super::entries(&mut client).starts_with("n=1&expiry="));
    assert_eq!(run(&mut client, "timeout"), ["timeout=SUCCESS 7200000000"]);
    run(&mut client, "set_timeout:60000000");
    super::entries(&mut client);
    assert_eq!(run(&mut client, "timeout"), ["timeout=SUCCESS 60000000"]);
    set_entries(&mut client, "a=1");
    assert_eq!(
        run(&mut client, "timeout;keys"),
        ["timeout=SUCCESS 7200000000", "keys=SUCCESS n,a"]
    );
}

#[test]
fn a_session_that_another_request_ended_is_not_brought_back() {
    use crate::steps::{Signals, answer};
    let server = forms().conf("SessionLockTimeout 20s").start();
    let mut client = visitor(&server);
    let signals = Signals::of(&server);
    // Read before the session ends, written after.
    let list =
        format!("{};{};header:X-Entries=a%3D1", signals.give("read"), signals.await_("ended"));
    let late = client.clone().open(&crate::support::Request::get(&format!("/symbols?{list}")));
    signals.wait("read");
    run(&mut client.clone(), "invalidate");
    signals.raise("ended");
    let late = answer(late).expect(200);
    assert!(late.set_cookies().is_empty());
    assert_eq!(records(&server), 0);
    server.wait_for_log("what mod_session wanted kept was dropped");
    assert_eq!(run(&mut client, "is_new"), ["is_new=SUCCESS 1"]);
}

#[test]
fn a_login_that_cannot_be_kept_is_an_error_and_no_redirect() {
    let _files = Store::File.only("its directories are closed");
    let server = forms().start();
    let mut other = visitor(&server);
    close(&server, true);
    let failed = log_in(&mut other, "ann").expect(503);
    assert!(failed.set_cookies().is_empty() && failed.header("Location").is_none());
    // Nor is somebody told to log in whose session cannot be read.
    assert_eq!(other.get("/in/page.html").status, 503);
    assert_eq!(other.get("/page.html").status, 503);
    close(&server, false);
    log_in(&mut other, "ann").expect(302);
    assert!(is_in(&mut other));
    server.expect_log("reading a session for mod_session");
    server.allow_log("AH01816");
    server.allow_log("reading");
    server.allow_log("before the handler");
}

#[test]
fn where_the_store_may_be_missed_pages_are_served_without_it() {
    let _files = Store::File.only("its directories are closed");
    let server = forms().conf("SessionStoreFailure ignore").start();
    let mut visitor = visitor(&server);
    close(&server, true);
    visitor.get("/page.html").expect(200);
    assert_eq!(visitor.get("/in/page.html").status, 401);
    close(&server, false);
    assert_eq!(run(&mut visitor, "get:n"), ["get=SUCCESS 1"]);
    server.expect_log("serving without a session");
}

/// Takes the data folders away from the server, or gives them back.
fn close(server: &Server, closed: bool) {
    let mode = if closed { 0o000 } else { 0o700 };
    let shards = fs::read_dir(server.data_dir()).expect("the data directory").flatten();
    for shard in shards.filter(|shard| shard.file_name().len() == 2) {
        fs::set_permissions(shard.path(), Permissions::from_mode(mode)).expect("setting a mode");
    }
}
