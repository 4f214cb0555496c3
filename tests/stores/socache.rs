//! Sessions in httpd's object caches.

use std::time::Duration;

use super::behaviour::{self, SUITE, kept_in, suite};
use crate::mpm_tests;
use crate::steps::{count, run, visitor};
use crate::support::{Builder, Memcached, Mpm, Server, inspect, wait_value};

/// Large enough for the suite's largest record.
const LARGE: &str = "socache:shmcb:${ROOT}/run/sessions(67108864)";
const MODULE: &str = "socache_shmcb";

/// What is said of a cache at each start.
const FORGETS: &str = "SessionStore socache:";

fn shmcb(store: &str) -> Builder {
    kept_in(store).module(MODULE)
}

fn memcache(memcached: &Memcached) -> Builder {
    kept_in(&format!("socache:memcache:{}", memcached.address())).module("socache_memcache")
}

/// What is said at each start is announced.
fn warned(server: Server) -> Server {
    server.expect_log(FORGETS);
    server
}

mpm_tests!(shared_memory_keeps_sessions, memcached_keeps_sessions);

fn shared_memory_keeps_sessions(mpm: Mpm) {
    let server = warned(behaviour::all(shmcb(LARGE), mpm));
    server.wait_for_log("sessions are kept in the object cache shmcb");
}

fn memcached_keeps_sessions(mpm: Mpm) {
    let memcached = Memcached::start();
    warned(behaviour::all(memcache(&memcached), mpm));
}

/// What a cache removes by itself no purge removes.
const CACHE: [&str; 4] = [
    "a_purge_removes_what_ended_and_nothing_else",
    "a_purge_keeps_what_was_visited_meanwhile",
    "a_purge_stops_when_told_and_goes_on_there",
    "sessions_are_found_by_their_user",
];

#[test]
fn shared_memory_passes_the_suite() {
    let server = warned(shmcb(LARGE).conf(SUITE).start());
    suite(&server, &CACHE);
}

#[test]
fn memcached_passes_the_suite_but_for_what_lists() {
    let memcached = Memcached::start();
    let server = warned(memcache(&memcached).conf(SUITE).start());
    let lists = [
        "a_scan_shows_every_record_once",
        "a_scan_goes_on_where_it_stopped",
        "a_scan_sees_what_stays_however_others_come_and_go",
        "a_purge_of_the_unvisited_goes_by_the_visit",
    ];
    suite(&server, &[&CACHE[..], &lists].concat());
}

#[test]
fn a_dbm_file_keeps_small_sessions_over_a_full_restart() {
    let builder = kept_in("socache:dbm:${ROOT}/sessions/cache").module("socache_dbm");
    let mut server = warned(builder.threads(64).ready_for(24).start());
    server.allow_log("SessionMaxSize allows larger sessions");
    behaviour::a_session_comes_back(&server, 300);
    behaviour::parallel_increments_lose_nothing(&server);
    let mut client = visitor(&server);
    server.restart();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}

#[test]
fn a_record_that_is_too_large_is_refused_and_the_session_stays_as_it_was() {
    let server = warned(shmcb("socache:shmcb").start());
    server.expect_log("SessionMaxSize allows larger sessions than this store takes");
    let mut client = visitor(&server);
    let large = format!("/probe?set:big={}", "x".repeat(4000));
    let mut status = 200;
    for part in 0..12 {
        let answer = client.get(&large.replace("big", &format!("big{part}")));
        status = answer.status;
        if status != 200 {
            assert!(part > 3, "refused too early: {part}");
            break;
        }
    }
    assert_eq!(status, 500);
    server.expect_log("larger than its store can hold");
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert_eq!(run(&mut client, "get_bytes:big3;is_new").len(), 2);
}

#[test]
fn sessions_in_shared_memory_end_with_the_server_and_not_before() {
    let mut server = warned(shmcb(LARGE).start());
    let mut client = visitor(&server);
    for _ in 0..5 {
        server.reload_graceful();
    }
    server.reload_hard();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert_eq!(server.log_count("are kept in the object cache"), 1);
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
}

#[test]
fn graceful_restarts_make_no_second_cache_and_leave_nothing_behind() {
    let server = warned(shmcb(LARGE).start());
    let mut client = visitor(&server);
    let parent = || inspect::holdings(server.pid()).expect("the parent");
    server.reload_graceful();
    let before = parent();
    for sum in 2..=8 {
        server.reload_graceful();
        assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {sum}")]);
    }
    assert_eq!(parent(), before);
}

#[test]
fn sessions_in_memcached_outlive_the_server() {
    let memcached = Memcached::start();
    let mut server = warned(memcache(&memcached).start());
    let mut client = visitor(&server);
    server.restart();
    assert_eq!(count(&mut client), 1);
}

#[test]
fn a_memcached_out_of_reach_logs_nobody_out() {
    let mut memcached = Memcached::start();
    let server = warned(memcache(&memcached).start());
    let mut client = visitor(&server);
    let cookie = client.jar.get("session_store").expect("a cookie").to_owned();
    memcached.kill();
    for what in ["socache_memcache", "object cache"] {
        server.allow_log(what);
    }
    for _ in 0..6 {
        client.get("/probe?get:n").expect(503);
    }
    assert_eq!(client.jar.get("session_store"), Some(cookie.as_str()));
    memcached.start_again();
    wait_value(
        "memcached to be asked again",
        Duration::from_secs(20),
        || client.get("/probe?set:n=1").status,
        |status| *status == 200,
    );
}
