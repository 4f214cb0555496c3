//! Where we are mod_session's storage, and where not.

use super::{forms, log_in, set_entries};
use crate::steps::{COOKIE, probed, run, visitor, with_lua};
use crate::support::probed::records;
use crate::support::{Server, apxs};

#[test]
fn where_the_engine_is_off_others_keep_the_entries() {
    let server = forms()
        .module("session_cookie")
        .conf("<Location \"/entries.lua\">\nSessionEngine off\nSessionCookieName theirs path=/\n</Location>")
        .start();
    let mut client = server.client();
    let answer = set_entries(&mut client, "a=1");
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.jar.get("theirs"), Some("a=1"));
    assert_eq!(client.jar.get(COOKIE), None);
    assert_eq!(super::entries(&mut client), "a=1");
    assert_eq!(records(&server), 0);
}

#[test]
fn where_nobody_keeps_them_mod_session_says_so() {
    let server = forms().conf("<Location \"/page.html\">\nSessionEngine off\n</Location>").start();
    server.get("/page.html").expect(200);
    server.expect_log("session is enabled but no session modules have been configured");
}

#[test]
fn where_ours_are_on_they_are_used_whatever_else_is_configured() {
    let server = forms().module("session_cookie").conf("SessionCookieName theirs path=/").start();
    let mut client = server.client();
    let answer = set_entries(&mut client, "a=1");
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.jar.get("theirs"), None);
    assert_eq!(run(&mut client, "get:a"), ["get=SUCCESS 1"]);
}

#[test]
fn where_session_is_off_handlers_have_theirs_all_the_same() {
    let server = forms().conf("<Location \"/probe\">\nSession Off\n</Location>").start();
    let mut client = visitor(&server);
    set_entries(&mut client, "a=1");
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n,a"]);
}

#[test]
fn mod_session_may_be_loaded_after_us() {
    let file = |name: &str| apxs::module(name).expect("a module of its own");
    let server = probed()
        .sessions()
        .load("session_module", file("session"))
        .conf("Session On\nSessionHeader X-Entries")
        .start();
    let mut client = visitor(&server);
    client.get("/probe?header:X-Entries=a%3D1").expect(200);
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n,a"]);
}

#[test]
fn mod_session_may_come_and_go_with_restarts() {
    let plain = with_lua(crate::steps::sessions());
    let mut server: Server = plain.clone().start();
    let mut client = visitor(&server);
    let with = |builder: crate::support::Builder| {
        builder.module("session").conf("Session On\nSessionHeader X-Entries")
    };
    for round in 1..=2 {
        server.reconfigure(with);
        server.reload_graceful();
        client.get(&format!("/probe?header:X-Entries=a{round}%3D1")).expect(200);
        let before = plain.clone();
        server.reconfigure(|_| before);
        server.reload_graceful();
        assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
        client.get("/probe?header:X-Entries=b%3D1").expect(200);
    }
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n,a1,a2"]);
}

#[test]
fn in_a_place_that_may_only_read_a_login_is_refused() {
    let server = forms().conf("<Location \"/login\">\nSessionLocking read\n</Location>").start();
    let mut client = server.client();
    log_in(&mut client, "ann").expect(500);
    assert!(client.jar.is_empty());
    assert_eq!(records(&server), 0);
    server.expect_log("AH01822");
}
