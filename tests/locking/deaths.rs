//! Killed processes: what they held is handed on, what they waited for is not stuck. httpd itself says
//! nothing of a child that was killed by hand.

use std::time::{Duration, Instant};

use crate::mpm_tests;
use crate::steps::{Keep, Kept, Signals, ask, count, run, sessions, visitor};
use crate::support::{Mpm, Server, kill};

const SOON: Duration = Duration::from_secs(2);

fn server(mpm: Mpm) -> Server {
    sessions().mpm(mpm).threads(8).ready_for(8).start_servers(4).start()
}

/// As long as the session is held, a waiter does not answer.
#[track_caller]
fn waits(kept: &mut Kept) {
    assert!(!kept.stirs(Duration::from_millis(300)), "it did not wait");
}

mpm_tests!(
    a_session_of_a_killed_child_is_the_next_requests_within_two_seconds,
    a_waiter_gets_the_session_of_a_killed_child_within_two_seconds,
    a_killed_waiter_is_passed_over,
);

pub fn a_session_of_a_killed_child_is_the_next_requests_within_two_seconds(mpm: Mpm) {
    let server = server(mpm);
    let mut client = visitor(&server);
    assert!(client.try_send(&ask("incr:n;kill")).is_err(), "the child lives");
    let start = Instant::now();
    // What the dead one had not committed is not there.
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

pub fn a_waiter_gets_the_session_of_a_killed_child_within_two_seconds(mpm: Mpm) {
    killed_before_a_waiter(&server(mpm), Kept::new);
}

pub fn killed_before_a_waiter(server: &Server, keep: Keep) {
    let signals = Signals::of(server);
    let mut client = visitor(server);
    let mut holder = keep(&client, None);
    let mut waiter = keep(&client, Some(holder.pid));
    holder.ask(&format!("incr:n;{};{}", signals.give("held"), signals.await_("never")));
    signals.wait("held");
    waiter.ask("incr:n");
    waits(&mut waiter);
    kill(holder.pid);
    let start = Instant::now();
    assert_eq!(waiter.answer().expect("an answer"), ["incr=SUCCESS 2"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(holder.answer().is_err());
    assert_eq!(count(&mut client), 2);
}

pub fn a_killed_waiter_is_passed_over(mpm: Mpm) {
    killed_while_it_waits(&server(mpm), Kept::new);
}

pub fn killed_while_it_waits(server: &Server, keep: Keep) {
    let signals = Signals::of(server);
    let mut client = visitor(server);
    let mut first = keep(&client, None);
    let mut holder = keep(&client, Some(first.pid));
    let mut second = keep(&client, Some(first.pid));
    holder.ask(&format!("incr:n;{};{}", signals.give("held"), signals.await_("end")));
    signals.wait("held");
    first.ask("incr:n");
    waits(&mut first);
    second.ask("incr:n");
    waits(&mut second);
    kill(first.pid);
    assert!(first.answer().is_err());
    signals.raise("end");
    let start = Instant::now();
    assert_eq!(holder.answer().expect("an answer")[0], "incr=SUCCESS 2");
    assert_eq!(second.answer().expect("an answer"), ["incr=SUCCESS 3"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    for sum in 4..=8 {
        assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {sum}")]);
    }
    assert!(start.elapsed() < SOON * 2, "{:?}", start.elapsed());
}
