//! A handler that was written for mod_python's own sessions.

use super::interfaces::{Interface, id, with_python};
use crate::handlers::faces::quoted;
use crate::support::probed::{ask, probed, records};
use crate::support::{Client, Server};

fn start() -> Server {
    with_python(probed()).conf("SessionRegenerateGrace 0").start()
}

#[track_caller]
fn says(visitor: &mut Client, ops: &str) -> String {
    Interface::Python.page(visitor, ops)
}

#[test]
fn only_what_is_saved_is_kept() {
    let server = start();
    let mut visitor = server.client();
    assert_eq!(says(&mut visitor, "call=is_new&call=id"), "True\n\n");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
    says(&mut visitor, "set=a:1&keep");
    assert_eq!(records(&server), 0);
    says(&mut visitor, "set=a:1&set=%C3%A4:%C3%9F%E2%82%AC");
    let text = says(&mut visitor, "call=is_new&get=a&get=%C3%A4&call=id");
    assert_eq!(text, format!("False\nis 1\nis ß€\n{}\n", id(&visitor).expect("a cookie")));
    says(&mut visitor, "set=a:2&unset=%C3%A4&keep");
    assert_eq!(says(&mut visitor, "get=a&get=%C3%A4"), "is 1\nis ß€\n");
    says(&mut visitor, "set=a:2&call=load&get=a");
    assert_eq!(says(&mut visitor, "get=a"), "is 1\n");
    says(&mut visitor, "unset=a&unset=%C3%A4");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
}

#[test]
fn values_come_back_as_they_were_and_are_never_pickles() {
    let server = start();
    let mut visitor = server.client();
    for (code, shown) in [
        ("7", "7"),
        ("0.5", "0.5"),
        ("True", "True"),
        ("None", "None"),
        ("'json:1'", "'json:1'"),
        ("'a\\0b'", "'a\\x00b'"),
        ("[1, {'x': [None, 'ß']}]", "[1, {'x': [None, 'ß']}]"),
        ("(1, 2)", "[1, 2]"),
    ] {
        says(&mut visitor, &format!("put={}", quoted(&format!("v:{code}"))));
        assert_eq!(says(&mut visitor, "show=v"), format!("{shown}\n"), "{code}");
    }
    says(&mut visitor, "put=v:%5B1%2C2%5D&set=plain:text");
    assert_eq!(
        ask(&mut visitor, "/c?get:v;get:plain"),
        "get=SUCCESS json:%5B1%2C%202%5D\nget=SUCCESS text"
    );
    for code in ["object()", "{1: 2}", "float('nan')", "b'bytes'", "[set()]"] {
        let refused =
            visitor.get(&format!("/python?set=plain:new&put={}", quoted(&format!("v:{code}"))));
        refused.expect(500);
    }
    assert_eq!(says(&mut visitor, "show=v&get=plain"), "[1, 2]\nis text\n");
    server.expect_log("TypeError: a session keeps strings");
    server.allow_log("PythonHandler handler");
}

#[test]
fn a_deleted_session_can_be_saved_again_and_an_invalid_one_cannot() {
    let server = start();
    let mut visitor = server.client();
    says(&mut visitor, "set=a:1&set=b:1");
    ask(&mut visitor, "/c?set_user:ann");
    let before = id(&visitor);
    // Saved at the end, with a value that it had.
    assert_eq!(says(&mut visitor, "call=delete&get=a&set=a:1"), "None\nnone\n");
    assert_eq!(id(&visitor).is_some(), before.is_some());
    assert_eq!(says(&mut visitor, "get=a&get=b"), "is 1\nnone\n");
    assert_eq!(ask(&mut visitor, "/c?user"), "user=SUCCESS -");
    says(&mut visitor, "do=delete");
    assert_eq!(records(&server), 0);
    says(&mut visitor, "set=a:1");
    says(&mut visitor, "call=invalidate&set=a:2");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
}

/// mod_python's save() writes at once, and applications count on it: what was saved once went with a later
/// exception, for it is a 500.
#[test]
fn what_was_saved_stays_when_the_handler_raises_later_where_saveonerror_is_on() {
    let [on, off] = ["SessionSaveOnError on", ""].map(|line| {
        let server = with_python(probed()).conf(line).start();
        let mut visitor = server.client();
        says(&mut visitor, "set=a:1&set=gone:1");
        visitor.get("/python?set=a:2&unset=gone&call=save&set=a:3&raise").expect(500);
        let kept = says(&mut visitor, "get=a&get=gone&keep");
        // The first that is stored of a new session.
        let mut visitor = server.client();
        visitor.get("/python?set=a:2&call=save&raise").expect(500);
        let new = says(&mut visitor, "get=a&keep");
        server.expect_log("behind what was saved");
        server.allow_log("PythonHandler handler");
        (kept, new)
    });
    assert_eq!(on, ("is 2\nnone\n".to_owned(), "is 2\n".to_owned()));
    assert_eq!(off, ("is 1\nis 1\n".to_owned(), "none\n".to_owned()));
}

/// A path given by position was once taken for an id, and `dbm=` was a TypeError.
#[test]
fn each_class_takes_what_mod_pythons_takes_where_it_takes_it() {
    let server = start();
    for call in [
        "Session(req, 0, 'secret', 60, 0)",
        "Session(req, sid=0, secret=None, timeout=60, lock=1)",
        "BaseSession(req, None, 'secret', 0, 60)",
        "DbmSession(req, '/tmp/sessions.dbm', 0, 'secret', None, 60, 0)",
        "DbmSession(req, dbm='/tmp/sessions.dbm', dbmtype=None, timeout=60)",
        "FileSession(req, 0, None, 60, 1, 1, 0)",
        "FileSession(req, timeout=60, fast_cleanup=True, verify_cleanup=False)",
        "MemorySession(req, 0, None, 60, 1)",
    ] {
        let mut visitor = server.client();
        says(&mut visitor, &format!("open={}&set=a:1", quoted(call)));
        let again = format!("open={}&get=a&call=timeout&keep", quoted(call));
        assert_eq!(says(&mut visitor, &again), "is 1\n60\n", "{call}");
    }
    // Each is a BaseSession, which applications ask for.
    let kinds = "Session,\
                 all(issubclass(c, Session.BaseSession) for c in map(vars(Session).get, Session.__all__))";
    let text = says(&mut server.client(), &format!("put=ok:{}&show=ok&keep", quoted(kinds)));
    assert!(text.ends_with("True)\n"), "{text}");
}

#[test]
fn a_cookie_of_its_own_is_refused_with_what_to_do() {
    let server = start();
    server.client().get("/python?call=make_cookie").expect(500);
    server.expect_log("leave make_cookie() out, and set SessionIdName");
    server.allow_log("PythonHandler handler");
}

#[test]
fn times_are_told_and_the_timeout_is_set_by_saving() {
    let server = start();
    let mut visitor = server.client();
    says(&mut visitor, "set=a:1&call=timeout");
    assert_eq!(says(&mut visitor, "call=set_timeout:60&call=timeout&keep"), "None\n60\n");
    assert_eq!(says(&mut visitor, "call=timeout"), "1800\n");
    says(&mut visitor, "call=set_timeout:60");
    assert_eq!(says(&mut visitor, "call=timeout"), "60\n");
    let times = says(&mut visitor, "call=created&call=last_accessed");
    let times: Vec<f64> = times.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(times.len() == 2 && times[0] > 1.6e9 && times[1] >= times[0], "{times:?}");
}

#[test]
fn an_unlocked_session_is_others_when_output_has_left() {
    let server = start();
    let mut visitor = server.client();
    says(&mut visitor, "set=a:1");
    let text = says(
        &mut visitor,
        "call=lock&call=unlock&call=lock&call=unlock&call=save&call=cleanup&flush&get=a",
    );
    assert!(text.ends_with("is 1\n"), "{text}");
    says(&mut visitor, "set=a:2&call=save&call=unlock&flush&set=b:1");
    assert_eq!(says(&mut visitor, "get=a&get=b"), "is 2\nis 1\n");
}
