//! What a database keeps: over restarts, over kills, and under requests at once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{KINDS, LIBRARIES, on, start};
use crate::mpm_tests;
use crate::steps::{Raised, ask, count, run, visitor};
use crate::support::{Mpm, Server, inspect, parallel, wait_value};

/// Longer than anybody waits for a mutex.
const PATIENCE: Duration = Duration::from_secs(30);

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    // It may have ended just now.
    let _ = kill_process(pid, Signal::KILL);
}

#[test]
fn sessions_survive_restarts_of_every_kind() {
    for kind in KINDS {
        let mut server = start(on(kind), kind);
        let mut client = visitor(&server);
        run(&mut client, "set_user:alice;set:text=kept");
        server.reload_graceful();
        assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"], "{kind}");
        server.reload_hard();
        assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 3"], "{kind}");
        server.restart();
        let answer = run(&mut client, "user;get:text;incr:n");
        assert_eq!(answer, ["user=SUCCESS alice", "get=SUCCESS kept", "incr=SUCCESS 4"], "{kind}");
        // A new id at login, and the old one is nobody's.
        assert_eq!(run(&mut client, "regenerate;get:n")[1], "get=SUCCESS 4", "{kind}");
    }
}

#[test]
fn sessions_end_and_stay_ended_with_every_kind() {
    for kind in LIBRARIES {
        let server = start(on(kind), kind);
        let mut client = visitor(&server);
        let mut late = client.clone();
        assert_eq!(run(&mut client, "delete"), ["delete=SUCCESS"], "{kind}");
        assert_eq!(run(&mut late, "get:n;is_new"), ["get=NOTFOUND", "is_new=SUCCESS 1"], "{kind}");
    }
}

#[test]
fn sessions_survive_idle_children_that_are_killed_with_every_kind() {
    for kind in LIBRARIES {
        let server = start(on(kind), kind);
        let mut client = visitor(&server);
        for sum in 2..4 {
            let before = server.children();
            before.iter().copied().for_each(kill);
            wait_value(
                "children in the place of those killed",
                Duration::from_secs(20),
                || server.accepting(),
                |pids| !pids.is_empty() && pids.iter().all(|pid| !before.contains(pid)),
            );
            assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {sum}")], "{kind}");
        }
    }
}

mpm_tests!(thirty_increments_at_once_lose_none,);

fn thirty_increments_at_once_lose_none(mpm: Mpm) {
    // The MPM makes no difference to a library; that threads and processes exclude each other does.
    let kinds = if mpm == Mpm::Event { &LIBRARIES[..] } else { &["lmdb", "SDBM"] };
    for kind in kinds {
        let builder = on(kind).mpm(mpm).threads(64).ready_for(32);
        let server = start(builder.conf("SessionLockWaiters 64 100%"), kind);
        let mut client = visitor(&server);
        let mut sums: Vec<u32> = parallel(30, |_| {
            let text = client.clone().get("/probe?incr:n").expect(200).text();
            text.trim().rsplit(' ').next().and_then(|sum| sum.parse().ok()).expect("a sum")
        });
        sums.sort_unstable();
        assert_eq!(sums, (2..=31).collect::<Vec<u32>>(), "{kind}");
        assert_eq!(count(&mut client), 31, "{kind}");
    }
}

#[test]
fn parallel_writers_of_one_sdbm_session_without_a_lease_lose_nothing() {
    let builder = on("SDBM").ready_for(32).conf("SessionLocking commit");
    let server = start(builder, "SDBM");
    let mut client = visitor(&server);
    parallel(30, |_| {
        let answer = run(&mut client.clone(), "add:n=1");
        assert!(answer[0].starts_with("add=SUCCESS"), "{answer:?}");
    });
    assert_eq!(count(&mut client), 31);
}

/// Kills children while they write, and counts what was answered.
#[test]
fn lmdb_loses_nothing_that_was_answered_when_children_are_killed_under_load() {
    let server = start(on("lmdb").ready_for(32).start_servers(4), "lmdb");
    let clients: Vec<_> = (0..6).map(|_| visitor(&server)).collect();
    let stop = AtomicBool::new(false);
    let answered: Vec<AtomicU32> = clients.iter().map(|_| AtomicU32::new(0)).collect();
    let asked: Vec<AtomicU32> = clients.iter().map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        let _stopped = Raised(&stop);
        for (at, client) in clients.iter().enumerate() {
            let (stop, answered, asked) = (&stop, &answered[at], &asked[at]);
            scope.spawn(move || {
                let mut client = client.clone();
                while !stop.load(Ordering::Relaxed) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    // A killed child breaks the connection: whether it counted is not known.
                    if let Ok(answer) = client.try_send(&ask("incr:n")) {
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..8 {
            let total = || answered.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u32>();
            let before = total();
            wait_value("requests between kills", Duration::from_secs(20), total, |now| {
                *now >= before + 50
            });
            if let Some(pid) = server.accepting().first() {
                kill(*pid);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    for (at, client) in clients.iter().enumerate() {
        let count = count(&mut client.clone());
        let (least, most) =
            (1 + answered[at].load(Ordering::Relaxed), 1 + asked[at].load(Ordering::Relaxed));
        assert!((least..=most).contains(&count), "{count} is not within {least} and {most}");
    }
}

/// Whether the kernel has stopped a process.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("looking at a child");
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

/// It is stopped again and again while it writes, until it has the mutex: others wait for that, but not
/// without an end, and afterwards everything goes on.
#[test]
fn a_stopped_child_stops_nobody_for_ever() {
    // Synced, it has the mutex for most of the time.
    let server = start(on("lmdb").conf("SessionSync on").ready_for(32).start_servers(2), "lmdb");
    server.expect_log("mutex");
    let writers: Vec<_> = (0..6).map(|_| visitor(&server)).collect();
    let client = visitor(&server);
    let incr = || client.clone().timeout(PATIENCE).try_send(&ask("incr:n"));
    let (stop, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut answers = Vec::new();
    let begun = Instant::now();
    thread::scope(|scope| {
        let _stopped = Raised(&stop);
        for writer in &writers {
            scope.spawn(|| {
                let mut writer = writer.clone().timeout(2 * PATIENCE);
                while !stop.load(Ordering::Relaxed) {
                    // What it says is judged below, by a client that knows whether a child is stopped.
                    let _ = writer.try_send(&ask("incr:n"));
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while answers.last().is_none_or(|status| *status == Some(200)) && begun.elapsed() < PATIENCE
        {
            let total = || written.load(Ordering::Relaxed);
            let before = total();
            wait_value("requests before the stop", PATIENCE, total, |now| *now >= before + 10);
            let pid = server.accepting()[0];
            let handle = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
            kill_process(handle, Signal::STOP).expect("stopping a child");
            wait_value("the child to be stopped", PATIENCE, || is_stopped(pid), |stopped| *stopped);
            answers.push(incr().ok().map(|answer| answer.status));
            kill_process(handle, Signal::CONT).expect("letting it go on");
        }
        println!("{} stops in {:?}", answers.len(), begun.elapsed());
        // Nothing is judged before: threads would be waited for that do not end.
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(answers.pop(), Some(Some(503)), "the end of the wait for the mutex");
    assert!(answers.iter().all(|status| *status == Some(200)), "{answers:?}");
    assert_eq!(count(&mut client.clone()) as usize, 1 + answers.len());
    assert_eq!(run(&mut client.clone(), "incr:n"), [format!("incr=SUCCESS {}", 2 + answers.len())]);
}

#[test]
fn lmdb_keeps_no_descriptor_or_mapping_over_graceful_restarts() {
    let server: Server = start(on("lmdb"), "lmdb");
    let mut client = visitor(&server);
    // What the first ones bring stays: memory of httpd's own.
    let held = || {
        server.reload_graceful();
        run(&mut client, "incr:n");
        let held = inspect::holdings(server.pid()).expect("the parent");
        (held.descriptors, held.mappings)
    };
    let held: Vec<(usize, usize)> = std::iter::repeat_with(held).take(8).collect();
    assert_eq!(held[2], held[7], "{held:?}");
    assert!(!inspect::has_open(server.pid(), "sessions.mdb"), "the parent has it open");
}
