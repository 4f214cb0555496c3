//! What notes say: values, facts, words.

use crate::steps::{Signals, answer};
use crate::support::probed::{COOKIE, Gate, ask, probed, quoted, records};
use crate::support::{Client, Request};

fn id(visitor: &Client) -> Option<String> {
    visitor.jar.get(COOKIE).map(str::to_owned)
}

#[test]
fn a_handler_is_offered_the_values_and_facts_of_the_session() {
    let server = probed().conf("SessionTimeout 20m").start();
    let mut visitor = server.client();
    let list = "notes;note:session-store.new;note:session-store.reason;note:session-store.timeout";
    let wanted = "notes=SUCCESS session-store.new,session-store.reason,session-store.timeout\n\
                  note=SUCCESS 1\nnote=SUCCESS none\nnote=SUCCESS 1200";
    assert_eq!(ask(&mut visitor, &format!("/p?{}", list)).replace("%2C", ","), wanted);
    ask(&mut visitor, "/p?set:First=1;set:b=two;set_user:ann;set_timeout:90000000");
    let list = "note:session:First;note:SESSION:B;note:session:none;note:session-store.new;\
                note:session-store.user;note:session-store.timeout;note:session-store.id";
    let wanted = format!(
        "note=SUCCESS 1\nnote=SUCCESS two\nnote=NOTFOUND\nnote=SUCCESS 0\nnote=SUCCESS ann\n\
         note=SUCCESS 90\nnote=SUCCESS {}",
        id(&visitor).expect("a cookie")
    );
    assert_eq!(ask(&mut visitor, &format!("/p?{list}")), wanted);
    let created = ask(&mut visitor, "/p?note:session-store.created");
    let exact = ask(&mut visitor, "/p?created");
    let seconds = |line: &str| line.rsplit(' ').next().map(|text| text[..10].to_owned());
    assert_eq!(seconds(&created), seconds(&exact));

    let mut stranger = server.client();
    stranger.jar.set(COOKIE, &"A".repeat(43));
    assert_eq!(ask(&mut stranger, "/p?note:session-store.reason"), "note=SUCCESS unknown");
}

#[test]
fn notes_that_are_set_overwritten_or_removed_are_the_change() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?setnote:session:a=1;setnote:session:b=2;setnote:other=3");
    assert_eq!(
        ask(&mut visitor, "/c?keys;get:a;get:b"),
        "keys=SUCCESS a,b\nget=SUCCESS 1\nget=SUCCESS 2"
    );
    ask(&mut visitor, "/p?setnote:SESSION:A=7;unsetnote:session:B;setnote:session:c=");
    assert_eq!(
        ask(&mut visitor, "/c?keys;get:a;get:c"),
        "keys=SUCCESS a,c\nget=SUCCESS 7\nget=SUCCESS"
    );
    ask(
        &mut visitor,
        "/p?unsetnote:session:a;setnote:session:a=8;setnote:session:c=9;unsetnote:session:c",
    );
    assert_eq!(ask(&mut visitor, "/c?keys;get:a"), "keys=SUCCESS a\nget=SUCCESS 8");
    // The last one goes: so does the session.
    ask(&mut visitor, "/p?unsetnote:session:a");
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);
}

#[test]
fn facts_that_are_no_ones_to_write_are_left_alone() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let before = id(&visitor);
    for name in ["id", "new", "reason", "created", "accessed", "of-my-own"] {
        ask(
            &mut visitor,
            &format!("/p?setnote:session-store.{name}=9;unsetnote:session-store.new"),
        );
    }
    assert_eq!(ask(&mut visitor, "/p?get:a;is_new"), "get=SUCCESS 1\nis_new=SUCCESS 0");
    assert_eq!((id(&visitor), records(&server)), (before, 1));
}

#[test]
fn user_and_timeout_can_be_written() {
    let server = probed().conf("SessionTimeout 20m\nSessionRegenerateGrace 0").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?setnote:session-store.user=ann;setnote:session-store.timeout=90");
    let known = id(&visitor);
    assert_eq!(ask(&mut visitor, "/c?user;timeout"), "user=SUCCESS ann\ntimeout=SUCCESS 90000000");
    ask(&mut visitor, "/p?setnote:session-store.user=ann;setnote:session:a=1");
    assert_eq!(id(&visitor), known);
    for (list, user) in [
        ("setnote:session-store.user=", "-"),
        ("setnote:session-store.user=bob", "bob"),
        ("unsetnote:session-store.user", "-"),
    ] {
        let before = id(&visitor);
        ask(&mut visitor, &format!("/p?{list}"));
        assert_ne!(id(&visitor), before, "{list}");
        assert_eq!(
            ask(&mut visitor, "/c?user;get:a"),
            format!("user=SUCCESS {user}\nget=SUCCESS 1")
        );
    }
    assert_eq!(records(&server), 1);
}

/// A session with `a` and `b` goes through `list`; what it is then, and whether its id is another one.
#[track_caller]
fn after(list: &str) -> (String, &'static str) {
    let server = probed().conf("SessionRegenerateGrace 0").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1;set:b=1");
    let before = id(&visitor);
    ask(&mut visitor, &format!("/p?{list}"));
    let now = id(&visitor);
    let fate = match &now {
        None => "ended",
        now if *now == before => "same id",
        Some(_) => "new id",
    };
    assert_eq!(records(&server), usize::from(now.is_some()), "{list}");
    let lines = ask(&mut visitor, "/c?keys;get:a");
    (lines.replace("keys=SUCCESS", "").replace("get=SUCCESS", "a:").trim().replace('\n', " "), fate)
}

#[test]
fn words_of_the_do_note_are_done_in_their_order_whatever_the_spelling() {
    let done = |words: &str, list: &str| {
        let words = words.replace(' ', "%20").replace(',', "%2C");
        after(&format!("{list};setnote:session-store.do={words}"))
    };
    let is = |text: &str, fate| (text.to_owned(), fate);
    let change = "setnote:session:a=2;setnote:session:c=3";
    assert_eq!(done("revert", change), is("a,b a: 1", "same id"));
    assert_eq!(done("revert", "set:c=3"), is("a,b a: 1", "same id"));
    assert_eq!(done("delete", "note:session:a"), is("get=NOTFOUND", "ended"));
    assert_eq!(done("delete", change), is("a,c a: 2", "same id"));
    assert_eq!(done("invalidate", change), is("get=NOTFOUND", "ended"));
    assert_eq!(done("regenerate", change), is("a,b,c a: 2", "new id"));
    assert_eq!(done("unlock", change), is("a,b,c a: 2", "same id"));
    assert_eq!(done("Unlock, REGENERATE", change), is("a,b,c a: 2", "new id"));
    assert_eq!(done("regenerate delete", change), is("a,c a: 2", "new id"));
    assert_eq!(done("regenerate,revert", change), is("a,b a: 1", "new id"));
    assert_eq!(done("delete invalidate", change), is("get=NOTFOUND", "ended"));
}

#[test]
fn words_act_when_output_leaves_and_not_again() {
    let server = probed().conf("SessionRegenerateGrace 0").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let list = "setnote:session-store.do=regenerate;flush;note:session-store.do;note:session-store.id;setnote:session:b=1";
    let lines = ask(&mut visitor, &format!("/p?{list}"));
    let now = id(&visitor).expect("a cookie");
    assert_eq!(
        lines,
        format!(
            "setnote=SUCCESS\nflush=SUCCESS\nnote=NOTFOUND\nnote=SUCCESS {now}\nsetnote=SUCCESS"
        )
    );
    assert_eq!(ask(&mut visitor, "/p?keys"), "keys=SUCCESS a,b");
    assert_eq!(records(&server), 1);
    // There is nothing to be ended or renewed where there is no session: no error.
    for word in ["delete", "invalidate", "regenerate", "revert", "unlock"] {
        ask(&mut server.client(), &format!("/p?setnote:session-store.do={word}"));
    }
    assert_eq!(records(&server), 1);
}

#[test]
fn unlock_lets_others_have_the_session_while_the_handler_goes_on() {
    let server = probed().start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let list = format!(
        "setnote:session:a=2;setnote:session-store.do=unlock;flush;wait:{gate};note:session:a;setnote:session:b=2"
    );
    let mut held = visitor.open(&Request::get(&format!("/p?{list}")));
    let head = held.head().expect("a head");
    assert_eq!(ask(&mut visitor, "/p?get:a;set:a=3;set:c=3").lines().next(), Some("get=SUCCESS 2"));
    gate.open();
    held.body(&head).expect("a body");
    let all = ask(&mut visitor, "/p?get:a;get:b;get:c");
    assert_eq!(all, "get=SUCCESS 3\nget=SUCCESS 2\nget=SUCCESS 3");
    gate.close();
    // And once more by a second word, after the head.
    let list =
        format!("flush;setnote:session:d=4;setnote:session-store.do=unlock;flush;wait:{gate}");
    let mut held = visitor.open(&Request::get(&format!("/p?{list}")));
    let head = held.head().expect("a head");
    let mut body = Vec::new();
    while !String::from_utf8_lossy(&body).contains("setnote=SUCCESS\nsetnote=SUCCESS\n") {
        assert!(held.chunk(&mut body).expect("a chunk"));
    }
    let _ = head;
    assert_eq!(ask(&mut visitor, "/p?get:d"), "get=SUCCESS 4");
    gate.open();
    while held.chunk(&mut body).expect("a chunk") {}
}

#[test]
fn notes_of_a_session_that_ended_after_it_was_let_go_make_no_other_one_but_for_a_login() {
    let server = probed().start();
    let signals = Signals::of(&server);
    for (number, (note, made)) in [
        ("setnote:session:b=2", 0),
        ("get:a;setnote:session:b=2", 0),
        ("setnote:session-store.user=eve", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1");
        let (go, end) = (format!("go{number}"), format!("end{number}"));
        let list = format!("unlock;{};{};{note}", signals.give(&go), signals.await_(&end));
        let held = visitor.clone().open(&Request::get(&format!("/p?{list}")).close());
        signals.wait(&go);
        ask(&mut visitor, "/p?invalidate");
        signals.raise(&end);
        let said = answer(held).expect(200);
        let cookies = usize::from(said.header("Set-Cookie").is_some());
        assert_eq!((records(&server), cookies), (made, made), "{note}");
    }
    server.expect_log("was ended meanwhile: what a handler wrote into notes was dropped");
}

#[test]
fn notes_that_make_no_sense_are_a_500_and_one_line() {
    let server = probed().log_level("debug").start();
    server.expect_log("make no sense: ");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let long = format!("setnote:session:{}=bad-notes", "k".repeat(129));
    for (count, list) in (1..).zip([
        "setnote:session:=bad-notes",
        "setnote:session:x%0Ay=bad-notes",
        "setnote:session:%FF=bad-notes;setnote:session:%FE=bad-notes",
        &long,
        "setnote:session-store.do=bad-notes",
        "setnote:session-store.do=unlock%20bad-notes%20regenerate",
        "setnote:session-store.timeout=bad-notes",
        "setnote:session-store.timeout=0",
        "setnote:session-store.user=%FF",
    ]) {
        visitor.get(&format!("/p?{list}")).expect(500);
        assert_eq!(server.log_count(":error]"), count, "{list}");
    }
    assert_eq!(ask(&mut visitor, "/p?keys;user"), "keys=SUCCESS a\nuser=SUCCESS -");
    server.assert_no_secret(&["bad-notes", &id(&visitor).expect("a cookie")]);
}

#[test]
fn what_a_function_writes_is_seen_in_the_notes_and_the_last_writer_wins() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1;set:b=1;set:c=1");
    let lines = ask(
        &mut visitor,
        "/p?set:a=2;note:session:a;unset:b;note:session:b;set:d=%4;set:d=4;note:session:d",
    );
    assert!(
        lines.starts_with("set=SUCCESS\nnote=SUCCESS 2\nunset=SUCCESS\nnote=NOTFOUND\n"),
        "{lines}"
    );
    assert!(lines.ends_with("note=SUCCESS 4"), "{lines}");
    assert_eq!(ask(&mut visitor, "/c?keys;get:a"), "keys=SUCCESS a,c,d\nget=SUCCESS 2");
    ask(&mut visitor, "/p?setnote:session:a=3;set:a=4");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 4");
    ask(&mut visitor, "/p?set:a=5;setnote:session:a=6");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 6");
    let lines =
        ask(&mut visitor, "/p?set_user:ann;note:session-store.user;delete;note:session:a;notes");
    assert!(lines.contains("note=SUCCESS ann\ndelete=SUCCESS\nnote=NOTFOUND\n"), "{lines}");
    assert!(!lines.contains("session:"), "{lines}");
    assert!(visitor.jar.is_empty());
}

#[test]
fn each_request_of_a_tree_has_its_own_baseline() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1;set:b=1");
    // What the outer was offered and left alone does not undo what the inner wrote.
    let sub =
        quoted("/p?note:session:a;setnote:session:a=2;unsetnote:session:b;setnote:session:c=3");
    let lines =
        ask(&mut visitor, &format!("/p?sub:{sub};note:session:a;note:session:b;note:session:c"));
    let wanted = "note=SUCCESS 1\nsetnote=SUCCESS\nunsetnote=SUCCESS\nsetnote=SUCCESS\nsub=SUCCESS 0\n\
                  note=SUCCESS 2\nnote=NOTFOUND\nnote=SUCCESS 3";
    assert_eq!(lines, wanted);
    assert_eq!(ask(&mut visitor, "/c?keys;get:a"), "keys=SUCCESS a,c\nget=SUCCESS 2");
    // The inner sees what the outer wrote before, and the outer may overwrite it behind.
    let sub = quoted("/p?note:session:a;setnote:session:a=5;setnote:session:d=5");
    let lines = ask(&mut visitor, &format!("/p?setnote:session:a=4;sub:{sub};setnote:session:a=6"));
    assert!(lines.starts_with("setnote=SUCCESS\nnote=SUCCESS 4\n"), "{lines}");
    assert_eq!(ask(&mut visitor, "/c?get:a;get:d"), "get=SUCCESS 6\nget=SUCCESS 5");
    // So it is in a redirect.
    let inner = quoted("/p?note:session:a;setnote:session:a=8");
    let lines = ask(&mut visitor, &format!("/p?setnote:session:a=7;redirect:{inner}"));
    assert_eq!(lines, "note=SUCCESS 7\nsetnote=SUCCESS");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 8");
    // An end within is an end.
    let sub = quoted("/p?setnote:session-store.do=delete");
    let lines = ask(&mut visitor, &format!("/p?note:session:a;sub:{sub};note:session:a"));
    assert!(lines.ends_with("note=NOTFOUND"), "{lines}");
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);
}

#[test]
fn what_a_function_does_to_the_session_leaves_unread_notes_alone() {
    let server = probed().conf("SessionRegenerateGrace 0").start();
    let notes = "setnote:session:a=2;setnote:session:new=1;unsetnote:session:b";
    for call in ["save", "regenerate", "set_user:ann", "set_timeout:60000000", "set:d=1;save"] {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1;set:b=1;set:c=1");
        let lines = ask(&mut visitor, &format!("/p?{notes};{call};note:session:a;note:session:c"));
        assert!(lines.ends_with("note=SUCCESS 2\nnote=SUCCESS 1"), "{call}: {lines}");
        let all = ask(&mut visitor, "/c?get:a;get:b;get:c;get:new");
        assert_eq!(all, "get=SUCCESS 2\nget=NOTFOUND\nget=SUCCESS 1\nget=SUCCESS 1", "{call}");
    }
    // Ended: what differs from what was offered is the new session's.
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1;set:b=1;set:c=1");
    ask(&mut visitor, &format!("/p?{notes};delete"));
    assert_eq!(ask(&mut visitor, "/c?keys;get:a"), "keys=SUCCESS a,new\nget=SUCCESS 2");
    // Taken back, read again or ended with its id: nothing is left of them.
    for call in ["revert", "reload"] {
        let lines =
            ask(&mut visitor, &format!("/p?setnote:session:a=3;setnote:session:x=3;{call};notes"));
        assert!(!lines.contains("session:x"), "{lines}");
        assert_eq!(
            ask(&mut visitor, "/c?keys;get:a"),
            "keys=SUCCESS a,new\nget=SUCCESS 2",
            "{call}"
        );
    }
    ask(&mut visitor, "/p?setnote:session:a=3;invalidate");
    assert!(visitor.jar.is_empty());
}
