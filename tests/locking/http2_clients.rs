//! HTTP/2: bodies that come late, and visitors who leave a stream, or the connection with all of them.

use std::time::{Duration, Instant};

use super::http2::{builder, threaded_tests};
use crate::steps::{Signals, answer, count, visitor};
use crate::support::http2::Connection;
use crate::support::probed::{self, Gate, ask, records};
use crate::support::{Builder, Client, Mpm, wait_for, wait_value};

const PROMPT: Duration = Duration::from_millis(1500);
/// Longest time until a lease ends whose request has ended.
const SOON: Duration = Duration::from_secs(2);
/// Bytes of an upload: all of one connection fit into its window.
const LENGTH: usize = 10_000;
const REFUSED: &str = "a request was refused its session";

threaded_tests!(
    a_slow_upload_holds_its_session_once_it_is_used_and_no_other,
    a_slow_upload_that_nobody_reads_keeps_no_session,
    a_visitor_who_leaves_a_stream_loses_nothing_and_holds_nothing,
    a_visitor_who_leaves_before_the_head_loses_nothing,
    a_visitor_who_leaves_an_upload_loses_nothing_and_holds_nothing,
    visitors_who_leave_while_their_streams_wait_hold_up_nobody,
);

/// The session is free: streams that need it are answered promptly.
#[track_caller]
fn is_free(tab: &mut Connection, sum: u32) {
    let answer = tab.ask("/probe?incr:n").expect(200);
    assert!(answer.took < PROMPT, "waited {:?}", answer.took);
    assert_eq!(answer.text, format!("incr=SUCCESS {sum}\n"));
}

#[track_caller]
fn connect(client: &Client) -> Connection {
    Connection::new(client).expect("connecting")
}

pub fn a_slow_upload_holds_its_session_once_it_is_used_and_no_other(mpm: Mpm) {
    let server = builder(mpm).locks(1).conf("SessionLockTimeout 0").start();
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let (mut tab, mut stranger) = (connect(&client), connect(&visitor(&server)));
    let upload = |tab: &mut Connection, ops: &str, begun: &str| {
        let stream = tab.post(&format!("/plain?{ops}"), LENGTH);
        signals.wait(begun);
        tab.upload(stream, b"a little", false);
        stream
    };
    let rest = [b'x'; LENGTH - 8];

    let ops = format!("{};body;incr:n", signals.give("unused"));
    let unused = upload(&mut tab, &ops, "unused");
    is_free(&mut tab, 2);
    is_free(&mut stranger, 2);
    assert!(!tab.stirs(unused, Duration::from_millis(10)), "the upload ended");
    tab.upload(unused, &rest, true);
    let text = tab.answer(unused).expect("an answer").expect(200).text;
    assert!(text.ends_with("body=SUCCESS 10000\nincr=SUCCESS 3\n"), "{text}");

    let ops = format!("incr:n;{};body", signals.give("used"));
    let used = upload(&mut tab, &ops, "used");
    let refused = tab.ask("/probe?incr:n").expect(503);
    assert!(refused.retry_after && refused.took < PROMPT, "{refused:?}");
    is_free(&mut stranger, 3);
    assert!(!tab.stirs(used, Duration::from_millis(10)), "the upload ended");
    tab.upload(used, &rest, true);
    tab.answer(used).expect("an answer").expect(200);
    is_free(&mut tab, 5);
    assert_eq!(count(&mut client), 5);
}

/// Lists below `/p` and `/c`; nobody waits for a session.
fn lists(mpm: Mpm) -> Builder {
    let builder = probed::probed().mpm(mpm).ready_for(16).module("http2");
    builder.conf("Protocols h2c http/1.1\nH2Direct on")
}

/// What `list` answers as soon as the session is free.
#[track_caller]
fn once_free(visitor: &mut Client, list: &str) -> String {
    wait_for("the session to be free", SOON, || {
        let lines = ask(visitor, &format!("/c?{list}"));
        (!lines.contains("TIMEUP")).then_some(lines)
    })
}

/// The answer ends before the body does: a stream has an end of its own for each.
pub fn a_slow_upload_that_nobody_reads_keeps_no_session(mpm: Mpm) {
    let server = lists(mpm).start();
    server.allow_log(REFUSED);
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:n=1");
        let mut tab = connect(&visitor);
        let upload = tab.post(&format!("{place}?incr:n"), LENGTH);
        tab.upload(upload, &[b'x'; 10], false);
        let answer = tab.answer(upload).expect("an answer").expect(200);
        assert!(answer.took < PROMPT, "{answer:?}");
        assert_eq!(once_free(&mut visitor, "get:n"), "get=SUCCESS 2");
        tab.upload(upload, &[b'x'; LENGTH - 10], true);
        assert_eq!(tab.ask("/c?get:n").expect(200).text, "get=SUCCESS 2\n");
    }
}

/// How a visitor leaves a stream.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// The connection stays.
    Stream,
    Connection,
}

const WAYS: [Leaving; 2] = [Leaving::Stream, Leaving::Connection];

impl Leaving {
    /// What is left of `tab` once its `streams` were left.
    fn leave(self, mut tab: Connection, streams: &[u32]) -> Option<Connection> {
        match self {
            Leaving::Connection => None,
            Leaving::Stream => {
                streams.iter().for_each(|stream| tab.reset(*stream));
                Some(tab)
            }
        }
    }
}

/// What is left of a connection is not harmed.
#[track_caller]
fn still_serves(rest: Option<Connection>) {
    if let Some(mut tab) = rest {
        assert_eq!(tab.ask("/c?get:b").expect(200).text, "get=SUCCESS 2\n");
    }
}

/// Runs `test` for each place and way to leave.
fn each_way(test: impl Fn(&str, Leaving)) {
    for place in ["/p", "/c"] {
        WAYS.into_iter().for_each(|way| test(place, way));
    }
}

pub fn a_visitor_who_leaves_a_stream_loses_nothing_and_holds_nothing(mpm: Mpm) {
    let server = lists(mpm).start();
    server.expect_log(REFUSED);
    each_way(|place, way| {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:n=1");
        let mut tab = Connection::narrow(&visitor).expect("connecting");
        let target = format!("{place}?set:a=1;write:200000000;set:b=2");
        let stream = tab.get(&target).expect("asking");
        tab.fill(stream);
        assert_eq!(ask(&mut visitor, "/c?get:a"), "get=TIMEUP");
        let rest = way.leave(tab, &[stream]);
        let seen = once_free(&mut visitor, "get:a;get:b");
        assert_eq!(seen, "get=SUCCESS 1\nget=SUCCESS 2", "{place} {way:?}");
        still_serves(rest);
    });
    assert_eq!(records(&server), 4);
}

/// Waits until a handler has saved 2 for `a`.
#[track_caller]
fn begun(visitor: &mut Client) {
    wait_for("the handler to begin", SOON, || {
        ask(visitor, "/c?open:read;get:a").ends_with(" 2").then_some(())
    });
}

pub fn a_visitor_who_leaves_an_upload_loses_nothing_and_holds_nothing(mpm: Mpm) {
    let server = lists(mpm).start();
    server.expect_log(REFUSED);
    each_way(|place, way| {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1");
        let mut tab = connect(&visitor);
        let stream = tab.post(&format!("{place}?set:a=2;save;body;set:b=2"), LENGTH);
        tab.upload(stream, &[b'x'; 10], false);
        begun(&mut visitor);
        assert_eq!(ask(&mut visitor, "/c?get:a"), "get=TIMEUP");
        let rest = way.leave(tab, &[stream]);
        let seen = once_free(&mut visitor, "get:a;get:b");
        assert_eq!(seen, "get=SUCCESS 2\nget=SUCCESS 2", "{place} {way:?}");
        still_serves(rest);
    });
}

pub fn a_visitor_who_leaves_before_the_head_loses_nothing(mpm: Mpm) {
    let server = lists(mpm).start();
    server.expect_log(REFUSED);
    let gate = Gate::of(&server);
    each_way(|place, way| {
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1");
        let mut tab = connect(&visitor);
        let target = format!("{place}?set:a=2;save;wait:{gate};set:b=2");
        let stream = tab.get(&target).expect("asking");
        begun(&mut visitor);
        let rest = way.leave(tab, &[stream]);
        assert_eq!(ask(&mut visitor, "/c?get:a"), "get=TIMEUP");
        gate.open();
        let seen = once_free(&mut visitor, "get:a;get:b");
        assert_eq!(seen, "get=SUCCESS 2\nget=SUCCESS 2", "{place} {way:?}");
        still_serves(rest);
        gate.close();
    });
}

/// Their handlers run when the session is theirs, and what they do counts.
pub fn visitors_who_leave_while_their_streams_wait_hold_up_nobody(mpm: Mpm) {
    let server = builder(mpm).start();
    let signals = Signals::of(&server);
    for (round, way) in WAYS.into_iter().enumerate() {
        let mut client = visitor(&server);
        let name = |what: &str| format!("{what}{round}");
        let holder = signals.hold(&mut client, "incr:n", &name("held"), &name("end"));
        let mut tab = connect(&client);
        let begun: Vec<u32> = ["one", "two", "three"]
            .map(|what| {
                let ops = format!("{};incr:n", signals.give(&name(what)));
                let stream = tab.get(&format!("/plain?{ops}")).expect("asking");
                signals.wait(&name(what));
                stream
            })
            .into();
        assert!(!tab.stirs(begun[0], Duration::from_millis(100)), "it did not wait");
        let rest = way.leave(tab, &begun);
        signals.raise(&name("end"));
        let start = Instant::now();
        answer(holder).expect(200);
        let mut next = rest.unwrap_or_else(|| connect(&client));
        next.ask("/probe?set:next=1").expect(200);
        assert!(start.elapsed() < SOON, "{way:?}: {:?}", start.elapsed());
        wait_value("their updates", SOON, || count(&mut client), |count| *count == 5);
        assert_eq!(next.ask("/probe?trylock;get:n").text, "trylock=SUCCESS\nget=SUCCESS 5\n");
    }
}
