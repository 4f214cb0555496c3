//! Handlers that cannot change a session: files, scripts, proxies. They may take as long as they like.

use std::time::Duration;

use crate::mpm_tests;
use crate::support::probed::{COOKIE, Gate, ask, one_cookie_at_most, probed, records};
use crate::support::{Builder, Mpm, Request, wait_for};

const PATIENCE: Duration = Duration::from_secs(5);

/// Where a test sees a commit before the lease has ended, which is next.
const A_MOMENT: &str = "SessionLockTimeout 2";

/// Every request to these places changes the session before its handler runs.
fn changed_before(path: &str, more: &str) -> String {
    format!("<Location \"{path}\">\nProbeFixup \"incr:n\"\n{more}\n</Location>\n")
}

/// Scripts, run by the module that the MPM asks for.
fn scripted(mpm: Mpm) -> Builder {
    let (module, more) = match mpm {
        Mpm::Prefork => ("cgi", ""),
        Mpm::Worker | Mpm::Event => ("cgid", "ScriptSock cgisock"),
    };
    probed()
        .mpm(mpm)
        .module(module)
        .conf(more)
        .conf("<Directory \"${DOCS}/cgi\">\nOptions +ExecCGI\nSetHandler cgi-script\n</Directory>")
}

const PLAIN: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nscript\\n'\n";
const NPH: &str = "#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n\
                   Connection: close\\r\\n\\r\\nscript\\n'\n";

mpm_tests!(
    a_script_sees_its_session_committed_and_its_cookie_is_sent,
    a_script_that_writes_its_own_head_changes_only_what_is_there,
    a_slow_reader_of_a_file_keeps_no_session,
);

fn a_script_sees_its_session_committed_and_its_cookie_is_sent(mpm: Mpm) {
    let server =
        scripted(mpm).script("cgi/plain.sh", PLAIN).conf(&changed_before("/cgi", "")).start();
    let mut visitor = server.client();
    for count in 1..=3 {
        let answer = visitor.get("/cgi/plain.sh").expect(200);
        assert_eq!(answer.text(), "script\n");
        assert_eq!(answer.set_cookies().len(), usize::from(count == 1));
        assert_eq!(ask(&mut visitor, "/c?get:n"), format!("get=SUCCESS {count}"));
    }
    assert_eq!(records(&server), 1);
}

fn a_script_that_writes_its_own_head_changes_only_what_is_there(mpm: Mpm) {
    let server = scripted(mpm)
        .script("cgi/nph-own.sh", NPH)
        .script("nph-end.sh", NPH)
        .conf(
            "<Location \"/nph-end.sh\">\nOptions +ExecCGI\nSetHandler cgi-script\n\
             ProbeFixup \"delete\"\n</Location>",
        )
        .conf(&changed_before("/cgi", ""))
        .start();
    let mut visitor = server.client();
    let first = visitor.get("/cgi/nph-own.sh").expect(200);
    assert_eq!((first.text().as_str(), first.set_cookies().len()), ("script\n", 0));
    assert_eq!(records(&server), 0);
    server.expect_log("the head of the answer was sent before the session asked for a cookie");

    ask(&mut visitor, "/p?set:n=1");
    let id = visitor.jar.get(COOKIE).map(str::to_owned);
    let next = visitor.get("/cgi/nph-own.sh").expect(200);
    assert_eq!((next.text().as_str(), next.set_cookies().len()), ("script\n", 0));
    assert_eq!(ask(&mut visitor, "/c?get:n"), "get=SUCCESS 2");
    assert_eq!((records(&server), visitor.jar.get(COOKIE).map(str::to_owned)), (1, id));

    assert_eq!(visitor.get("/nph-end.sh").expect(200).set_cookies().len(), 0);
    assert_eq!(records(&server), 0);
}

#[test]
fn a_handler_that_throws_the_filters_away_changes_only_what_is_there() {
    let server = probed().start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        let first = visitor.get(&format!("{place}?nph;set:a=1")).expect(200);
        assert_eq!(first.set_cookies().len(), 0);
        assert_eq!(records(&server), 0);
        ask(&mut visitor, "/p?set:a=1");
        visitor.get(&format!("{place}?nph;set:a=2")).expect(200);
        assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 2");
        visitor.get(&format!("{place}?nph;get:a;delete")).expect(200);
        assert_eq!(records(&server), 0);
    }
    server.expect_log("the head of the answer was sent before the session asked for a cookie");
}

fn a_slow_reader_of_a_file_keeps_no_session(mpm: Mpm) {
    let server = probed()
        .mpm(mpm)
        .document("long.html", vec![b'x'; 30_000_000])
        .document("long.bin", vec![b'x'; 30_000_000])
        .conf(&changed_before("/long.html", ""))
        .conf(&changed_before("/long.bin", "SetHandler default-handler"))
        .start();
    for (count, path) in (1..).zip(["/long.html", "/long.bin"]) {
        let mut visitor = server.client();
        let mut slow = visitor.open_narrow(&Request::get(path));
        let head = slow.head().expect("a head");
        assert_eq!(head.set_cookies().len(), 1);
        visitor.jar.learn(&head);
        assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 2", "{path}");
        assert_eq!(records(&server), count);
        slow.abort();
    }
}

#[test]
fn a_slow_script_or_backend_keeps_no_session() {
    let server = scripted(Mpm::Event)
        .conf(A_MOMENT)
        .module("proxy")
        .module("proxy_http")
        .script(
            "cgi/slow.sh",
            "#!/bin/sh\nwhile [ ! -e \"$1\" ]; do sleep 0.02; done\necho\necho over\n",
        )
        .conf(&changed_before("/cgi", ""))
        .conf(&changed_before("/back", "ProxyPass \"http://127.0.0.1:${PORT}/wait\""))
        .conf("<Location \"/wait\">\nSetHandler probe\nSessionEngine off\n</Location>")
        .start();
    let gate = Gate::of(&server);
    for path in [format!("/cgi/slow.sh?{gate}"), format!("/back?wait:{gate}")] {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:n=1");
        let mut slow = visitor.open(&Request::get(&path));
        wait_for("what was changed before", PATIENCE, || {
            ask(&mut visitor, "/c?open:read;get:n").ends_with(" 2").then_some(())
        });
        assert_eq!(ask(&mut visitor, "/p?incr:n"), "incr=SUCCESS 3", "{path}");
        gate.open();
        one_cookie_at_most(&slow.response("GET").expect("an answer").expect(200));
        assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 3", "{path}");
        gate.close();
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn a_suspended_request_is_committed_and_lets_go_when_its_handler_returns() {
    let server = probed().conf(A_MOMENT).start();
    let gate = Gate::of(&server);
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("{place}?set:a=1"));
        // At once: a listener that is woken before a timer is due forgets it until something else comes.
        let target = format!("{place}?incr:a;suspend:0;wait:{};get:a;incr:b;flush;incr:b", gate);
        let mut held = visitor.open(&Request::get(&target));
        wait_for("the handler's return", PATIENCE, || {
            (ask(&mut visitor, "/c?open:read;get:a").ends_with(" 2")).then_some(())
        });
        // Its own part, while the other one has not gone on.
        assert_eq!(ask(&mut visitor, &format!("{place}?incr:a")), "incr=SUCCESS 3");
        gate.open();
        let answer = held.response("GET").expect("an answer").expect(200);
        assert_eq!(answer.set_cookies().len(), 0);
        assert!(answer.text().contains("get=SUCCESS 3\nincr=SUCCESS 1\n"), "{}", answer.text());
        assert_eq!(ask(&mut visitor, "/c?get:a;get:b"), "get=SUCCESS 3\nget=SUCCESS 1");
        gate.close();
    }
    assert_eq!(records(&server), 2);
}
