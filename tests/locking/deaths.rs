//! Killed processes: what they held is handed on, what they waited for is not stuck. httpd itself says
//! nothing of a child that was killed by hand.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::mpm_tests;
use crate::steps::{Signals, Started, count, run, sessions, visitor};
use crate::support::{Mpm, Server};

const SOON: Duration = Duration::from_secs(2);

/// Notes would be waited for before the handler can say in which process it is.
fn server(mpm: Mpm) -> Server {
    sessions().mpm(mpm).threads(4).ready_for(8).start_servers(4).conf("SessionNotes off").start()
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::KILL).expect("killing a child of the server");
}

mpm_tests!(
    a_session_of_a_killed_child_is_the_next_requests_within_two_seconds,
    a_waiter_gets_the_session_of_a_killed_child_within_two_seconds,
    a_killed_waiter_is_passed_over,
);

fn a_session_of_a_killed_child_is_the_next_requests_within_two_seconds(mpm: Mpm) {
    let server = server(mpm);
    let mut client = visitor(&server);
    let mut doomed = Started::new(&mut client, "incr:n;kill");
    assert!(doomed.rest().is_err(), "the child lives");
    let start = Instant::now();
    // What the dead one had not committed is not there.
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

fn a_waiter_gets_the_session_of_a_killed_child_within_two_seconds(mpm: Mpm) {
    let server = server(mpm);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let ops = format!("incr:n;{};{}", signals.give("held"), signals.await_("never"));
    let holder = Started::new(&mut client, &ops);
    signals.wait("held");
    let (mut waiter, _same) = Started::elsewhere(&mut client, "incr:n", holder.pid);
    assert!(!waiter.stirs(Duration::from_millis(300)), "the session was not held");
    kill(holder.pid);
    let start = Instant::now();
    assert_eq!(waiter.rest().expect("an answer"), ["incr=SUCCESS 2"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(count(&mut client), 2);
}

fn a_killed_waiter_is_passed_over(mpm: Mpm) {
    let server = server(mpm);
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let ops = format!("incr:n;{};{}", signals.give("held"), signals.await_("end"));
    let mut holder = Started::new(&mut client, &ops);
    signals.wait("held");
    let (mut first, _same) = Started::elsewhere(&mut client, "incr:n", holder.pid);
    assert!(!first.stirs(Duration::from_millis(200)));
    let (mut second, _same) = Started::elsewhere(&mut client, "incr:n", first.pid);
    assert!(!second.stirs(Duration::from_millis(200)));
    // Whoever else waits in the killed process goes with it; the holder and the second waiter are not
    // there.
    kill(first.pid);
    assert!(first.rest().is_err());
    signals.raise("end");
    let start = Instant::now();
    assert!(holder.rest().expect("the holder's answer").contains(&"incr=SUCCESS 2".to_owned()));
    second.rest().expect("the second waiter's answer");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let before = count(&mut client);
    for more in 1..=5 {
        assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {}", before + more)]);
    }
    assert!(start.elapsed() < SOON * 2, "{:?}", start.elapsed());
}
