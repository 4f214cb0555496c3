//! How long a backend has the session for itself.

use std::time::Duration;

use super::faces::{Face, faced, start};
use crate::face_tests;
use crate::support::probed::{Gate, ask};
use crate::support::{Client, Mpm, Request, parallel};

const ALL: &str = "SessionExport env *\nSessionExport headers *\nSessionBackendHeaders values";

face_tests!(
    a_backend_lets_the_session_go_when_the_head_of_its_answer_is_there,
    a_client_that_reads_slowly_holds_no_session,
    parallel_requests_lose_nothing,
);

fn a_backend_lets_the_session_go_when_the_head_of_its_answer_is_there(face: Face) {
    let (server, _backend) = start(face, ALL);
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=1");
    let mut slow = visitor.open(&Request::get(&format!("/app?incr=n&gate={gate}")));
    let head = slow.head().expect("a head");
    assert_eq!(head.status, 200);
    // Others have to wait for nothing, and find what it ordered.
    assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 3");
    gate.open();
    assert!(slow.body(&head).expect("a body").ends_with(b"end\n"));
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 3");
}

fn a_client_that_reads_slowly_holds_no_session(face: Face) {
    let (server, _backend) = start(face, ALL);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=1");
    let mut slow = visitor.open_narrow(&Request::get("/app?incr=n&big=30000000"));
    assert_eq!(slow.head().expect("a head").status, 200);
    assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 3");
    slow.abort();
    // The application, or who speaks for it, notes that the visitor left.
    server.allow_log("AH");
    server.allow_log("mod_wsgi");
    server.allow_log("BrokenPipe");
}

fn parallel_requests_lose_nothing(face: Face) {
    let (builder, _backend) = faced(face, &format!("{ALL}\nSessionLockTimeout 30"));
    let slow = "<Location \"/p\">\nSessionLockTimeout 30\n</Location>";
    let server = builder.conf(slow).ready_for(10).start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=0");
    parallel(8, |number| {
        let mut visitor: Client = visitor.clone();
        for _ in 0..5 {
            // Half of them by another interface.
            let target = if number % 2 == 0 { "/app?incr=n" } else { "/p?incr:n" };
            visitor.get(target).expect(200);
        }
    });
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 40");
}

#[test]
fn a_session_that_is_held_by_a_backend_is_refused_at_once_where_nobody_waits() {
    // Nothing of the head comes before the script ends.
    let silent = "#!/bin/sh\nwhile [ ! -e \"$QUERY_STRING\" ]; do sleep 0.02; done\n\
                  printf 'X-Session-Set: n=2\\n\\n'\n";
    let (builder, _backend) = faced(Face::Cgi(Mpm::Event), ALL);
    let server = builder
        .script("silent.sh", silent)
        .conf("ScriptAlias \"/silent\" \"${DOCS}/silent.sh\"")
        // A request that asks whether it is held may have the session for that moment.
        .conf(&format!("<Location \"/silent\">\n{ALL}\nSessionLockTimeout 10\n</Location>"))
        .start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=1");
    let mut slow = visitor.open(&Request::get(&format!("/silent?{gate}")));
    crate::support::wait_for("the session to be held", Duration::from_secs(10), || {
        (visitor.get("/p?get:n").status == 503).then_some(())
    });
    let refused = visitor.get("/app").expect(503);
    assert!(refused.header("Retry-After").is_some());
    // What only looks does not wait.
    assert_eq!(ask(&mut visitor, "/c?open:read;get:n"), "open=SUCCESS\nget=SUCCESS 1");
    gate.open();
    slow.response("GET").expect("an answer").expect(200);
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 2");
    server.expect_log("a request was refused its session");
}

#[test]
fn who_was_let_in_by_a_look_is_the_one_a_backend_works_for() {
    let auth = "AuthType Session\nAuthName x\nRequire valid-user";
    for face in [Face::Cgi(Mpm::Event), Face::Http] {
        let (builder, _backend) = faced(face, &format!("{ALL}\n{auth}"));
        let server = builder.module("authn_core").module("authz_user").start();
        let mut visitor = server.client();
        visitor.get("/app").expect(401);
        ask(&mut visitor, "/p?set:n=1;set_user:ann");
        let seen = super::faces::sees(&mut visitor, "/app?incr=n");
        assert_eq!(seen.get(&face.fact("User")).map(String::as_str), Some("ann"), "{face:?}");
        assert_eq!(ask(&mut visitor, "/c?get:n"), "get=SUCCESS 2");
    }
}
