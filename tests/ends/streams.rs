//! Answers whose head leaves while the handler runs.

use std::time::Duration;

use crate::mpm_tests;
use crate::support::probed::{COOKIE, Gate, ask, probed, records};
use crate::support::{Mpm, Request, wait_for};

/// Longest time until a lease ends whose request has ended.
const AT_ONCE: Duration = Duration::from_secs(2);

mpm_tests!(
    a_streamed_answer_is_committed_at_its_head_and_when_its_handler_returns,
    a_client_that_leaves_loses_nothing_and_holds_nothing,
    a_client_that_leaves_before_the_head_loses_nothing,
    a_slow_upload_that_nobody_reads_keeps_no_session,
);

fn a_streamed_answer_is_committed_at_its_head_and_when_its_handler_returns(mpm: Mpm) {
    let server = probed().mpm(mpm).log_level("debug").start();
    let gate = Gate::of(&server);
    for place in ["/p", "/c"] {
        let target = format!("{place}?set:a=early-bird;flush;set:b=2;unset:a;wait:{}", gate);
        let mut visitor = server.client();
        let mut stream = visitor.open(&Request::get(&target));
        let head = stream.head().expect("a head");
        assert_eq!(head.set_cookies().len(), 1);
        visitor.jar.learn(&head);
        // The handler still has the session; a look shows what was committed at the head.
        let mut looker = visitor.clone();
        assert_eq!(
            ask(&mut looker, "/c?open:read;get:a;get:b").lines().nth(1),
            Some("get=SUCCESS early-bird")
        );
        assert_eq!(ask(&mut looker, "/c?get:a"), "get=TIMEUP");
        server.allow_log("refused its session");
        gate.open();
        stream.body(&head).expect("a body");
        assert_eq!(
            ask(&mut visitor, &format!("{place}?keys;get:b")),
            "keys=SUCCESS b\nget=SUCCESS 2"
        );
        gate.close();
        server.assert_no_secret(&["early-bird", visitor.jar.get(COOKIE).expect("a cookie")]);
    }
    assert_eq!(records(&server), 2);
}

pub fn a_client_that_leaves_loses_nothing_and_holds_nothing(mpm: Mpm) {
    let server = probed().mpm(mpm).start();
    for place in ["/p", "/c"] {
        let target = format!("{place}?set:a=1;write:200000000;set:b=2");
        let mut visitor = server.client();
        let mut stream = visitor.open_narrow(&Request::get(&target));
        let head = stream.head().expect("a head");
        visitor.jar.learn(&head);
        assert_eq!(ask(&mut visitor, "/c?get:a"), "get=TIMEUP");
        stream.abort();
        let seen = wait_for("the session to be free", AT_ONCE, || {
            let lines = ask(&mut visitor, "/c?get:a;get:b");
            (!lines.contains("TIMEUP")).then_some(lines)
        });
        assert_eq!(seen, "get=SUCCESS 1\nget=SUCCESS 2");
    }
    server.allow_log("refused its session");
    assert_eq!(records(&server), 2);
}

#[test]
fn a_session_cannot_be_made_once_the_head_has_left() {
    let server = probed().log_level("debug").start();
    let list = "flush;set:a=too-late;get:a;set_user:ann;regenerate;delete;save";
    let wanted = "flush=SUCCESS\nset=EINVAL\nget=NOTFOUND\nset_user=EINVAL\nregenerate=NOTFOUND\n\
                  delete=NOTFOUND\nsave=SUCCESS\n";
    for place in ["/p", "/c"] {
        let answer = server.get(&format!("{place}?{list}")).expect(200);
        assert_eq!(answer.text(), wanted);
        assert_eq!(answer.set_cookies().len(), 0);
    }
    assert_eq!(records(&server), 0);
    server.assert_no_secret(&["too-late"]);
}

#[test]
fn what_needs_a_cookie_is_refused_once_the_head_has_left() {
    let server = probed().start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("{place}?set:a=1"));
        let list = "get:a;flush;set_user:ann;regenerate;set:a=2";
        let lines = ask(&mut visitor, &format!("{place}?{list}"));
        let wanted =
            "get=SUCCESS 1\nflush=SUCCESS\nset_user=EINVAL\nregenerate=EINVAL\nset=SUCCESS";
        assert_eq!(lines, wanted);
        assert_eq!(
            ask(&mut visitor, &format!("{place}?get:a;user")),
            "get=SUCCESS 2\nuser=SUCCESS -"
        );
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn a_session_is_deleted_after_the_head_and_its_cookie_stays() {
    let server = probed().start();
    for place in ["/p", "/c"] {
        for end in ["delete", "invalidate", "unset:a"] {
            let mut visitor = server.client();
            ask(&mut visitor, &format!("{place}?set:a=1"));
            ask(&mut visitor, &format!("{place}?get:a;flush;{end}"));
            assert!(visitor.jar.get(COOKIE).is_some());
            assert_eq!(records(&server), 0, "{end}");
            assert_eq!(
                ask(&mut visitor, &format!("{place}?is_new;reason")),
                "is_new=SUCCESS 1\nreason=SUCCESS unknown"
            );
        }
    }
}

#[test]
fn a_session_deleted_after_the_head_can_be_filled_again_under_its_id() {
    let server = probed().start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("{place}?set:a=1"));
        let lines = ask(&mut visitor, &format!("{place}?flush;delete;set:b=2"));
        assert_eq!(lines, "flush=SUCCESS\ndelete=SUCCESS\nset=SUCCESS");
        assert_eq!(ask(&mut visitor, &format!("{place}?keys")), "keys=SUCCESS b");
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn an_id_made_at_the_head_is_regenerated_in_the_same_answer() {
    let server = probed().conf("SessionRegenerateGrace 0").start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        // Saved, regenerated and saved again: the last id is the one that is sent.
        let list = "set:a=1;save;regenerate;save;set_user:ann;save;flush;set:b=2";
        let lines = ask(&mut visitor, &format!("{place}?{list}"));
        assert!(lines.lines().all(|line| line.ends_with("=SUCCESS")), "{lines}");
        assert_eq!(
            ask(&mut visitor, &format!("{place}?keys;user")),
            "keys=SUCCESS a,b\nuser=SUCCESS ann"
        );
    }
    assert_eq!(records(&server), 2);
}

pub fn a_client_that_leaves_before_the_head_loses_nothing(mpm: Mpm) {
    let server = probed().mpm(mpm).ready_for(4).start();
    let gate = Gate::of(&server);
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1");
        let target = format!("{place}?set:a=2;save;wait:{gate};set:b=2");
        let leaving = visitor.open(&Request::get(&target));
        wait_for("the handler to begin", AT_ONCE, || {
            ask(&mut visitor, "/c?open:read;get:a").ends_with(" 2").then_some(())
        });
        leaving.abort();
        assert_eq!(ask(&mut visitor, "/c?get:a"), "get=TIMEUP");
        server.allow_log("a request was refused its session");
        gate.open();
        let seen = wait_for("the session to be free", AT_ONCE, || {
            let lines = ask(&mut visitor, "/c?get:a;get:b");
            (!lines.contains("TIMEUP")).then_some(lines)
        });
        assert_eq!(seen, "get=SUCCESS 2\nget=SUCCESS 2");
        gate.close();
    }
}

pub fn a_slow_upload_that_nobody_reads_keeps_no_session(mpm: Mpm) {
    let server = probed().mpm(mpm).ready_for(4).start();
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:n=1");
        let request = Request::new("POST", &format!("{place}?incr:n")).body_follows(100_000);
        let mut upload = visitor.open(&request);
        upload.send(&[b'x'; 10]);
        wait_for("the commit", AT_ONCE, || {
            ask(&mut visitor, "/c?open:read;get:n").ends_with(" 2").then_some(())
        });
        wait_for("the session to be free", AT_ONCE, || {
            (ask(&mut visitor, "/c?get:n") == "get=SUCCESS 2").then_some(())
        });
        upload.send(&[b'x'; 99_990]);
        upload.response("POST").expect("an answer").expect(200);
    }
    server.allow_log("a request was refused its session");
}
