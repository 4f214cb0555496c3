//! Sessions in stores that other modules bring: the example of httpd-conf/example_store, and what is the
//! same but for one thing.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::behaviour::{self, SUITE, kept_in, suite};
use crate::mpm_tests;
use crate::steps::{Raised, ask, count, run, visitor};
use crate::support::{Builder, Client, Mpm, apxs, wait_value};

/// Its table stands below the server root.
const TABLE: &str = "${ROOT}/run/sessions.table";

/// A server whose sessions are in the store `name` of the example's kind.
pub fn own(name: &str) -> Builder {
    kept_in(&format!("{name}:{TABLE}"))
        .load("session_example_store_module", apxs::example_store())
        .load("other_stores_module", apxs::probe("mod_other_stores"))
}

mpm_tests!(the_example_keeps_sessions, a_store_that_cannot_compare_keeps_sessions);

fn the_example_keeps_sessions(mpm: Mpm) {
    let server = behaviour::all(own("example"), mpm);
    server.expect_log("SessionMaxSize allows larger sessions");
    server.wait_for_log("sessions are kept in the store example of another module");
}

fn a_store_that_cannot_compare_keeps_sessions(mpm: Mpm) {
    let server = behaviour::all(own("plain"), mpm);
    for warning in [
        "SessionStore plain: requests of one session exclude each other on this machine only",
        "SessionStore plain: a process that is killed while it writes may damage sessions",
        "SessionStore plain: sessions that have ended are never removed",
    ] {
        server.expect_log(warning);
    }
    server.expect_log("SessionMaxSize allows larger sessions");
}

#[test]
fn the_example_passes_the_suite() {
    let server = own("example").conf(SUITE).start();
    server.expect_log("SessionMaxSize allows larger sessions");
    suite(&server, &["records_of_every_size_come_back"]);
}

#[test]
fn a_store_that_cannot_compare_passes_the_suite_but_for_what_lists() {
    let server = own("plain").conf(SUITE).start();
    for announced in ["SessionStore plain: ", "SessionMaxSize allows larger sessions"] {
        server.expect_log(announced);
    }
    let lists = [
        "records_of_every_size_come_back",
        "a_scan_shows_every_record_once",
        "a_scan_goes_on_where_it_stopped",
        "a_scan_sees_what_stays_however_others_come_and_go",
        "a_purge_removes_what_ended_and_nothing_else",
        "a_purge_keeps_what_was_visited_meanwhile",
        "a_purge_stops_when_told_and_goes_on_there",
        "a_purge_of_the_unvisited_goes_by_the_visit",
        "sessions_are_found_by_their_user",
    ];
    suite(&server, &lists);
}

#[test]
fn a_store_that_is_not_safe_for_threads_serves_processes() {
    let server = own("threadless").mpm(Mpm::Prefork).ready_for(24).start();
    server.expect_log("SessionMaxSize allows larger sessions");
    behaviour::a_session_comes_back(&server, 900);
    behaviour::parallel_increments_lose_nothing(&server);
}

/// A visit changed three numbers of the record that counts: who was killed in between left neither what was
/// there before nor what was to be there.
#[test]
fn a_visit_is_written_beside_the_record_that_counts_and_not_into_it() {
    const SLOT: usize = 8192;
    // The number of the copy that counts and the key, then the copies.
    const HEAD: usize = 64;
    const COPY: usize = (SLOT - HEAD) / 2;
    let server = own("example").conf("SessionTouchInterval 0").start();
    server.expect_log("SessionMaxSize allows larger sessions");
    let mut client = visitor(&server);
    let table = server.root().join("run/sessions.table");
    let slot = || {
        let bytes = fs::read(&table).expect("the table");
        let used = |slot: &&[u8]| matches!(slot[0], 1 | 2);
        let slot = bytes.chunks(SLOT).skip(1).find(used).expect("a session").to_vec();
        (usize::from(slot[0]), slot)
    };
    for _ in 0..3 {
        let (counted, before) = slot();
        assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
        let (counts, after) = slot();
        assert_ne!(counts, counted, "there was a visit");
        let kept = HEAD + (counted - 1) * COPY..HEAD + counted * COPY;
        assert!(after[kept.clone()] == before[kept], "a visit was written into it");
    }
}

/// What its documentation claims: a kill at any instruction leaves the record of before or of after.
#[test]
fn children_of_the_example_can_be_killed_under_load() {
    let server = own("example").threads(8).start_servers(6).max_workers(48).start();
    server.expect_log("SessionMaxSize allows larger sessions");
    let mut clients: Vec<Client> = (0..6).map(|_| visitor(&server)).collect();
    let (stop, answers) = (AtomicBool::new(false), AtomicU32::new(0));
    let counts: Vec<(u32, u32)> = thread::scope(|scope| {
        let (stop, answers) = (&stop, &answers);
        let _stopped = Raised(stop);
        let workers = clients.iter().map(|client| {
            let mut client = client.clone();
            scope.spawn(move || {
                let (mut done, mut unsure) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    match client.try_send(&ask("incr:n")) {
                        Ok(answer) if answer.status == 200 => done += 1,
                        _ => unsure += 1,
                    }
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                (done, unsure)
            })
        });
        let workers: Vec<_> = workers.collect();
        for _ in 0..12 {
            let before = answers.load(Ordering::Relaxed);
            wait_value(
                "the load to go on",
                Duration::from_secs(20),
                || answers.load(Ordering::Relaxed),
                |now| *now > before + 20,
            );
            if let Some(pid) = server.accepting().first() {
                kill(*pid);
            }
        }
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().expect("a visitor")).collect()
    });
    for (client, (done, unsure)) in clients.iter_mut().zip(counts) {
        let sum = count(client);
        assert!(done > 5 && sum > done && sum <= 1 + done + unsure, "{sum}: {done}, {unsure}");
    }
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    match kill_process(pid, Signal::KILL) {
        // Of the kill before: it was seen while it died.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(cause) => panic!("killing a child of the server: {cause}"),
    }
}

#[test]
fn the_example_keeps_sessions_over_a_full_restart() {
    let mut server = own("example").start();
    server.expect_log("SessionMaxSize allows larger sessions");
    let mut client = visitor(&server);
    server.restart();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}

#[test]
fn a_store_out_of_reach_is_a_503_until_it_is_back() {
    let server = own("failing").start();
    for announced in [
        "SessionStore failing: ",
        "SessionMaxSize allows larger sessions",
        "reading a record from the store: Connection refused",
    ] {
        server.expect_log(announced);
    }
    let mut client = visitor(&server);
    let down = server.root().join("run/sessions.table.down");
    fs::write(&down, "").expect("shutting the store");
    client.get("/probe?get:n").expect(503);
    fs::remove_file(&down).expect("opening the store");
    assert_eq!(count(&mut client), 1);
}

#[test]
fn a_child_that_cannot_open_its_store_tries_again_with_each_request() {
    let mut server = own("failing").start();
    for announced in
        ["SessionStore failing: ", "SessionMaxSize allows larger", "of another module: it is shut"]
    {
        server.expect_log(announced);
    }
    let mut client = visitor(&server);
    let shut = server.root().join("run/sessions.table.shut");
    fs::write(&shut, "").expect("shutting the store");
    server.restart();
    client.get("/probe?get:n").expect(503);
    fs::remove_file(&shut).expect("opening the store");
    assert_eq!(count(&mut client), 1);
}

#[test]
fn a_changed_store_waits_for_a_full_restart_with_a_warning() {
    let mut server = own("example").start();
    server.expect_log("SessionMaxSize allows larger sessions");
    let mut client = visitor(&server);
    server.reconfigure(|_| own("plain"));
    server.expect_log("SessionStore plain: ");
    server.expect_log("SessionStore changes from example to plain at the next full restart");
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}
