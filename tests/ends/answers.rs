//! Answers whose head leaves when the handler has returned.

use crate::mpm_tests;
use crate::support::probed::{COOKIE, ask, one_cookie_at_most, probed, records};
use crate::support::{Mpm, Request};

mpm_tests!(a_buffered_answer_is_committed_when_its_handler_returns);

fn a_buffered_answer_is_committed_when_its_handler_returns(mpm: Mpm) {
    let server = probed().mpm(mpm).log_level("debug").start();
    for (count, place) in (1..).zip(["/p", "/c"]) {
        let mut visitor = server.client();
        let first = visitor.get(&format!("{place}?set:a=apple-pie;get:a;is_new")).expect(200);
        assert_eq!(first.text(), "set=SUCCESS\nget=SUCCESS apple-pie\nis_new=SUCCESS 1\n");
        assert_eq!(first.set_cookies().len(), 1);
        assert_eq!(records(&server), count);

        let second = visitor.get(&format!("{place}?get:a;set:b=2;unset:a;is_new")).expect(200);
        assert_eq!(second.set_cookies().len(), 0);
        let wanted = "get=SUCCESS apple-pie\nset=SUCCESS\nunset=SUCCESS\nis_new=SUCCESS 0\n";
        assert_eq!(second.text(), wanted);
        assert_eq!(ask(&mut visitor, &format!("{place}?keys")), "keys=SUCCESS b");
        assert_eq!(records(&server), count);
        server.assert_no_secret(&["apple-pie", visitor.jar.get(COOKIE).expect("a cookie")]);
    }
}

#[test]
fn an_answer_without_a_change_leaves_neither_record_nor_cookie() {
    let server = probed().start();
    for list in
        ["get:a", "unset:a", "set:a=1;unset:a", "set:a=1;revert", "set_timeout:60000000", "id"]
    {
        for place in ["/p", "/c"] {
            let answer = server.get(&format!("{place}?{list}")).expect(200);
            assert_eq!(answer.set_cookies().len(), 0, "{list}");
        }
    }
    assert_eq!(records(&server), 0);
}

#[test]
fn a_head_request_is_committed_as_its_answer_would_be() {
    let server = probed().start();
    let mut visitor = server.client();
    for place in ["/p", "/c"] {
        let head = visitor.send(&Request::new("HEAD", &format!("{place}?incr:n"))).expect(200);
        one_cookie_at_most(&head);
        assert!(head.body.is_empty());
    }
    assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 3");
    assert_eq!(records(&server), 1);
}

#[test]
fn an_answer_304_is_committed_and_brings_the_cookie() {
    let server = probed().start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        let target = format!("{place}?incr:n;etag:x;meets_conditions");
        let request = Request::get(&target).header("If-None-Match", "\"x\"");
        assert_eq!(visitor.send(&request).expect(304).set_cookies().len(), 1);
        assert_eq!(visitor.send(&request).expect(304).set_cookies().len(), 0);
        assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 3");
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn an_answer_404_of_a_handler_is_committed_and_brings_the_cookie() {
    let server = probed().start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        let target = format!("{place}?incr:n;return:404");
        assert_eq!(visitor.get(&target).expect(404).set_cookies().len(), 1);
        assert_eq!(visitor.get(&target).expect(404).set_cookies().len(), 0);
        assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 3");
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn what_a_filter_changes_between_return_and_head_is_merged_there() {
    let server = probed()
        .conf(
            "SessionRegenerateGrace 0\n\
             <Location \"/late\">\nSetHandler probe\nProbeFilter \"incr:late\"\n</Location>\n\
             <Location \"/late-id\">\nSetHandler probe\nProbeFilter \"incr:late;regenerate\"\n\
             </Location>\n\
             <Location \"/late-user\">\nSetHandler probe\nProbeFilter \"set_user:ann\"\n</Location>\n\
             <Location \"/late-end\">\nSetHandler probe\nProbeFilter \"invalidate\"\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    // A new session that only the filter makes; then one that both change.
    let first = visitor.get("/late").expect(200);
    assert_eq!(first.header("X-Probe"), Some("filter incr=SUCCESS 1"));
    assert_eq!(first.set_cookies().len(), 1);
    assert_eq!(ask(&mut visitor, "/late?incr:early"), "incr=SUCCESS 1");
    assert_eq!(ask(&mut visitor, "/p?get:early;get:late"), "get=SUCCESS 1\nget=SUCCESS 2");
    assert_eq!(records(&server), 1);

    let before = visitor.jar.get(COOKIE).map(str::to_owned);
    ask(&mut visitor, "/late-id?incr:early");
    assert_ne!(visitor.jar.get(COOKIE).map(str::to_owned), before);
    ask(&mut visitor, "/late-user?incr:early");
    let all = ask(&mut visitor, "/p?get:early;get:late;user");
    assert_eq!(all, "get=SUCCESS 3\nget=SUCCESS 3\nuser=SUCCESS ann");
    assert_eq!(records(&server), 1);

    // Two visitors of one answer each: what handler and filter both want of the cookie is one line.
    let mut other = server.client();
    let one = other.get("/late-id?incr:early").expect(200);
    assert_eq!(one.set_cookies().len(), 1);
    assert_eq!(ask(&mut other, "/p?get:early;get:late"), "get=SUCCESS 1\nget=SUCCESS 1");
    assert_eq!(records(&server), 2);
    one_cookie_at_most(&other.get("/late-end?incr:early").expect(200));
    assert!(other.jar.is_empty());
    assert_eq!(records(&server), 1);
}

#[test]
fn a_directory_index_has_the_session_of_its_request() {
    let server = probed()
        .document("shop/start.probe", "")
        .conf(
            "AddHandler probe .probe\nDirectoryIndex start.probe\n\
             <Location \"/shop\">\nProbeFixup \"set:fixup=1\"\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    assert_eq!(ask(&mut visitor, "/shop/?incr:n"), "incr=SUCCESS 1");
    assert_eq!(ask(&mut visitor, "/shop/?incr:n"), "incr=SUCCESS 2");
    assert_eq!(ask(&mut visitor, "/c?incr:n"), "incr=SUCCESS 3");
    assert_eq!(ask(&mut visitor, "/c?get:fixup"), "get=SUCCESS 1");
    assert_eq!(records(&server), 1);
}
