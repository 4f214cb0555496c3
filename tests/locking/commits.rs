//! A child killed in the middle of a commit, where it holds the session and the mutex of its slot. There
//! is one slot: every other session needs that mutex too.

use std::fs;
use std::time::{Duration, Instant};

use crate::mpm_tests;
use crate::steps::{Keep, Kept, Signals, count, run, sessions, visitor};
use crate::support::probed::record_files;
use crate::support::{Builder, Client, Mpm, Server, Store, kill, parallel};

/// Longest time until others go on.
const SOON: Duration = Duration::from_secs(2);

/// Where a commit is stopped.
struct Moment {
    /// The system call and how much of it is done.
    call: &'static str,
    /// What the request does to a session in which `n` is 1.
    ops: String,
    /// What the next request of the session gets.
    then: &'static str,
}

fn moments() -> Vec<Moment> {
    let moment = |call, ops: &str, then| Moment { call, ops: ops.to_owned(), then };
    let grow = format!("incr:n;set:long={}", long());
    vec![
        moment("pwrite 0", "incr:n", "incr=SUCCESS 2"),
        moment("pwrite 50", "incr:n", "incr=SUCCESS 2"),
        moment("pwrite 100", "incr:n", "incr=SUCCESS 3"),
        moment("pwrite 50", &grow, "incr=SUCCESS 2"),
        moment("pwrite 100", &grow, "incr=SUCCESS 2"),
        moment("unlinkat 100", &grow, "incr=SUCCESS 3"),
        moment("unlinkat 100", "delete", "incr=SUCCESS 1"),
    ]
}

/// More than the file of a small session has room for.
fn long() -> String {
    "x".repeat(3000)
}

mpm_tests!(a_child_killed_in_a_commit_holds_up_nobody_and_leaves_a_whole_version);

pub fn a_child_killed_in_a_commit_holds_up_nobody_and_leaves_a_whole_version(mpm: Mpm) {
    killed_in_commits(|| sessions().mpm(mpm).threads(8).ready_for(8), Kept::new);
}

/// With a server that `builder` makes.
pub fn killed_in_commits(builder: impl FnOnce() -> Builder, keep: Keep) {
    let _files = Store::File.only("it is stopped in its system calls");
    let builder = builder().start_servers(4).preload("stop");
    let server = builder.locks(1).conf("SessionLockWaiters 16 100%").start();
    // httpd finds it odd that one child after the other is killed.
    server.allow_log("children are killed successively");
    let signals = Signals::of(&server);
    let mut stranger = visitor(&server);
    let moments = moments();
    for (round, moment) in moments.iter().enumerate() {
        killed_at(&server, &signals, &mut stranger, moment, keep);
        assert_eq!(count(&mut stranger), 2 + u32::try_from(round).expect("a small number"));
    }
    // All children, the new ones among them, take turns as before.
    parallel(4, |_| run(&mut stranger.clone(), "incr:n"));
    assert_eq!(count(&mut stranger) as usize, 1 + moments.len() + 4);
}

#[track_caller]
fn killed_at(
    server: &Server,
    signals: &Signals,
    stranger: &mut Client,
    moment: &Moment,
    keep: Keep,
) {
    let what = format!("{} in {:.20}", moment.call, moment.ops);
    let mut client = visitor(server);
    let mut holder = keep(&client, None);
    let mut heir = keep(&client, Some(holder.pid));
    let mut other = keep(stranger, Some(holder.pid));
    let (order, stopped) = (signals.file("order"), signals.file("stopped"));
    fs::write(&order, format!("{} {}", holder.pid, moment.call)).expect("giving an order");
    holder.ask(&moment.ops);
    signals.wait("stopped");
    fs::remove_file(order).expect("taking the order back");
    fs::remove_file(stopped).expect("taking the signal back");

    heir.ask("incr:n");
    other.ask("incr:n");
    assert!(!heir.stirs(Duration::from_millis(150)), "{what}: the session is not held");
    assert!(!other.stirs(Duration::from_millis(10)), "{what}: the mutex is not held");
    kill(holder.pid);
    let start = Instant::now();
    assert_eq!(heir.answer().expect("an answer"), [moment.then], "{what}");
    assert!(other.answer().expect("an answer")[0].starts_with("incr=SUCCESS"), "{what}");
    assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
    assert!(holder.answer().is_err(), "{what}");
    // Nothing is left held, nor half made.
    let ops = format!("trylock;set:long={};unlock", long());
    let done = ["trylock=SUCCESS", "set=SUCCESS", "unlock=SUCCESS"];
    assert_eq!(run(&mut client, &ops), done, "{what}");
    let files = record_files(server);
    assert!(files.iter().all(|file| file.extension().is_none()), "{what}: {files:?}");
}
