//! What backends order by the head of their answer.

use super::faces::{Face, assert_stripped, faced, start, with_heads};
use crate::face_tests;
use crate::support::probed::{COOKIE, ask, one_cookie_at_most, records};
use crate::support::{Client, Mpm, Response, Store};

face_tests!(
    values_are_set_appended_to_and_removed,
    a_user_is_logged_in_under_a_new_id_and_sessions_are_ended,
    where_orders_are_off_they_are_only_removed,
    orders_that_make_no_sense_are_ignored,
    ten_thousand_orders_are_refused_and_logged_once,
    what_does_not_fit_fails_the_answer,
    an_answer_that_is_an_error_changes_nothing,
);

/// The answer to these headers, without any of ours and with one cookie at most.
#[track_caller]
fn answer(visitor: &mut Client, heads: &[(&str, &str)]) -> Response {
    let response = visitor.get(&with_heads(heads));
    assert_stripped(&response);
    one_cookie_at_most(&response);
    response
}

fn values_are_set_appended_to_and_removed(face: Face) {
    let (server, _backend) = start(face, "SessionBackendHeaders values");
    let mut visitor = server.client();
    answer(&mut visitor, &[]).expect(200);
    assert_eq!((records(&server), visitor.jar.is_empty()), (0, true));
    let heads = [
        ("X-Session-Set", "a=1"),
        ("X-Session-Set", "two%20words=x%2C%20y%00%C3%9F, gone=1"),
        ("X-Other", "kept"),
        ("x-session-append", "a=2"),
        ("X-Session-Unset", "gone"),
    ];
    let first = answer(&mut visitor, &heads).expect(200);
    assert_eq!((first.header("X-Other"), first.set_cookies().len()), (Some("kept"), 1));
    assert_eq!(
        ask(&mut visitor, "/c?get:a;get_bytes:two%20words;get:gone"),
        "get=SUCCESS 12\nget_bytes=SUCCESS x%2C%20y%00%C3%9F\nget=NOTFOUND"
    );
    let next = answer(&mut visitor, &[("X-Session-Append", "a=3")]).expect(200);
    assert_eq!(next.set_cookies().len(), 0);
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 123");
    answer(&mut visitor, &[("X-Session-Unset", "a, two%20words")]).expect(200);
    assert_eq!((records(&server), visitor.jar.is_empty()), (0, true));
}

fn a_user_is_logged_in_under_a_new_id_and_sessions_are_ended(face: Face) {
    let (server, _backend) = start(face, "SessionBackendHeaders all\nSessionRegenerateGrace 0");
    let mut visitor = server.client();
    let id = |visitor: &Client| visitor.jar.get(COOKIE).map(str::to_owned);
    answer(&mut visitor, &[("X-Session-Set", "a=1")]).expect(200);
    let first = id(&visitor);
    answer(&mut visitor, &[("X-Session-User", "Ann%2C %C3%9C")]).expect(200);
    assert_eq!(ask(&mut visitor, "/c?user;get:a"), "user=SUCCESS Ann%2C%20%C3%9C\nget=SUCCESS 1");
    let second = id(&visitor);
    assert_ne!(first, second);
    answer(&mut visitor, &[("X-Session-Do", "regenerate"), ("X-Session-Set", "a=2")]).expect(200);
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 2");
    assert_ne!(id(&visitor), second);
    answer(&mut visitor, &[("X-Session-User", "")]).expect(200);
    assert_eq!(ask(&mut visitor, "/c?user;get:a"), "user=SUCCESS -\nget=SUCCESS 2");
    answer(&mut visitor, &[("X-Session-Do", "invalidate")]).expect(200);
    assert_eq!((records(&server), id(&visitor)), (0, None));
}

fn where_orders_are_off_they_are_only_removed(face: Face) {
    let (server, _backend) = start(face, "");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let heads = [
        ("X-Session-Set", "a=2"),
        ("X-Session-User", "admin"),
        ("X-Session-Do", "invalidate"),
        ("X_Session_Set", "a=2"),
        ("x-session-value-a", "1"),
        ("X-Session-New", "0"),
        ("X-Session-Token", "kept"),
    ];
    let response = visitor.get(&with_heads(&heads[..6])).expect(200);
    assert_stripped(&response);
    assert_eq!(visitor.get(&with_heads(&heads[6..])).header("X-Session-Token"), Some("kept"));
    assert_eq!(visitor.get("/app?many=300").expect(200).headers_all("X-Session-Set").len(), 0);
    assert_eq!(ask(&mut visitor, "/c?get:a;user"), "get=SUCCESS 1\nuser=SUCCESS -");
}

fn orders_that_make_no_sense_are_ignored(face: Face) {
    let (server, _backend) = start(face, "SessionBackendHeaders values");
    let mut visitor = server.client();
    let heads = [
        ("X-Session-Set", "no-equals-sign"),
        ("X-Session-Set", "percent=%4"),
        ("X-Session-Set", "line%0D%0Aend=1"),
        ("X-Session-Unset", "%00"),
        ("X-Session-Set", "good=1%0D%0AX-Evil: 1"),
        ("X-Session-User", "admin"),
        ("X-Session-Do", "invalidate"),
    ];
    let response = answer(&mut visitor, &heads).expect(200);
    assert_eq!(response.header("X-Evil"), None);
    assert_eq!(
        ask(&mut visitor, "/c?keys;get:good;user"),
        "keys=SUCCESS good\nget=SUCCESS 1%0D%0AX-Evil:%201\nuser=SUCCESS -"
    );
    server.expect_log("4 session headers of a backend make no sense");
    server.expect_log("2 session headers of a backend need SessionBackendHeaders all");
    server.assert_no_secret(&["no-equals-sign", "admin", "percent", "good"]);
}

fn ten_thousand_orders_are_refused_and_logged_once(face: Face) {
    let _room = Store::with_room(8_000);
    let (builder, _backend) = faced(face, "SessionBackendHeaders values");
    let server = builder
        .conf("<Location \"/app/off\">\nSessionBackendHeaders off\n</Location>")
        .conf("LimitRequestFieldSize 65536")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:k0=0");
    let refused = visitor.get("/app?many=10000").expect(502);
    assert_stripped(&refused);
    assert_eq!(ask(&mut visitor, "/c?keys;get:k0"), "keys=SUCCESS k0\nget=SUCCESS 0");
    server.expect_log("the answer has more than 256 session headers");
    // mod_proxy_fcgi notes that its answer was replaced.
    server.allow_log("AH01075");
    assert_eq!(server.log_count("the answer has more than 256 session headers"), 1);
    assert_stripped(&visitor.get("/app/off?many=10000").expect(200));
    assert_stripped(&visitor.get("/app?many=250").expect(200));
    assert_eq!(ask(&mut visitor, "/c?get:k249"), "get=SUCCESS 1");
}

fn what_does_not_fit_fails_the_answer(face: Face) {
    let (builder, _backend) = faced(face, "SessionBackendHeaders values\nSessionMaxKeys 2");
    let server = builder.start();
    let mut visitor = server.client();
    answer(&mut visitor, &[("X-Session-Set", "a=1, b=1")]).expect(200);
    answer(&mut visitor, &[("X-Session-Set", "a=2, c=1")]).expect(500);
    assert_eq!(ask(&mut visitor, "/c?keys;get:a"), "keys=SUCCESS a,b\nget=SUCCESS 1");
    server.expect_log("the session would exceed SessionMaxKeys");
    // mod_proxy_fcgi notes that its answer was replaced.
    server.allow_log("AH01075");
}

fn an_answer_that_is_an_error_changes_nothing(face: Face) {
    let (builder, _backend) = faced(face, "SessionBackendHeaders values");
    let server =
        builder.conf("<Location \"/app/keep\">\nSessionSaveOnError on\n</Location>").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let target = with_heads(&[("X-Session-Set", "a=2")]);
    assert_stripped(&visitor.get(&format!("{target}&status=503")).expect(503));
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 1");
    let target = target.replace("/app", "/app/keep");
    visitor.get(&format!("{target}&status=503")).expect(503);
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 2");
    for status in ["201", "404"] {
        let target = with_heads(&[("X-Session-Append", "a=x")]);
        visitor.get(&format!("{target}&status={status}"));
    }
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 2xx");
}

#[test]
fn files_and_modules_order_nothing_and_their_answers_are_cleaned_too() {
    let (builder, _backend) = faced(Face::Cgi(Mpm::Event), "");
    let server = builder
        .conf("<LocationMatch \"^/\">\nSessionBackendHeaders all\n</LocationMatch>")
        .conf("<Location \"/off\">\nSetHandler probe\nSessionEngine off\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    for place in ["/p", "/c"] {
        for operation in ["header", "errheader"] {
            let target = format!("{place}?{operation}:X-Session-Set=a%3D2;get:a");
            assert_stripped(&visitor.get(&target).expect(200));
        }
    }
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 1");
    let elsewhere = visitor.get("/off?header:X-Session-Set=a%3D2").expect(200);
    assert_eq!(elsewhere.header("X-Session-Set"), Some("a=2"));
}
