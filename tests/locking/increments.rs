//! One session is one request's at a time; different sessions are nobody's business.

use std::thread;

use crate::mpm_tests;
use crate::steps::{Signals, count, run, sessions, visitor, with_lua};
use crate::support::{Builder, Mpm, Server, parallel};

/// By default 16 requests may wait for one session, and half of the threads of a child for any.
const CROWD: &str = "SessionLockWaiters 64 100%";

fn crowded(mpm: Mpm) -> Builder {
    with_lua(sessions()).mpm(mpm).threads(64).ready_for(32).conf(CROWD)
}

fn add_thirty(server: &Server, path: &str) {
    let mut client = visitor(server);
    let mut sums: Vec<u32> = parallel(30, |_| {
        let text = client.clone().get(path).expect(200).text();
        text.trim().rsplit(' ').next().and_then(|sum| sum.parse().ok()).expect("a sum")
    });
    sums.sort_unstable();
    assert_eq!(sums, (2..=31).collect::<Vec<u32>>(), "{path}");
    assert_eq!(count(&mut client), 31, "{path}");
}

mpm_tests!(
    thirty_increments_at_once_lose_none_by_notes_and_by_functions,
    sixteen_sessions_are_held_side_by_side,
    sixteen_sessions_share_one_mutex_and_are_held_side_by_side,
);

pub fn thirty_increments_at_once_lose_none_by_notes_and_by_functions(mpm: Mpm) {
    let server = crowded(mpm).start();
    for path in ["/probe?incr:n", "/symbols?incr:n", "/add.lua"] {
        add_thirty(&server, path);
    }
}

fn sixteen_sessions_are_held_side_by_side(mpm: Mpm) {
    held_side_by_side(sessions().mpm(mpm));
}

pub fn sixteen_sessions_share_one_mutex_and_are_held_side_by_side(mpm: Mpm) {
    held_side_by_side(sessions().mpm(mpm).locks(1));
}

fn held_side_by_side(builder: Builder) {
    let server = builder.ready_for(18).start();
    let signals = Signals::of(&server);
    let clients = parallel(16, |_| visitor(&server));
    let held: Vec<String> = (0..16).map(|index| format!("held{index}")).collect();
    let answers = thread::scope(|scope| {
        let holders = scope.spawn(|| {
            parallel(16, |index| {
                let end = signals.await_("end");
                let ops = format!("incr:n;{};{end}", signals.give(&held[index]));
                run(&mut clients[index].clone(), &ops)
            })
        });
        held.iter().for_each(|name| signals.wait(name));
        assert!(!holders.is_finished(), "nobody held a session");
        signals.raise("end");
        holders.join().expect("the holders")
    });
    for answer in answers {
        assert_eq!(answer, ["incr=SUCCESS 2", "touch=SUCCESS", "wait=SUCCESS"]);
    }
}
