//! The kinds of mutexes that httpd's `Mutex` directive can choose.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use crate::steps::{count, sessions, visitor};
use crate::support::{Builder, Mpm, Server, Store, inspect, parallel};

const EACH: [Mpm; 2] = [Mpm::Prefork, Mpm::Event];

fn with(mpm: Mpm, mechanism: &str) -> Builder {
    let builder = sessions().mpm(mpm).threads(64).ready_for(32);
    builder.main(&format!("Mutex {mechanism} session-store")).conf("SessionLockWaiters 64 100%")
}

fn add_thirty(server: &Server) {
    let mut client = visitor(server);
    parallel(30, |_| client.clone().get("/probe?incr:n").expect(200));
    assert_eq!(count(&mut client), 31);
}

/// The same of the next generation; not for each of the many processes of prefork, which take seconds.
fn restarted(server: &Server, mpm: Mpm) {
    if mpm == Mpm::Event {
        server.reload_graceful();
        add_thirty(server);
    }
}

#[test]
fn process_shared_mutexes_work_and_the_log_says_which() {
    for mpm in EACH {
        let server = with(mpm, "pthread").start();
        server.wait_for_log("256 session locks by pthread");
        add_thirty(&server);
        restarted(&server, mpm);
    }
}

/// Semaphores are counted for the whole machine: who counts them is alone with them.
fn alone_with_semaphores() -> File {
    semaphores(FlockOperation::LockExclusive)
}

/// For who makes semaphores and counts none; beside others of the kind.
pub fn with_semaphores() -> File {
    semaphores(FlockOperation::LockShared)
}

fn semaphores(how: FlockOperation) -> File {
    let path = std::env::temp_dir().join("session_store-semaphores");
    let lock = File::create(path).expect("opening the lock on semaphores");
    flock(&lock, how).expect("locking");
    lock
}

#[test]
fn semaphores_work_over_restarts_and_are_given_back() {
    let _alone = alone_with_semaphores();
    for mpm in EACH {
        let before = inspect::semaphore_sets();
        let server = with(mpm, "sysvsem").conf("SessionLocks 20").start();
        server.wait_for_log("20 session locks by sysvsem");
        // One is the lease table's.
        let made = before + 21 + Store::current().mutexes();
        assert_eq!(inspect::semaphore_sets(), made);
        add_thirty(&server);
        restarted(&server, mpm);
        assert_eq!(inspect::semaphore_sets(), made);
        server.finish();
        assert_eq!(inspect::semaphore_sets(), before);
    }
}

#[test]
fn mechanisms_with_files_work_and_are_bounded_with_a_warning() {
    for mpm in EACH {
        for mechanism in ["fcntl", "flock"] {
            let server = with(mpm, mechanism).start();
            server.expect_log("SessionLocks 256 became 63");
            server.wait_for_log(&format!("63 session locks by {mechanism}"));
            add_thirty(&server);
            restarted(&server, mpm);
            let held = inspect::holdings(server.children()[0]).expect("a child");
            let mutexes = 64 + Store::current().mutexes();
            assert!(held.descriptors < mutexes * 2 + 40, "{held:?}");
        }
    }
}

#[test]
fn few_locks_of_a_mechanism_with_files_need_no_warning() {
    let server = with(Mpm::Event, "flock").conf("SessionLocks 8").start();
    server.wait_for_log("8 session locks by flock");
    add_thirty(&server);
}

#[test]
fn mutexes_that_stay_locked_when_their_holder_dies_are_refused() {
    let refusal = with(Mpm::Event, "posixsem").try_start().err().expect("a refusal");
    let said = refusal.output + &refusal.log;
    assert!(said.contains("posixsem") && said.contains("Mutex pthread session-store"), "{said}");
}
