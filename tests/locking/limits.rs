//! How long requests wait, how many of them may, and how long one may let them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::mpm_tests;
use crate::steps::{Signals, answer, ask, count, lines, run, sessions, visitor};
use crate::support::{Builder, Client, Mpm, Request, Response, Server, parallel, wait_value};

/// A place where the session is taken by the C interface alone: its handler sees the outcome.
const PLAIN: &str = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>";

const AT_ONCE: Duration = Duration::from_millis(700);
/// Longest time until sixty requests are refused or wait.
const PATIENCE: Duration = Duration::from_secs(10);
const REFUSED: &str = "a request was refused its session";

fn server(mpm: Mpm, conf: &str) -> Server {
    let builder: Builder = sessions().mpm(mpm).ready_for(8).conf(PLAIN).conf(conf);
    builder.start()
}

#[track_caller]
fn refused(response: Response, at_least: Duration, at_most: Duration) {
    let took = response.took;
    let response = response.expect(503);
    assert!(response.header("Retry-After").is_some(), "{:?}", response.headers);
    assert!(took >= at_least && took < at_most, "{took:?}");
}

fn plain(ops: &str) -> Request {
    Request::get(&format!("/plain?{ops}")).close()
}

mpm_tests!(
    a_wait_ends_after_the_timeout_with_503_and_a_time_to_come_again,
    a_timeout_of_zero_does_not_wait,
    a_session_held_too_long_is_taken_over_and_the_late_one_merges,
    of_sixty_requests_sixteen_wait_and_the_others_get_503_at_once,
);

pub fn a_wait_ends_after_the_timeout_with_503_and_a_time_to_come_again(mpm: Mpm) {
    let server = server(mpm, "SessionLockTimeout 1s");
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");

    let (second, three) = (Duration::from_millis(900), Duration::from_secs(3));
    refused(client.send(&ask("incr:n")), second, three);
    let told = client.send(&plain("incr:n"));
    assert!(told.took >= second && told.took < three, "{:?}", told.took);
    assert_eq!(lines(&told.expect(200)), ["incr=TIMEUP"]);
    refused(client.send(&plain("open:write;return:503")), second, three);
    // Who has no session yet, and who does not touch it, waits for nobody.
    assert!(server.client().send(&ask("incr:n")).expect(200).took < AT_ONCE);
    assert!(client.send(&plain("open:read;get:n")).expect(200).took < AT_ONCE);
    assert!(client.send(&plain("exists;id;version")).expect(200).took < AT_ONCE);

    signals.raise("end");
    answer(holder).expect(200);
    assert_eq!(count(&mut client), 2);
}

pub fn a_timeout_of_zero_does_not_wait(mpm: Mpm) {
    let server = server(mpm, "SessionLockTimeout 0");
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    refused(client.send(&ask("incr:n")), Duration::ZERO, AT_ONCE);
    let told = client.send(&plain("incr:n"));
    assert!(told.took < AT_ONCE, "{:?}", told.took);
    assert_eq!(lines(&told), ["incr=TIMEUP"]);
    signals.raise("end");
    answer(holder).expect(200);
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 3"]);
}

pub fn a_session_held_too_long_is_taken_over_and_the_late_one_merges(mpm: Mpm) {
    let server = server(mpm, "SessionLockHold 1s");
    let overdue = "longer than SessionLockHold";
    server.expect_log(overdue);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let late = signals.hold(&mut client, "set:late=1", "held", "end");
    let next = client.send(&ask("set:next=2"));
    assert!(next.took < Duration::from_secs(3), "{:?}", next.took);
    next.expect(200);
    assert_eq!(server.log_count(overdue), 0);
    signals.raise("end");
    answer(late).expect(200);
    let both = ["get=SUCCESS 1", "get=SUCCESS 2", "get=SUCCESS 1"];
    assert_eq!(run(&mut client, "get:late;get:next;get:n"), both);
    assert_eq!(server.log_count(overdue), 1);
    server.assert_no_secret(&[client.jar.get("session_store").expect("a cookie")]);
}

pub fn of_sixty_requests_sixteen_wait_and_the_others_get_503_at_once(mpm: Mpm) {
    let server = sessions().mpm(mpm).threads(64).ready_for(72);
    let server = server.conf("SessionLockWaiters 16 100%").start();
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let tab = client.clone();
    let answered = AtomicUsize::new(0);
    let answers = thread::scope(|scope| {
        let tabs = scope.spawn(|| {
            parallel(60, |_| {
                let response = tab.clone().send(&ask("incr:n"));
                answered.fetch_add(1, Ordering::Relaxed);
                response
            })
        });
        wait_value("refusals", PATIENCE, || answered.load(Ordering::Relaxed), |count| *count == 44);
        assert!(!tabs.is_finished(), "nobody waited");
        signals.raise("end");
        tabs.join().expect("the tabs")
    });
    answer(holder).expect(200);
    let (served, surplus): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|one| one.status == 200);
    assert_eq!((served.len(), surplus.len()), (16, 44));
    let mut sums: Vec<String> = served.iter().map(Response::text).collect();
    sums.sort_by_key(|text| (text.len(), text.clone()));
    assert_eq!(sums, (3..=18).map(|sum| format!("incr=SUCCESS {sum}\n")).collect::<Vec<_>>());
    for one in surplus {
        refused(one, Duration::ZERO, PATIENCE);
    }
    assert_eq!(count(&mut client), 18);
    assert_eq!(server.log_count(REFUSED), 1, "one line for all of them");
}

/// Waits until a request of `client` waits for its session: it does not answer.
fn waiting(client: &mut Client) -> crate::support::Wire {
    let mut wire = client.open(&ask("incr:n"));
    assert!(!wire.stirs(Duration::from_millis(300)), "it did not wait");
    wire
}

#[test]
fn one_waiter_too_many_for_a_session_gets_503_at_once() {
    let server = server(Mpm::Event, "SessionLockWaiters 2 100%");
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let waiters = [waiting(&mut client), waiting(&mut client)];
    refused(client.send(&ask("incr:n")), Duration::ZERO, AT_ONCE);
    assert_eq!(lines(&client.send(&plain("incr:n"))), ["incr=TIMEUP"]);
    signals.raise("end");
    answer(holder).expect(200);
    for wire in waiters {
        answer(wire).expect(200);
    }
    assert_eq!(count(&mut client), 4);
}

#[test]
fn one_waiter_too_many_for_all_sessions_gets_503_at_once() {
    // 100 workers: one may wait.
    let server = sessions()
        .threads(25)
        .start_servers(4)
        .max_workers(100)
        .conf("SessionLockWaiters 16 1%")
        .start();
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let (mut one, mut other) = (visitor(&server), visitor(&server));
    let first = signals.hold(&mut one, "incr:n", "first", "end");
    let second = signals.hold(&mut other, "incr:n", "second", "end");
    let waiter = waiting(&mut one);
    refused(other.send(&ask("incr:n")), Duration::ZERO, AT_ONCE);
    signals.raise("end");
    for wire in [first, second, waiter] {
        answer(wire).expect(200);
    }
    assert_eq!((count(&mut one), count(&mut other)), (3, 2));
}

#[test]
fn waiters_leave_half_of_a_childs_threads_to_others() {
    let builder = sessions().threads(8).start_servers(1).max_workers(8);
    let server = builder.conf("SessionLockWaiters 64 100%").start();
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let waiters: Vec<_> = (0..4).map(|_| waiting(&mut client)).collect();
    refused(client.send(&ask("incr:n")), Duration::ZERO, AT_ONCE);
    assert!(server.get("/").expect(200).took < AT_ONCE);
    signals.raise("end");
    answer(holder).expect(200);
    for wire in waiters {
        answer(wire).expect(200);
    }
    assert_eq!(count(&mut client), 6);
}

#[test]
fn a_session_may_be_held_without_an_end() {
    let server = server(Mpm::Event, "SessionLockHold 0\nSessionLockTimeout 2s");
    server.expect_log(REFUSED);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let two = Duration::from_millis(1900);
    refused(client.send(&ask("incr:n")), two, two * 2);
    signals.raise("end");
    answer(holder).expect(200);
    assert_eq!(count(&mut client), 2);
}
