//! Restarts: what is kept, what waits for a full one, what is left behind.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::mpm_tests;
use crate::steps::{Kept, Signals, answer, ask, count, probed, run, sessions, visitor};
use crate::support::inspect::{self, Holdings};
use crate::support::{Builder, Client, Mpm, Server, Store, kill, module, wait_value};

const SOON: Duration = Duration::from_secs(2);

/// Adds to `n` from three sides while `work` is done; how often. Over kept connections: thousands of
/// closed ones would make the harness slow, which looks for its own among all of the machine.
fn under_load(client: &Client, work: impl FnOnce()) -> u32 {
    let (stop, added) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = client.clone();
                while !stop.load(Ordering::Relaxed) {
                    client.get("/probe?incr:n").expect(200);
                    added.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        work();
        stop.store(true, Ordering::Relaxed);
    });
    added.into_inner()
}

/// A copy of the module in a folder that the server's user may read.
fn copy_of_the_module(folder: &TempDir, name: &str) -> PathBuf {
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("opening the folder");
    let copy = folder.path().join(name);
    fs::copy(module::path(), &copy).expect("copying the module");
    copy
}

#[test]
fn a_replaced_file_of_the_module_is_told_of_and_waits_for_a_full_restart() {
    let folder = TempDir::new().expect("a folder");
    let file = copy_of_the_module(&folder, "a.so");
    let mut server = sessions().without_session_store().load("session_store_module", &file).start();
    let mut client = visitor(&server);
    server.reload_graceful();
    assert_eq!(server.log_count("the file of the module was replaced"), 0);
    fs::rename(copy_of_the_module(&folder, "new.so"), &file).expect("replacing the module");
    server.reload_graceful();
    server
        .expect_log("the file of the module was replaced, and is loaded at the next full restart");
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    server.restart();
    server.reload_graceful();
    assert_eq!(server.log_count("the file of the module was replaced"), 1);
}

#[test]
fn another_file_of_the_module_does_not_take_over_what_the_first_one_keeps() {
    let folder = TempDir::new().expect("a folder");
    let [first, second] = ["a.so", "b.so"].map(|name| copy_of_the_module(&folder, name));
    let mut server =
        sessions().without_session_store().load("session_store_module", &first).start();
    visitor(&server);
    server.reconfigure(|builder| builder.load_from("session_store_module", &second));
    let ended = catch_unwind(AssertUnwindSafe(|| server.reload_graceful()));
    assert!(ended.is_err(), "it runs with the code of another file");
    server.expect_log("stop httpd and start it");
    server.expect_log("Configuration Failed, exiting");
}

mpm_tests!(
    a_session_is_counted_exactly_across_graceful_restarts_under_load,
    a_request_of_the_old_generation_holds_its_session_against_the_new_one,
    a_hard_restart_keeps_sessions,
);

pub fn a_session_is_counted_exactly_across_graceful_restarts_under_load(mpm: Mpm) {
    let server = sessions().mpm(mpm).ready_for(8).start();
    let mut client = visitor(&server);
    let added = under_load(&client, || {
        for _ in 0..3 {
            server.reload_graceful();
        }
    });
    assert!(added > 20, "{added} is no load");
    assert_eq!(count(&mut client), 1 + added);
}

fn a_request_of_the_old_generation_holds_its_session_against_the_new_one(mpm: Mpm) {
    let server = sessions().mpm(mpm).ready_for(8).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let old = server.accepting();
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let mut doomed = visitor(&server);
    let mut killed = Kept::new(&doomed, None);
    killed.ask(&format!("incr:n;{};{}", signals.give("killed"), signals.await_("never")));
    signals.wait("killed");

    server.reload_graceful();
    let mut waiter = Kept::new(&client, None);
    assert!(!old.contains(&waiter.pid));
    waiter.ask("incr:n");
    assert!(!waiter.stirs(Duration::from_millis(500)), "the old generation's lease was ignored");
    signals.raise("end");
    assert_eq!(answer(holder).expect(200).text().lines().nth(1), Some("incr=SUCCESS 2"));
    assert_eq!(waiter.answer().expect("an answer"), ["incr=SUCCESS 3"]);

    let mut heir = doomed.open(&ask("incr:n"));
    assert!(!heir.stirs(Duration::from_millis(200)));
    kill(killed.pid);
    let start = Instant::now();
    assert_eq!(answer(heir).expect(200).text(), "incr=SUCCESS 2\n");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

fn a_hard_restart_keeps_sessions(mpm: Mpm) {
    let server = sessions().mpm(mpm).start();
    let mut client = visitor(&server);
    server.reload_hard();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert_eq!(server.log_count("session locks by"), 1);
}

#[test]
fn a_hard_restart_frees_what_was_held() {
    let server = sessions().mpm(Mpm::Prefork).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let _held = signals.hold(&mut client, "incr:n", "held", "never");
    server.reload_hard();
    let start = Instant::now();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// With these lines instead of the ones before.
fn configured(builder: Builder, lines: &str) -> Builder {
    builder.clear_conf().conf("<Location \"/probe\">\nSetHandler probe\n</Location>").conf(lines)
}

#[test]
fn what_needs_a_full_restart_is_kept_with_a_warning_until_then() {
    let before = "SessionDataDir \"${DATA}\"\nSessionEngine on\nSessionLocks 8";
    let after = "SessionDataDir \"${ROOT}/other\"\nSessionEngine on\nSessionLocks 16\n\
                 Mutex fcntl session-store";
    let mut server = configured(probed(), before).start();
    let mut client = visitor(&server);
    server.reload_graceful();
    assert_eq!(server.log_count("full restart"), 0);

    server.reconfigure(|builder| configured(builder, after));
    for what in ["SessionLocks changes from 8 to 16", "the data directory changes from"] {
        server.expect_log(what);
    }
    server.expect_log("the mechanism of session locks changes from pthread to fcntl");
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert!(!server.root().join("other").exists());
    assert_eq!(server.log_count("session locks by"), 1);

    server.restart();
    server.wait_for_log("16 session locks by fcntl");
    assert!(server.root().join("other").is_dir());
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(server.log_count("full restart"), 3);
}

#[test]
fn a_mechanism_that_will_be_refused_ends_no_running_server() {
    let mut server = sessions().start();
    server.reconfigure(|builder| builder.conf("Mutex posixsem session-store"));
    server.expect_log("the mechanism of session locks changes from pthread to posixsem");
    let mut client = visitor(&server);
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}

#[test]
fn sessions_can_be_turned_on_and_off_and_on_by_graceful_restarts() {
    let on = &format!("{}SessionEngine on", Store::current().line());
    let mut server = probed().start();
    assert_eq!(run(&mut server.client(), "set:n=1"), ["set=ENOTIMPL"]);
    assert_eq!(server.log_count("session locks by"), 0);
    server.reconfigure(|builder| configured(builder, on));
    server.reload_graceful();
    let mut client = visitor(&server);
    server.reconfigure(|builder| configured(builder, ""));
    server.reload_graceful();
    assert_eq!(run(&mut client, "get:n"), ["get=ENOTIMPL"]);
    server.reconfigure(|builder| configured(builder, on));
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert_eq!(server.log_count("session locks by"), 1);
}

#[test]
fn a_full_restart_finds_the_sessions_of_before() {
    let mut server = sessions().start();
    let mut client = visitor(&server);
    server.restart();
    if Store::current().survives_a_full_restart() {
        assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    } else {
        assert_eq!(run(&mut client, "reason;incr:n"), ["reason=SUCCESS unknown", "incr=SUCCESS 1"]);
    }
}

/// What the parent holds, and how many kilobytes of data it has.
fn parent(server: &Server) -> (Holdings, u64) {
    let holdings = inspect::holdings(server.pid()).expect("the parent");
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its status");
    let size = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let size = size.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
    (holdings, size.expect("its size"))
}

#[test]
fn twenty_graceful_restarts_under_load_leave_nothing_behind() {
    let server = sessions().threads(8).max_workers(16).start();
    let mut client = visitor(&server);
    let (mut first, mut last) = (None, None);
    let added = under_load(&client, || {
        for round in 0..20 {
            server.reload_graceful();
            if round == 4 {
                first = Some(parent(&server));
            }
        }
        last = Some(parent(&server));
    });
    assert_eq!(count(&mut client), 1 + added);
    let ((before, data_before), (after, data_after)) = first.zip(last).expect("both looks");
    assert_eq!(before, after);
    assert!(data_after < data_before + 1024, "{data_before} kB became {data_after} kB");
    // The old generations go once their last requests are done.
    wait_value(
        "the end of old generations",
        Duration::from_secs(10),
        || server.children().len(),
        |count| *count == 2,
    );
    let child = wait_value(
        "all threads of a child",
        Duration::from_secs(10),
        || inspect::holdings(server.children()[0]).expect("a child"),
        |held| held.threads >= 10,
    );
    assert!(child.descriptors < before.descriptors + 20, "{child:?} after {before:?}");
}
