//! By mod_watchdog, in one child of the server.

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::mpm_tests;
use crate::support::Mpm;
use crate::support::probed::{COOKIE, ask};

mpm_tests!(expired_records_go_while_requests_are_served_and_sessions_stay);

pub fn expired_records_go_while_requests_are_served_and_sessions_stay(mpm: Mpm) {
    let server = eager().mpm(mpm).ready_for(8).start();
    let mut visitor = server.client();
    assert_eq!(ask(&mut visitor, "/c?set:k=v"), "set=SUCCESS");
    plant(&server, 1, expired_count());
    let start = Instant::now();
    let visitors = Visitors::of(&server, 3);
    wait_for_records(&server, 4);
    let (visits, longest) = visitors.end();
    println!(
        "gone after {:?}; {visits} visits meanwhile, the slowest took {longest:?}",
        start.elapsed()
    );
    assert!(visits > 100 && longest < LONG, "{visits} visits, the slowest took {longest:?}");
    let pids = wait_for_removed(&server, expired_count());
    assert!(!pids.contains(&server.pid()), "the parent cleans up, as root");
    assert_eq!(ask(&mut visitor, "/c?get:k"), "get=SUCCESS v");
    // Another generation goes on.
    server.reload_graceful();
    plant(&server, 2, 100);
    wait_for_records(&server, 4);
}

#[test]
fn a_round_that_removed_nothing_is_told_of_at_debug_level() {
    let server = eager().start();
    let mut visitor = server.client();
    assert_eq!(ask(&mut visitor, "/c?set:k=v"), "set=SUCCESS");
    let line = server.wait_for_log("cleanup removed 0 of ");
    assert!(line.contains("[session_store:debug]"), "{line}");
    assert_eq!(ask(&mut visitor, "/c?get:k"), "get=SUCCESS v");
}

#[test]
fn another_child_takes_over_from_a_killed_one() {
    let server = eager().start_servers(2).start();
    plant(&server, 1, 10);
    wait_for_records(&server, 0);
    let pids = wait_for_removed(&server, 10);
    // Any child, where they go by themselves.
    let killed = pids.first().copied().unwrap_or_else(|| server.accepting()[0]);
    let pid = i32::try_from(killed).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::KILL).expect("killing the child that cleans up");
    plant(&server, 2, 10);
    wait_for_records(&server, 0);
    let later = wait_for_removed(&server, 20);
    let by_itself = Store::current().forgets_by_itself();
    assert!(by_itself || later.iter().any(|other| *other != killed), "{later:?}");
}

#[test]
fn damaged_records_are_moved_aside_and_told_of_as_a_notice() {
    let _files = Store::File.only("its files are moved aside");
    let server = eager().start();
    plant(&server, 1, 1);
    plant(&server, 2, 1);
    let damaged = fs::read_dir(server.data_dir()).expect("reading").flatten().find_map(|folder| {
        let is_shard = folder.file_name().len() == 2;
        is_shard.then(|| fs::read_dir(folder.path()).ok()?.next()?.ok()).flatten()
    });
    let damaged = damaged.expect("a record").path();
    fs::write(&damaged, [b'x'; 3000]).expect("damaging a record");
    let line = server.wait_for_log("damaged ones were moved aside or removed");
    assert!(line.contains("[session_store:notice]"), "{line}");
    wait_for_records(&server, 0);
    let aside = server.data_dir().join("corrupt").join(damaged.file_name().expect("a name"));
    assert!(aside.exists());
}

#[test]
fn a_session_is_over_in_time_although_nothing_is_ever_cleaned_up() {
    let server = eager().clear_conf().sessions().conf(
        "SessionCleanupInterval 0\nSessionNotes off\n\
         <Location \"/c\">\nSetHandler probe\n</Location>",
    );
    let server = server.start();
    let mut visitor = server.client();
    let made = ask(&mut visitor, "/c?set:k=v;set_timeout:1000000");
    assert_eq!(made, "set=SUCCESS\nset_timeout=SUCCESS");
    // To look at a session from outside is no visit.
    let look = format!("/c?peek:{}=k", visitor.jar.get(COOKIE).expect("a cookie"));
    let seen = || ask(&mut server.client(), &look);
    wait_value("the end of the session", patience(), seen, |said| said == "peek=NOTFOUND");
    assert_eq!(ask(&mut visitor, "/c?reason;get:k"), "reason=SUCCESS expired\nget=NOTFOUND");
    assert_eq!((records(&server), removed(&server).0), (1, 0));
}
