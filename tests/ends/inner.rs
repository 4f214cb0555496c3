//! Requests within requests: subrequests and includes.

use crate::support::probed::{COOKIE, ask, one_cookie_at_most, probed, quoted, records};

const PLACES: [&str; 2] = ["/p", "/c"];

#[test]
fn a_subrequest_is_folded_into_the_session_of_its_request() {
    let server = probed().start();
    for (outer, inner) in PLACES.into_iter().flat_map(|o| PLACES.map(|i| (o, i))) {
        let mut visitor = server.client();
        let sub = quoted(&format!("{inner}?get:a;incr:a;set:b=1"));
        for count in [1_u32, 3, 5] {
            let answer =
                visitor.get(&format!("{outer}?incr:a;sub:{sub};get:a;get:b;incr:c")).expect(200);
            let (mine, inner) = (count, count + 1);
            let wanted = format!(
                "incr=SUCCESS {mine}\nget=SUCCESS {mine}\nincr=SUCCESS {inner}\nset=SUCCESS\n\
                 sub=SUCCESS 0\nget=SUCCESS {inner}\nget=SUCCESS 1\nincr=SUCCESS {}\n",
                count.div_ceil(2)
            );
            assert_eq!(answer.text(), wanted, "{outer} {inner}");
            assert_eq!(answer.set_cookies().len(), usize::from(count == 1));
        }
        assert_eq!(
            ask(&mut visitor, "/p?get:a;get:b;get:c"),
            "get=SUCCESS 6\nget=SUCCESS 1\nget=SUCCESS 3"
        );
    }
    assert_eq!(records(&server), 4);
}

#[test]
fn a_session_made_or_ended_by_a_subrequest_is_so_for_its_request() {
    let server = probed().start();
    for (outer, inner) in PLACES.into_iter().flat_map(|o| PLACES.map(|i| (o, i))) {
        let mut visitor = server.client();
        let made = visitor
            .get(&format!("{outer}?sub:{}", quoted(&format!("{inner}?set:a=1"))))
            .expect(200);
        assert_eq!(made.set_cookies().len(), 1);
        assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
        let ended = visitor
            .get(&format!("{outer}?get:a;sub:{};get:a", quoted(&format!("{inner}?invalidate"))));
        assert!(ended.text().ends_with("get=NOTFOUND\n"), "{}", ended.text());
        one_cookie_at_most(&ended);
        assert!(visitor.jar.is_empty());
        assert_eq!(records(&server), 0);
    }
}

#[test]
fn a_failed_subrequest_does_not_drop_what_its_request_changed() {
    let server = probed().start();
    for (outer, inner) in PLACES.into_iter().flat_map(|o| PLACES.map(|i| (o, i))) {
        let mut visitor = server.client();
        let sub = quoted(&format!("{inner}?set:b=1;return:500"));
        let lines = ask(&mut visitor, &format!("{outer}?set:a=1;sub:{sub}"));
        assert!(lines.ends_with("sub=SUCCESS 500"), "{lines}");
        assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
    }
    assert_eq!(records(&server), 4);
}

fn pages() -> crate::support::Builder {
    let include = |place: &str, list: &str| format!("<!--#include virtual=\"{place}?{list}\" -->");
    probed()
        .module("include")
        .document("first.shtml", format!("{}end\n", include("/p", "is_new;incr:n")))
        .document("last.shtml", format!("begin\n{}", include("/c", "is_new;incr:n")))
        .document("two.shtml", format!("{}{}", include("/p", "incr:n"), include("/c", "incr:n")))
        .document("end.shtml", format!("begin\n{}", include("/p", "delete")))
        .conf("Options +Includes\nAddOutputFilter INCLUDES .shtml\nAddType text/html .shtml")
}

#[test]
fn an_include_changes_the_session_that_is_there() {
    let server = pages().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=1");
    assert_eq!(ask(&mut visitor, "/first.shtml"), "is_new=SUCCESS 0\nincr=SUCCESS 2\nend");
    assert_eq!(ask(&mut visitor, "/last.shtml"), "begin\nis_new=SUCCESS 0\nincr=SUCCESS 3");
    assert_eq!(ask(&mut visitor, "/two.shtml"), "incr=SUCCESS 4\nincr=SUCCESS 5");
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 5");
    assert_eq!(records(&server), 1);
    ask(&mut visitor, "/end.shtml");
    assert_eq!(records(&server), 0);
}

#[test]
fn an_include_cannot_make_a_session_once_its_page_has_begun() {
    let server = pages().start();
    for page in ["/last.shtml", "/first.shtml"] {
        let mut visitor = server.client();
        let answer = visitor.get(page).expect(200);
        assert_eq!(answer.set_cookies().len(), 0, "{page}");
        assert!(answer.text().contains("is_new=SUCCESS 1\nincr=EINVAL\n"), "{}", answer.text());
        assert!(visitor.jar.get(COOKIE).is_none());
    }
    assert_eq!(records(&server), 0);
}

#[test]
fn a_subrequest_that_cannot_change_a_session_commits_nothing() {
    let server = probed().start();
    for place in PLACES {
        let mut visitor = server.client();
        let list = "set:a=1;sub:/absent.html;set:b=1";
        let failed = visitor.get(&format!("{place}?{list};return:500")).expect(500);
        assert_eq!(failed.set_cookies().len(), 0);
        assert_eq!(records(&server), 0);
        let lines = ask(&mut visitor, &format!("{place}?{list}"));
        assert_eq!(lines, "set=SUCCESS\nsub=SUCCESS 404\nset=SUCCESS");
        assert_eq!(
            ask(&mut visitor, &format!("{place}?keys;delete")),
            "keys=SUCCESS a,b\ndelete=SUCCESS"
        );
    }
}

#[test]
fn an_include_in_a_page_without_sessions_changes_only_what_is_there() {
    let server = probed()
        .conf("<Location \"/off\">\nSetHandler probe\nSessionEngine off\n</Location>")
        .start();
    for inner in PLACES {
        let mut visitor = server.client();
        let target = format!("/off?sub:{}", quoted(&format!("{inner}?incr:a")));
        let answer = visitor.get(&target).expect(200);
        assert_eq!(answer.text(), "incr=EINVAL\nsub=SUCCESS 0\n");
        assert_eq!((answer.set_cookies().len(), records(&server)), (0, 0));
        ask(&mut visitor, "/p?set:a=1");
        let answer = visitor.get(&target).expect(200);
        assert_eq!(answer.text(), "incr=SUCCESS 2\nsub=SUCCESS 0\n");
        // Nobody keeps it, for it shows what is this visitor's.
        assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
        let twice =
            target.replacen("sub:", &format!("sub:{};sub:", quoted(&format!("{inner}?incr:a"))), 1);
        ask(&mut visitor, &twice);
        assert_eq!(ask(&mut visitor, "/p?get:a;delete"), "get=SUCCESS 4\ndelete=SUCCESS");
    }
}

#[test]
fn places_of_one_request_can_have_sessions_of_their_own() {
    let server = probed()
        .conf("<Location \"/other\">\nSetHandler probe\nSessionIdName other\nSessionScope other\n</Location>")
        .start();
    for place in PLACES {
        let mut visitor = server.client();
        let sub = quoted("/other?set:a=2;get:a");
        let answer = visitor.get(&format!("{place}?set:a=1;sub:{sub};get:a")).expect(200);
        let wanted = "set=SUCCESS\nset=SUCCESS\nget=SUCCESS 2\nsub=SUCCESS 0\nget=SUCCESS 1\n";
        assert_eq!(answer.text(), wanted);
        let cookies = answer.set_cookies();
        let named = |name: &str| cookies.iter().filter(|line| line.starts_with(name)).count();
        assert_eq!((cookies.len(), named("other="), named("session_store=")), (2, 1, 1));
        assert_eq!(ask(&mut visitor, "/other?get:a"), "get=SUCCESS 2");
        let lines = ask(&mut visitor, &format!("{place}?incr:a;sub:{}", quoted("/other?incr:a")));
        assert_eq!(lines, "incr=SUCCESS 2\nincr=SUCCESS 3\nsub=SUCCESS 0");
        assert_eq!(ask(&mut visitor, "/other?get:a;delete"), "get=SUCCESS 3\ndelete=SUCCESS");
        assert_eq!(ask(&mut visitor, "/p?get:a;delete"), "get=SUCCESS 2\ndelete=SUCCESS");
    }
    assert_eq!(records(&server), 0);
}
