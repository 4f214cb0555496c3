//! A fault of the module's own, which a debug build has on request: the request ends, the child lives.

use crate::mpm_tests;
use crate::support::Mpm;
use crate::support::probed::{COOKIE, ask, probed, quoted, records};

const CAUGHT: &str = "an error inside mod_session_store was caught";

fn tripped(path: &str, entry: &str) -> String {
    format!(
        "<Location \"{path}\">\nSetHandler probe\n\
         ProbeFixup \"incr:n;setnote:session-store-trip={entry}\"\n</Location>\n"
    )
}

mpm_tests!(a_panic_ends_its_request_and_nothing_else);

fn a_panic_ends_its_request_and_nothing_else(mpm: Mpm) {
    let server = probed()
        .mpm(mpm)
        .start_servers(1)
        .max_workers(if mpm == Mpm::Prefork { 1 } else { 25 })
        .log_level("debug")
        .conf(&(tripped("/handler", "handler") + &tripped("/filter", "filter")))
        .start();
    server.expect_log(CAUGHT);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=0;set:name=quiet-fellow");
    let pid = ask(&mut visitor, "/c?pid");
    for (count, path) in (1..).zip(["/handler", "/filter"]) {
        let answer = visitor.get(&format!("{path}?get:n")).expect(500);
        assert_eq!(answer.set_cookies().len(), 0);
        assert!(!answer.text().contains("get="), "{path}: {}", answer.text());
        assert_eq!(server.log_count(CAUGHT), count, "{path}");
        assert_eq!(ask(&mut visitor, "/c?pid"), pid);
        // Dropped with it, unless it was stored when the handler returned.
        let stored = u32::from(path == "/filter");
        let wanted = format!("get=SUCCESS {stored}\nget=SUCCESS quiet-fellow");
        assert_eq!(ask(&mut visitor, "/p?get:n;get:name"), wanted);
    }
    let cookie = visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    // The only worker of a prefork server is its connection's for as long as that is kept.
    drop(visitor);
    assert_eq!(records(&server), 1);
    server.assert_no_secret(&["quiet-fellow", &cookie]);
}

#[test]
fn a_panic_in_a_function_ends_the_session_of_its_request() {
    let server =
        probed().start_servers(1).max_workers(25).conf(&tripped("/function", "function")).start();
    server.expect_log(CAUGHT);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=5");
    let pid = ask(&mut visitor, "/c?pid");
    visitor.get("/function?get:n").expect(500);
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 5");
    assert_eq!(server.log_count(CAUGHT), 1);
    // The caller is told; what the head has said stands.
    let trip = "setnote:session-store-trip=function;get:n;unsetnote:session-store-trip;set:n=6";
    for place in ["/p", "/c"] {
        let lines = ask(&mut visitor, &format!("{place}?get:n;flush;set:n=7;{trip}"));
        let wanted = "set=SUCCESS\nsetnote=SUCCESS\nget=EGENERAL\nunsetnote=SUCCESS\nset=EINVAL";
        assert!(lines.ends_with(wanted), "{lines}");
        visitor.get(&format!("{place}?set:n=7;{trip}")).expect(500);
        assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 5");
    }
    assert_eq!(server.log_count(CAUGHT), 5);
    assert_eq!(ask(&mut visitor, "/c?pid"), pid);
}

#[test]
fn a_panic_within_an_include_ends_the_session_of_the_whole_request() {
    let server = probed().conf(&tripped("/handler", "handler")).start();
    server.expect_log(CAUGHT);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=5");
    for place in ["/p", "/c"] {
        let list = format!("sub:{};set:b=2", quoted("/handler"));
        visitor.get(&format!("{place}?set:a=1;{list}")).expect(500);
        let lines = ask(&mut visitor, &format!("{place}?get:n;flush;set:a=1;{list}"));
        assert!(lines.ends_with("sub=SUCCESS 500\nset=EINVAL"), "{lines}");
        assert_eq!(ask(&mut visitor, "/p?keys;get:n"), "keys=SUCCESS n\nget=SUCCESS 5");
    }
}

#[test]
fn an_error_page_after_a_panic_has_no_session() {
    let server = probed()
        .conf(&(tripped("/handler", "handler") + &tripped("/filter", "filter")))
        .conf("ErrorDocument 500 /p?get:n;set:page=1")
        .start();
    server.expect_log(CAUGHT);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=5");
    for (path, stored) in [("/handler", 5), ("/filter", 6)] {
        let page = visitor.get(path).expect(500);
        assert_eq!(page.text(), "get=EINVAL\nset=EINVAL\n");
        let wanted = format!("keys=SUCCESS n\nget=SUCCESS {stored}");
        assert_eq!(ask(&mut visitor, "/p?keys;get:n"), wanted);
    }
    assert_eq!(server.log_count(CAUGHT), 2);
}
