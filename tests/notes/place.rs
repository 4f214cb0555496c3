//! Where notes are offered and where not.

use std::time::Duration;

use crate::support::probed::{ask, probed};
use crate::support::{Builder, Server, wait_for};

/// Every request says in the log which notes of ours it has at its end.
fn telling() -> Builder {
    probed().log_level("info").conf("ProbeLog notes")
}

/// The names that the request counted `count` had, by the log.
#[track_caller]
fn told(server: &Server, count: usize) -> String {
    wait_for("the log phase", Duration::from_secs(10), || {
        let log = server.error_log();
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains("probe: log notes=")).collect();
        let line = lines.get(count - 1)?;
        Some(
            line.split_once("notes=SUCCESS ")
                .map(|(_, names)| names.to_owned())
                .unwrap_or_default(),
        )
    })
}

#[test]
fn handlers_that_cannot_read_notes_are_offered_none() {
    let server = telling()
        .module("cgid")
        .module("proxy")
        .module("proxy_http")
        .document("page.html", "page\n")
        .document("named.bin", "named\n")
        .script("cgi/script.sh", "#!/bin/sh\necho\necho script\n")
        .conf(
            "<Location \"/named.bin\">\nSetHandler default-handler\n</Location>\n\
             <Directory \"${DOCS}/cgi\">\nOptions +ExecCGI\nSetHandler cgi-script\n</Directory>\n\
             ProxyPass \"/back\" \"http://127.0.0.1:${PORT}/page.html\"\n\
             <Location \"/off\">\nSetHandler probe\nSessionEngine off\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    // The other one is the harness' own: which of them is logged first is not said.
    let first = [told(&server, 1), told(&server, 2)];
    assert!(first.iter().any(|notes| notes.contains("session:a")), "{first:?}");
    let mut count = 2;
    for path in ["/page.html", "/named.bin", "/cgi/script.sh", "/c?notes", "/off?notes", "/absent"]
    {
        let answer = visitor.get(path);
        count += 1;
        assert_eq!(told(&server, count), "", "{path}");
        assert_eq!((answer.header("Vary"), answer.set_cookies().len()), (None, 0), "{path}");
    }
    visitor.get("/back").expect(200);
    assert_eq!((told(&server, count + 1), told(&server, count + 2)), Default::default());
    assert!(ask(&mut visitor, "/p?notes").contains("session:a"));
}

#[test]
fn where_notes_are_off_what_is_written_there_is_nothing() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let list = "setnote:session:a=2;setnote:session-store.do=delete;setnote:session-store.user=ann";
    ask(&mut visitor, &format!("/c?notes;{list}"));
    assert_eq!(
        ask(&mut visitor, "/c?notes;get:a;user"),
        "notes=SUCCESS \nget=SUCCESS 1\nuser=SUCCESS -"
    );
}

#[test]
fn where_sessions_are_only_read_notes_can_be_read_and_a_change_is_a_500() {
    let server =
        probed().conf("<LocationMatch \"^/p\">\nSessionLocking read\n</LocationMatch>").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    assert_eq!(ask(&mut visitor, "/p?note:session:a"), "note=SUCCESS 1");
    server.expect_log("the session was opened for reading only");
    for list in [
        "setnote:session:a=2",
        "unsetnote:session:a",
        "setnote:session-store.do=delete",
        "setnote:session-store.user=x",
    ] {
        visitor.get(&format!("/p?{list}")).expect(500);
    }
    assert_eq!(ask(&mut visitor, "/c?get:a;user"), "get=SUCCESS 1\nuser=SUCCESS -");
}
