//! Looking at a session, and taking it.

use super::*;
use crate::steps::{Signals, answer};

/// An answer that has begun, after `list`, and goes on with `more` behind the gate.
#[track_caller]
fn holder(server: &Server, visitor: &mut Client, list: &str, gate: &Gate, more: &str) -> Wire {
    let mut held = visitor.open(&Request::get(&format!("/c?{list};flush;wait:{gate};{more}")));
    let head = held.head().expect("a head");
    assert_eq!(head.status, 200, "{}", server.error_log());
    held
}

#[test]
fn looking_waits_for_nobody_and_taking_does() {
    let server = probed().start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    let held = holder(&server, &mut visitor.clone(), "get:a", &gate, "");
    let looks = ask(
        &mut visitor,
        "/c?version;exists;id;open:read;get:a;keys;is_new;user;timeout;created;reason",
    );
    assert!(looks.lines().all(|line| line.contains("=SUCCESS")), "{looks}");
    for takes in [
        "open:write",
        "get:a",
        "set:a=2",
        "get_bytes:a",
        "keys",
        "is_new",
        "reason",
        "created",
        "accessed",
        "timeout",
        "set_timeout:60000000",
        "user",
        "set_user:ann",
        "save",
        "reload",
        "revert",
        "delete",
        "invalidate",
        "regenerate",
        "open:read;open:write",
    ] {
        let lines = ask(&mut visitor, &format!("/c?{takes}"));
        assert!(lines.ends_with("=TIMEUP"), "{takes}: {lines}");
    }
    server.expect_log("refused its session: ");
    let refused = visitor.get("/c?get:a;return:503").expect(503);
    assert_eq!(refused.header("Retry-After"), Some("1"));
    assert_eq!(visitor.get("/p?get:a").expect(503).header("Retry-After"), Some("1"));
    gate.open();
    drop(held);
    wait_for("the end of the holder", PATIENCE, || {
        (ask(&mut visitor, "/c?get:a") == "get=SUCCESS 1").then_some(())
    });
}

#[test]
fn a_session_opened_for_reading_refuses_to_change() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    let writes = "set:a=2;unset:a;set_bytes:a=2;set_user:ann;set_user;set_timeout:60000000;save;revert;delete;invalidate;regenerate";
    let lines = ask(&mut visitor, &format!("/c?open:read;{writes};get:a"));
    let (get, refused) = lines.split_at(lines.rfind('\n').expect("lines"));
    assert_eq!(refused, "\nget=SUCCESS 1");
    assert!(get.lines().skip(1).all(|line| line.ends_with("=EACCES")), "{get}");
    let lines = ask(&mut visitor, "/c?open:read;open:read;open:write;open:write;open:read;set:a=2");
    assert!(lines.lines().all(|line| line.ends_with("=SUCCESS")), "{lines}");
    assert_eq!(
        ask(&mut visitor, "/c?open:7;open:-1;get:a"),
        "open=EINVAL\nopen=EINVAL\nget=SUCCESS 2"
    );
    // Nobody's first look makes a session.
    assert_eq!(
        ask(&mut server.client(), "/c?open:read;is_new;set:a=1"),
        "open=SUCCESS\nis_new=SUCCESS 1\nset=EACCES"
    );
    assert_eq!(records(&server), 1);
}

#[test]
fn a_place_that_only_reads_refuses_to_change() {
    let server =
        probed().conf("<LocationMatch \"^/c\">\nSessionLocking read\n</LocationMatch>").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let lines = ask(&mut visitor, "/c?get:a;set:a=2;open:write;delete;get:a");
    assert_eq!(lines, "get=SUCCESS 1\nset=EACCES\nopen=EACCES\ndelete=EACCES\nget=SUCCESS 1");
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
}

/// What a request answers to `list` that has looked at the session before another did `meanwhile`.
#[track_caller]
fn taken_after(meanwhile: &str, list: &str) -> String {
    let server = probed().start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1;set_user:ann");
    let mut looks = holder(&server, &mut visitor.clone(), "open:read;get:a;user", &gate, list);
    let lines = ask(&mut visitor, &format!("/c?{meanwhile}"));
    assert!(lines.ends_with("=SUCCESS"), "{lines}");
    gate.open();
    let mut body = Vec::new();
    while looks.chunk(&mut body).expect("a chunk") {}
    let lines = String::from_utf8(body).expect("text");
    let before = "open=SUCCESS\nget=SUCCESS 1\nuser=SUCCESS ann\nflush=SUCCESS\nwait=SUCCESS\n";
    lines.strip_prefix(before).unwrap_or_else(|| panic!("{lines}")).to_owned()
}

#[test]
fn what_was_read_before_is_read_again_when_the_session_is_taken() {
    let lines = taken_after("set:a=2;set:b=3", "get:a;open:write;get:a;get:b");
    assert_eq!(lines, "get=SUCCESS 1\nopen=SUCCESS\nget=SUCCESS 2\nget=SUCCESS 3\n");
}

#[test]
fn a_session_that_vanished_after_a_look_is_not_handed_over() {
    for end in ["delete", "invalidate", "unset:a;set_user"] {
        let lines = taken_after(end, "open:write;get:a;user;is_new;reload;open:write;set:b=1");
        let wanted = "open=NOTFOUND\nget=NOTFOUND\nuser=SUCCESS -\nis_new=SUCCESS 1\nreload=SUCCESS\n\
                      open=SUCCESS\nset=EINVAL\n";
        assert_eq!(lines, wanted, "{end}");
    }
}

#[test]
fn a_session_whose_user_changed_after_a_look_is_not_handed_over() {
    for user in ["set_user:bob", "set_user"] {
        let lines = taken_after(user, "open:write;get:a;user");
        assert_eq!(lines, "open=NOTFOUND\nget=NOTFOUND\nuser=SUCCESS -\n", "{user}");
    }
}

#[test]
fn a_session_with_a_new_id_is_found_after_a_look_and_gets_no_other() {
    let lines =
        taken_after("regenerate", "open:write;get:a;regenerate;set_user:bob;set:a=2;save;get:a");
    let wanted = "open=SUCCESS\nget=SUCCESS 1\nregenerate=EINVAL\nset_user=EINVAL\nset=SUCCESS\n\
                  save=SUCCESS\nget=SUCCESS 2\n";
    assert_eq!(lines, wanted);
}

/// A handler lets its session go and it ends meanwhile. What the handler set then once made another session, under
/// a new id for the visitor who had just logged out.
#[test]
fn a_session_that_ended_after_it_was_let_go_is_not_made_anew_unasked() {
    let server = probed().start();
    let signals = Signals::of(&server);
    for (number, (lock, more)) in [
        ("", "set:b=1"),
        ("", "incr:b"),
        ("", "set_user:eve"),
        ("", "id;set:b=1"),
        ("", "open:read;open:write"),
        ("lock;", "lock"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1;set_user:ann");
        let (go, end) = (format!("go{number}"), format!("end{number}"));
        let list = format!(
            "{lock}get:a;unlock;{};{};{more};get:a;set:c=1;unset:c",
            signals.give(&go),
            signals.await_(&end)
        );
        let held = visitor.clone().open(&Request::get(&format!("/c?{list}")).close());
        signals.wait(&go);
        ask(&mut visitor, "/p?invalidate");
        signals.raise(&end);
        let said = answer(held).expect(200);
        let op = more.rsplit(';').next().and_then(|op| op.split(':').next()).expect("an operation");
        let wanted = format!("{op}=NOTFOUND\nget=NOTFOUND\nset=SUCCESS\nunset=SUCCESS\n");
        assert!(said.text().ends_with(&wanted), "{more}: {}", said.text());
        assert_eq!((records(&server), said.header("Set-Cookie")), (0, None), "{more}");
    }
}
