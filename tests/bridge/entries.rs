//! The entries of mod_session as keys of the session, and the other way round.

use super::{entries, forms, id, log_in, set_entries};
use crate::mpm_tests;
use crate::steps::{run, visitor};
use crate::support::probed::{one_cookie_at_most, records};
use crate::support::{Mpm, Request};

mpm_tests!(what_mod_session_has_and_what_handlers_have_is_one);

fn what_mod_session_has_and_what_handlers_have_is_one(mpm: Mpm) {
    let server = forms().mpm(mpm).start();
    let mut client = server.client();
    assert_eq!(entries(&mut client), "");
    assert!(client.jar.is_empty());
    let answer = set_entries(&mut client, "a=1&b=two+words");
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(answer.header("X-Entries"), None);
    assert_eq!(
        run(&mut client, "keys;get:a;get:b;notes"),
        [
            "keys=SUCCESS a,b",
            "get=SUCCESS 1",
            "get=SUCCESS two%20words",
            "notes=SUCCESS session:a,session:b,session-store.new,session-store.reason,\
             session-store.timeout,session-store.created,session-store.accessed,session-store.id"
        ]
    );
    run(&mut client, "unset:a;set:c=%26;set_bytes:raw=x%00y");
    assert_eq!(entries(&mut client), "b=two+words&c=%26");
    assert_eq!(client.get("/add.lua").expect(200).text(), "1");
    assert_eq!(entries(&mut client), "b=two+words&c=%26&n=1");
    // A name without a value goes.
    let answer = set_entries(&mut client, "b=&c=2");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(run(&mut client, "keys;get:c"), ["keys=SUCCESS c,raw,n", "get=SUCCESS 2"]);
    assert_eq!(records(&server), 1);
}

#[test]
fn who_removes_the_last_entry_ends_the_session() {
    let server = forms().start();
    let mut client = server.client();
    set_entries(&mut client, "a=1");
    assert_eq!(records(&server), 1);
    assert_eq!(set_entries(&mut client, "a=").set_cookies().len(), 1);
    assert!(client.jar.is_empty());
    assert_eq!(records(&server), 0);
    // What cannot be an entry keeps it alive.
    run(&mut client, "set:a=1;set_bytes:raw=x%00y");
    assert!(set_entries(&mut client, "a=").set_cookies().is_empty());
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS raw"]);
}

#[test]
fn a_password_is_neither_offered_nor_listed_nor_exported_nor_logged() {
    let server = forms()
        .module("headers")
        .module("rewrite")
        .conf(
            "SessionExport env *\n\
             <Location \"/page.html\">\n\
             Header set X-Asked \"expr=[%{SESSION:My Realm-pw}][%{SESSION:My Realm-user}]\"\n\
             </Location>\n\
             LogFormat \"%U [%{My Realm-pw}^ss] [%{My Realm-user}^ss]\" who\n\
             CustomLog logs/who.log who",
        )
        .start();
    let mut client = server.client();
    log_in(&mut client, "ann").expect(302);
    let known = run(&mut client, "keys;note:session:My%20Realm-pw;note:session:My%20Realm-user");
    assert_eq!(known, ["keys=SUCCESS My%20Realm-user", "note=NOTFOUND", "note=SUCCESS ann"]);
    // What a handler writes under such a name is kept, and not shown to another one.
    run(&mut client, "setnote:session:my-pw=1;set:my-site=2");
    assert_eq!(run(&mut client, "get:my-pw;get:my-site")[..], ["get=SUCCESS 1", "get=SUCCESS 2"]);
    assert_eq!(
        run(&mut client, "keys;note:session:my-pw"),
        ["keys=SUCCESS My%20Realm-user", "note=NOTFOUND"]
    );
    let page = client.get("/page.html").expect(200);
    assert_eq!(page.header("X-Asked"), Some("[][ann]"));
    let seen =
        run(&mut client, "env:SESSION_VALUE_MY_PW;env:SESSION_VALUE_MY_SITE;env:SESSION_USER");
    assert_eq!(seen, ["env=NOTFOUND", "env=NOTFOUND", "env=SUCCESS ann"]);
    server.stop();
    let log = std::fs::read_to_string(server.root().join("logs/who.log")).expect("the log");
    assert!(log.contains("/page.html [-] [ann]") && !log.contains("sesame"), "{log}");
    server.assert_no_secret(&["sesame"]);
}

#[test]
fn the_key_of_encoded_text_is_nobodys() {
    let server = forms().start();
    let mut client = visitor(&server);
    assert_eq!(
        run(&mut client, "set:mod_session=x;get:mod_session;unset:Mod_Session"),
        ["set=EINVAL", "get=EINVAL", "unset=EINVAL"]
    );
    client.get("/probe?setnote:session:mod_session=x").expect(500);
    server.expect_log("1 notes make no sense");
    // As an entry it is refused as well, and the answer says so.
    client.get("/entries.lua?mod_session=x&a=1").expect(500);
    server.expect_log("1 entries cannot be keys of a session");
    server.allow_log("AH01822");
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n"]);
}

#[test]
fn entries_past_the_limits_of_a_session_are_refused_and_the_answer_says_so() {
    let server = forms().conf("SessionMaxKeys 3").start();
    let mut client = visitor(&server);
    let answer = client.get("/entries.lua?a=1&b=2&c=3").expect(500);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n"]);
    server.expect_log("the session would exceed SessionMaxKeys");
    server.allow_log("AH01822");
}

#[test]
fn texts_that_make_no_sense_harm_nothing() {
    let server = forms().start();
    let mut client = visitor(&server);
    for query in
        ["&&==&=", "a", "=b", "%zz=1", "a=%", "a=1=2", "expiry=1", "expiry=x&q=1", "a%00b=1"]
    {
        let answer = client.get(&format!("/entries.lua?{query}"));
        assert!([200, 500].contains(&answer.status), "{query}: {}", answer.status);
    }
    assert_eq!(run(&mut client, "get:n;get:expiry"), ["get=SUCCESS 1", "get=NOTFOUND"]);
    assert_eq!(records(&server), 1);
    server.allow_log("AH01819");
    server.allow_log("AH01822");
    server.allow_log("entries cannot be keys");
}

#[test]
fn what_a_failing_handler_left_in_the_entries_is_dropped() {
    let server = forms().start();
    let mut client = visitor(&server);
    client.get("/probe?header:X-Entries=a%3D1;return:500").expect(500);
    client.get("/probe?errheader:X-Entries=a%3D1;return:500").expect(500);
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n"]);
    // An answer that is no error of the server's keeps it.
    client.get("/probe?errheader:X-Entries=a%3D1;return:404").expect(404);
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS n,a"]);
}

#[test]
fn mod_session_and_a_streaming_handler_change_one_session() {
    let server = forms().start();
    let mut client = visitor(&server);
    // The head leaves, and mod_session writes, while the handler runs.
    let streamed =
        client.get("/probe?set:early=1;header:X-Entries=m%3D1;flush;set:late=1;incr:n").expect(200);
    one_cookie_at_most(&streamed);
    assert_eq!(
        run(&mut client, "keys;get:m;get:n"),
        ["keys=SUCCESS n,early,m,late", "get=SUCCESS 1", "get=SUCCESS 2"]
    );
    // Without notes nobody has the session when mod_session writes; the handler takes it later.
    let places = "/symbols";
    client.get(&format!("{places}?header:X-Entries=m%3D2;flush;incr:n")).expect(200);
    assert_eq!(run(&mut client, "get:m;get:n"), ["get=SUCCESS 2", "get=SUCCESS 3"]);
}

#[test]
fn subrequests_and_redirects_see_the_entries_of_the_request_they_belong_to() {
    let server = forms().start();
    let mut client = visitor(&server);
    // The first record changes the session by its own means, the second sees it by mod_session's.
    let inner = client.get("/probe?set:a=1;redirect:/entries.lua").expect(200);
    assert_eq!(inner.text(), "n=1&a=1");
    let parts = client.get("/probe?set:b=1;sub:/entries.lua;set:c=1;sub:/entries.lua").expect(200);
    let parts = parts.text();
    assert!(parts.contains("n=1&a=1&b=1sub=") && parts.contains("n=1&a=1&b=1&c=1sub="), "{parts}");
    let before = id(&client);
    let missing = client.send(&Request::get("/absent")).expect(404);
    assert!(missing.set_cookies().is_empty());
    assert_eq!(id(&client), before);
}
