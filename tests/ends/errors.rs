//! Answers that are errors: of the server, of the handler, before the handler, and their pages.

use crate::mpm_tests;
use crate::support::Mpm;
use crate::support::probed::{COOKIE, ask, one_cookie_at_most, probed, quoted, records};

const PLACES: [&str; 2] = ["/p", "/c"];

mpm_tests!(an_error_page_has_the_session_of_the_request_that_failed);

fn an_error_page_has_the_session_of_the_request_that_failed(mpm: Mpm) {
    let server = probed()
        .mpm(mpm)
        .conf(&format!(
            "ErrorDocument 404 /p?get:a;{}\n\
             <Location \"/c\">\nErrorDocument 404 /c?get:a;incr:page\n</Location>\n",
            "incr:page"
        ))
        .start();
    for place in PLACES {
        let mut visitor = server.client();
        for count in 1..=3 {
            let answer = visitor.get(&format!("{place}?incr:a;return:404")).expect(404);
            let wanted = format!("get=SUCCESS {count}\nincr=SUCCESS {count}\n");
            assert_eq!(answer.text(), wanted);
            assert_eq!(answer.set_cookies().len(), usize::from(count == 1));
        }
        assert_eq!(ask(&mut visitor, "/p?get:a;get:page"), "get=SUCCESS 3\nget=SUCCESS 3");
    }
    // A page of a request that has nothing to do with a session.
    let mut visitor = server.client();
    assert_eq!(visitor.get("/absent").expect(404).set_cookies().len(), 1);
    assert_eq!(visitor.get("/absent").expect(404).text(), "get=NOTFOUND\nincr=SUCCESS 2\n");
    assert_eq!(records(&server), 3);
}

#[test]
fn an_error_page_can_end_or_renew_what_the_request_made() {
    let server = probed()
        .conf(
            "SessionRegenerateGrace 0\n\
             <Location \"/end\">\nSetHandler probe\nErrorDocument 404 /p?invalidate\n</Location>\n\
             <Location \"/renew\">\nSetHandler probe\nErrorDocument 404 /p?regenerate\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    let answer = visitor.get("/end?set:a=1;return:404").expect(404);
    assert_eq!(answer.text(), "invalidate=SUCCESS\n");
    one_cookie_at_most(&answer);
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);
    one_cookie_at_most(&visitor.get("/renew?set:a=1;return:404").expect(404));
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
    assert_eq!(records(&server), 1);
}

#[test]
fn changes_of_a_request_that_ends_as_a_server_error_are_dropped() {
    let server = probed().start();
    for place in PLACES {
        let mut visitor = server.client();
        // Neither a session nor a cookie comes of it.
        let failed = visitor.get(&format!("{place}?set:a=9;return:500")).expect(500);
        assert_eq!(failed.set_cookies().len(), 0);
        ask(&mut visitor, &format!("{place}?set:a=1;set:b=1"));
        let before = visitor.jar.get(COOKIE).map(str::to_owned);
        for list in
            ["set:a=9", "unset:a", "set:c=9", "set_user:ann", "regenerate", "set_timeout:9000000"]
        {
            let failed = visitor.get(&format!("{place}?{list};return:503")).expect(503);
            assert_eq!(failed.set_cookies().len(), 0, "{list}");
        }
        let all = ask(&mut visitor, &format!("{place}?keys;get:a;user;timeout"));
        assert_eq!(
            all,
            "keys=SUCCESS a,b\nget=SUCCESS 1\nuser=SUCCESS -\ntimeout=SUCCESS 1800000000"
        );
        assert_eq!(visitor.jar.get(COOKIE).map(str::to_owned), before);
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn a_session_is_ended_although_the_answer_is_a_server_error() {
    let server = probed().start();
    for place in PLACES {
        for end in ["delete", "invalidate", "delete;set:b=1"] {
            let mut visitor = server.client();
            ask(&mut visitor, &format!("{place}?set:a=1"));
            let answer = visitor.get(&format!("{place}?{end};return:500")).expect(500);
            assert_eq!(answer.set_cookies().len(), 1, "{end}");
            assert!(visitor.jar.is_empty());
            assert_eq!(records(&server), 0, "{end}");
        }
    }
}

#[test]
fn what_was_saved_before_a_server_error_stands() {
    let server = probed().start();
    for place in PLACES {
        let mut visitor = server.client();
        let answer = visitor.get(&format!("{place}?set:a=1;save;set:a=2;set:b=2;return:500"));
        assert_eq!(answer.expect(500).set_cookies().len(), 1);
        assert_eq!(
            ask(&mut visitor, &format!("{place}?keys;get:a")),
            "keys=SUCCESS a\nget=SUCCESS 1"
        );
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn what_was_stored_at_the_head_stands_when_the_handler_fails_later() {
    let server = probed().start();
    for place in PLACES {
        let mut visitor = server.client();
        // The head said 200; httpd can only end the answer.
        let answer = visitor.get(&format!("{place}?set:a=1;flush;set:a=2;return:500")).expect(200);
        assert_eq!(answer.set_cookies().len(), 1);
        assert_eq!(ask(&mut visitor, &format!("{place}?get:a")), "get=SUCCESS 1");
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn changes_survive_a_server_error_where_they_are_to_be_kept() {
    let server = probed()
        .conf(
            "<LocationMatch \"^/(p|c|page)\">\nSessionSaveOnError on\n</LocationMatch>\n\
             <Location \"/page\">\nSetHandler probe\nErrorDocument 500 /p?incr:page\n</Location>",
        )
        .start();
    for place in PLACES {
        let mut visitor = server.client();
        let answer = visitor.get(&format!("{place}?set:a=1;return:500")).expect(500);
        assert_eq!(answer.set_cookies().len(), 1);
        visitor.get(&format!("{place}?set:b=2;regenerate;return:502")).expect(502);
        assert_eq!(
            ask(&mut visitor, &format!("{place}?get:a;get:b")),
            "get=SUCCESS 1\nget=SUCCESS 2"
        );
    }
    let mut visitor = server.client();
    visitor.get("/page?incr:n;return:500").expect(500);
    visitor.get("/page?incr:n;return:500").expect(500);
    assert_eq!(ask(&mut visitor, "/p?get:n;get:page"), "get=SUCCESS 2\nget=SUCCESS 2");
}

#[test]
fn changes_by_the_page_of_a_server_error_are_dropped_as_well() {
    let server = probed().conf("ErrorDocument 500 /p?get:a;set:page=1").start();
    for place in PLACES {
        let mut visitor = server.client();
        let failed = visitor.get(&format!("{place}?set:a=9;return:500")).expect(500);
        assert_eq!(failed.text(), "get=NOTFOUND\nset=SUCCESS\n");
        assert_eq!(failed.set_cookies().len(), 0);
        ask(&mut visitor, &format!("{place}?set:a=1"));
        let failed = visitor.get(&format!("{place}?set:a=9;return:500")).expect(500);
        assert_eq!(failed.text(), "get=SUCCESS 1\nset=SUCCESS\n");
        assert_eq!(
            ask(&mut visitor, &format!("{place}?keys;get:a")),
            "keys=SUCCESS a\nget=SUCCESS 1"
        );
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn a_request_refused_before_its_handler_is_committed_with_its_error() {
    let server = probed()
        .conf(
            "<Location \"/no\">\nSetHandler probe\nProbeAccess \"incr:a;status:403\"\n</Location>\n\
             <Location \"/no/page\">\nErrorDocument 403 /c?get:a;incr:page\n</Location>\n\
             <Location \"/no/text\">\nErrorDocument 403 \"no entry\"\n</Location>\n\
             <Location \"/no/file\">\nErrorDocument 403 /index.html\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    for (count, path) in (1..).zip(["/no", "/no/text", "/no/page", "/no/file", "/no"]) {
        let answer = visitor.get(path).expect(403);
        assert_eq!(
            answer.header("X-Probe"),
            Some(format!("access incr=SUCCESS {count}; status=SUCCESS").as_str())
        );
        assert_eq!(answer.set_cookies().len(), usize::from(count == 1), "{path}");
        assert_eq!(ask(&mut visitor, "/c?get:a"), format!("get=SUCCESS {count}"), "{path}");
    }
    for path in ["/no/text", "/no/page", "/no/file"] {
        let mut other = server.client();
        assert_eq!(other.get(path).expect(403).set_cookies().len(), 1, "{path}");
        assert_eq!(ask(&mut other, "/c?get:a"), "get=SUCCESS 1");
    }
    assert_eq!(ask(&mut visitor, "/c?get:page"), "get=SUCCESS 1");
    assert_eq!(records(&server), 4);
}

#[test]
fn a_request_refused_with_a_server_error_before_its_handler_changes_nothing() {
    let server = probed()
        .conf(
            "<Location \"/no\">\nSetHandler probe\nProbeAccess \"set:a=9;status:503\"\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    assert_eq!(visitor.get("/no").expect(503).set_cookies().len(), 0);
    ask(&mut visitor, "/p?set:a=1");
    visitor.get("/no").expect(503);
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
    assert_eq!(records(&server), 1);
}

#[test]
fn an_external_redirect_is_committed_and_brings_the_cookie() {
    let server = probed()
        .conf(
            "<Location \"/away\">\nSetHandler probe\n\
             ProbeAccess \"incr:a;header:Location=/p;status:303\"\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    for place in PLACES {
        one_cookie_at_most(
            &visitor.get(&format!("{place}?incr:a;header:Location=/p;return:302")).expect(302),
        );
    }
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 2");
    visitor.get("/away").expect(303);
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 3");
    assert_eq!(records(&server), 1);
}

#[test]
fn an_internal_redirect_commits_the_outer_request_and_reads_anew() {
    let server = probed().conf("SessionRegenerateGrace 0").start();
    for (outer, inner) in PLACES.into_iter().flat_map(|o| PLACES.map(|i| (o, i))) {
        let mut visitor = server.client();
        let target = quoted(&format!("{inner}?get:a;is_new;incr:a;set:b=1"));
        let answer = visitor.get(&format!("{outer}?incr:a;redirect:{target}")).expect(200);
        let wanted = "get=SUCCESS 1\nis_new=SUCCESS 0\nincr=SUCCESS 2\nset=SUCCESS\n";
        assert_eq!(answer.text(), wanted, "{outer} {inner}");
        assert_eq!(answer.set_cookies().len(), 1);
        assert_eq!(ask(&mut visitor, "/p?get:a;get:b"), "get=SUCCESS 2\nget=SUCCESS 1");

        // An existing one: no cookie but where the id changes, on either side.
        let answer = visitor.get(&format!("{outer}?incr:a;redirect:{target}")).expect(200);
        assert_eq!(answer.set_cookies().len(), 0);
        for (early, late) in
            [("regenerate", "get:a"), ("get:a", "regenerate"), ("regenerate", "set_user:x")]
        {
            let target = quoted(&format!("{inner}?{late}"));
            let answer = visitor.get(&format!("{outer}?{early};redirect:{target}")).expect(200);
            assert_eq!(answer.set_cookies().len(), 1, "{early} {late}");
            visitor.get("/p?set_user");
        }
        assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 4");
        ask(&mut visitor, "/p?delete");
        assert_eq!(records(&server), 0);
    }
}
