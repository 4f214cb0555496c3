//! Values, keys and users that are past what a session may hold.

use crate::steps::{ask, run, sessions, visitor};
use crate::support::{Request, Store};

#[test]
fn past_a_limit_the_caller_gets_an_error_and_the_old_value_stays() {
    let server = sessions().conf("SessionMaxSize 1K\nSessionMaxKeys 3").start();
    let mut client = visitor(&server);
    let large = "x".repeat(1100);
    let long_key = "k".repeat(129);
    assert_eq!(run(&mut client, &format!("set:n={large};get:n")), ["set=ENOSPC", "get=SUCCESS 1"]);
    assert_eq!(
        run(&mut client, "set:b=1;set:c=1;set:d=1;keys"),
        ["set=SUCCESS", "set=SUCCESS", "set=ENOSPC", "keys=SUCCESS n,b,c"]
    );
    assert_eq!(
        run(&mut client, "set:n=2;set:N=3;get:n"),
        ["set=SUCCESS", "set=SUCCESS", "get=SUCCESS 3"]
    );
    assert_eq!(
        run(&mut client, &format!("set_user:{large};user")),
        ["set_user=ENOSPC", "user=SUCCESS -"]
    );
    for key in [long_key.as_str(), "a%01b", "%FF%FE", "%7F"] {
        assert_eq!(
            run(&mut client, &format!("set:{key}=1;keys")),
            ["set=EINVAL", "keys=SUCCESS n,b,c"]
        );
    }
    assert_eq!(run(&mut client, "get:n;user"), ["get=SUCCESS 3", "user=SUCCESS -"]);
}

/// By `SessionMaxSize`, or before that by what the store takes.
#[test]
fn a_session_grows_as_far_as_its_place_and_its_store_allow_and_stays_as_it_was() {
    const PLACE: usize = 20 << 10;
    let most = Store::current().largest();
    let server = sessions().conf("SessionMaxSize 20K").start();
    let mut client = visitor(&server);
    let part = "x".repeat(300);
    let mut parts = 0;
    let refused = loop {
        let answer = client.send(&ask(&format!("set:part{parts}={part}")));
        if answer.status != 200 || answer.text().trim_end() != "set=SUCCESS" {
            break (answer.status, answer.text());
        }
        parts += 1;
    };
    let bytes = parts * part.len();
    assert!(
        bytes < most.min(PLACE) && most.min(PLACE) < bytes + 2000,
        "{parts} parts: {refused:?}"
    );
    if most < PLACE {
        assert_eq!(refused.0, 500);
        server.expect_log("larger than its store can hold");
    } else {
        assert_eq!(refused, (200, "set=ENOSPC\n".to_owned()));
    }
    let last = parts - 1;
    let answer = run(&mut client, &format!("get:n;get:part{last};get:part{parts}"));
    assert_eq!(answer, ["get=SUCCESS 1", &format!("get=SUCCESS {part}"), "get=NOTFOUND"]);
}

#[test]
fn notes_past_a_limit_are_answered_with_500_and_a_line_and_nothing_is_stored() {
    let server = sessions().conf("SessionMaxSize 1K\nSessionMaxKeys 3").start();
    let mut client = visitor(&server);
    let large = format!("setnote:session:m={}", "x".repeat(1100));
    for (ops, line) in [
        (large.as_str(), "SessionMaxSize"),
        ("setnote:session:a=1;setnote:session:b=1;setnote:session:c=1", "SessionMaxKeys"),
        (&format!("setnote:session:{}=1", "k".repeat(129)), "make no sense"),
        ("setnote:session:a%01b=1", "make no sense"),
        ("setnote:session-store.do=dance", "make no sense"),
        ("setnote:session-store.timeout=0", "make no sense"),
    ] {
        server.expect_log(line);
        client.send(&ask(&format!("setnote:session:n=9;{ops}"))).expect(500);
        let before = ["keys=SUCCESS n", "get=SUCCESS 1", "timeout=SUCCESS 1800000000"];
        assert_eq!(run(&mut client, "keys;get:n;timeout"), before, "{ops}");
    }
}

#[test]
fn requests_that_httpd_refuses_reach_no_session() {
    let server = sessions().start();
    let client = visitor(&server);
    let request = Request::get("/probe?incr:n").header("Cookie", &"x".repeat(9000)).close();
    server.client().send(&request).expect(400);
    assert_eq!(run(&mut client.clone(), "get:n"), ["get=SUCCESS 1"]);
}
