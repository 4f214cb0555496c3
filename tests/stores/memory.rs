//! Sessions in memory: what they outlive, and what happens when there is no more of it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use mod_session_store::core::store::memory::Snapshot;
use mod_session_store::core::store::{Position, Store as _};
use mod_session_store::system::mapping::View;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::behaviour;
use crate::mpm_tests;
use crate::steps::{COOKIE, Kept, ask, count, probed, run, visitor};
use crate::support::{
    Builder, Client, Mpm, SERVER_USER, Server, Store, ids_of, is_root, wait_value,
};

const FILE: &str = "session_store.memory";
/// Values of this length are kept four to a shard of the smallest memory.
const LONG: usize = 5000;

fn sessions(size: &str) -> Builder {
    probed().conf(&format!("SessionStore memory:{size}\nSessionEngine on\nSessionMaxSize 8K"))
}

fn in_dir(path: &Path) -> Builder {
    sessions("1M").conf(&format!("SessionDataDir \"{}\"", path.display()))
}

/// Where the sessions are if no directory is named.
fn file(server: &Server) -> PathBuf {
    server.root().join("run").join(FILE)
}

/// How many records somebody sees who looks at the file from outside.
fn in_memory(path: &Path) -> usize {
    let view = View::open(path).expect("looking at the file");
    let bytes = view.bytes();
    let snapshot = Snapshot::open(view, bytes).expect("a store");
    let mut records = 0;
    let end = snapshot.scan(&Position::default(), &mut |entry| {
        records += usize::from(entry.record.is_ok());
        true
    });
    assert_eq!(end.expect("a scan"), None);
    assert_eq!(snapshot.stats().expect("figures").records, Some(records as u64));
    records
}

/// User and group that serve requests.
fn owner() -> (u32, u32) {
    if is_root() {
        return ids_of(SERVER_USER);
    }
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

mpm_tests!(sessions_outlive_restarts, sessions_outlive_killed_children);

fn sessions_outlive_restarts(mpm: Mpm) {
    let mut server = sessions("2M").mpm(mpm).start();
    let mut client = visitor(&server);
    let mut other = visitor(&server);
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    server.reload_hard();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 3"]);
    server.restart();
    server.wait_for_log("records from before: 2");
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 4"]);
    assert_eq!(run(&mut other.clone(), "delete"), ["delete=SUCCESS"]);
    assert_eq!(in_memory(&file(&server)), 1);
    server.restart();
    server.wait_for_log("records from before: 1");
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 4"]);
    assert_eq!(run(&mut other, "reason"), ["reason=SUCCESS unknown"]);
}

/// What a visitor was told, and how often it asked.
#[derive(Default)]
struct Tally {
    told: AtomicU32,
    asked: AtomicU32,
}

/// Adds to `n` over connections of its own until told to stop; one that breaks is replaced.
fn keep_adding(client: &Client, tally: &Tally, stop: &AtomicBool) {
    let add = |kept: &mut Kept| -> io::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            tally.asked.fetch_add(1, Ordering::Relaxed);
            kept.try_ask("incr:n")?;
            let answer = kept.answer()?;
            let sum = answer[0].strip_prefix("incr=SUCCESS ").and_then(|sum| sum.parse().ok());
            tally.told.store(sum.unwrap_or_else(|| panic!("{answer:?}")), Ordering::Relaxed);
            // Leaves some of the machine to the one who kills.
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut kept) = Kept::try_new(client) {
            // Broken off by a kill: whether that one was counted is not known.
            let _ = add(&mut kept);
        }
    }
}

fn sessions_outlive_killed_children(mpm: Mpm) {
    let server = sessions("1M").mpm(mpm).threads(8).ready_for(16).start();
    let clients: Vec<Client> = (0..3).map(|_| visitor(&server)).collect();
    let tallies: Vec<Tally> = clients.iter().map(|_| Tally::default()).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for (client, tally) in clients.iter().zip(&tallies) {
            scope.spawn(|| keep_adding(client, tally, &stop));
        }
        for _ in 0..6 {
            let before: u32 = tallies.iter().map(|it| it.told.load(Ordering::Relaxed)).sum();
            let told = || tallies.iter().map(|it| it.told.load(Ordering::Relaxed)).sum::<u32>();
            wait_value("more additions", Duration::from_secs(20), told, |sum| *sum > before + 30);
            let children = server.children();
            let child = children.first().expect("a child that serves");
            let pid = i32::try_from(*child).ok().and_then(Pid::from_raw).expect("a pid");
            kill_process(pid, Signal::KILL).expect("killing a child");
        }
        stop.store(true, Ordering::Relaxed);
    });
    for (mut client, tally) in clients.into_iter().zip(tallies) {
        let sum = count(&mut client);
        let (told, asked) = (tally.told.into_inner(), tally.asked.into_inner());
        assert!(told <= sum && sum <= 1 + asked, "{told} {sum} {asked}");
    }
    assert_eq!(in_memory(&file(&server)), 3);
}

mpm_tests!(it_does_what_every_store_does);

fn it_does_what_every_store_does(mpm: Mpm) {
    behaviour::all(behaviour::kept_in("memory:1M").conf("SessionMaxSize 8K"), mpm);
}

#[test]
fn it_passes_the_suite_with_the_mutexes_of_the_server() {
    let server = behaviour::kept_in("memory:32M").conf(behaviour::SUITE).start();
    behaviour::suite(&server, &[]);
}

#[test]
fn sessions_larger_than_a_shard_takes_are_warned_of() {
    let said = |size: &str| sessions("1M").conf(size).configtest().output;
    assert!(
        !said("SessionMaxSize 8K").contains("larger sessions"),
        "{}",
        said("SessionMaxSize 8K")
    );
    assert!(said("SessionMaxSize 32K").contains("SessionMaxSize allows larger sessions"));
}

#[test]
fn the_file_is_the_servers_users_alone_and_as_large_as_was_said() {
    let server = sessions("3M").start();
    visitor(&server);
    let facts = file(&server).metadata().expect("the file");
    assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (owner().0, owner().1, 0o600));
    assert_eq!(facts.len(), 3 << 20);
    assert!(facts.blocks() * 512 >= 3 << 20, "{} blocks: it has holes", facts.blocks());
    server.wait_for_log("which begins empty: it is new");
    assert!(!server.root().join("sessions").join(FILE).exists());
}

#[test]
fn who_looks_from_outside_sees_sessions_and_disturbs_nobody() {
    let server = sessions("1M").start();
    let mut client = visitor(&server);
    visitor(&server);
    for sum in 2..30 {
        assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {sum}")]);
        assert_eq!(in_memory(&file(&server)), 2);
    }
}

#[test]
fn a_data_directory_is_where_they_are_if_there_is_one() {
    let folder = TempDir::new().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("setting a mode");
    let path = folder.path().join("sessions");
    let mut server = in_dir(&path).start();
    let mut client = visitor(&server);
    assert!(path.join(FILE).exists() && !file(&server).exists());
    server.restart();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}

#[track_caller]
fn refused(builder: Builder, parts: &[&str]) {
    let refusal = builder.try_start().err().expect("a refusal");
    let said = refusal.output + &refusal.log;
    for part in parts {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
}

#[test]
fn a_second_server_is_refused_with_path_and_process_and_advice() {
    let folder = TempDir::new().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("setting a mode");
    let path = folder.path().join("sessions");
    let first = in_dir(&path).start();
    let mut client = visitor(&first);
    let used = format!("{} is in use by process {}", path.join(FILE).display(), first.pid());
    refused(in_dir(&path), &[&used, "DefaultRuntimeDir or SessionDataDir"]);
    first.reload_graceful();
    refused(in_dir(&path), &[&used]);
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    first.finish();
    let second = in_dir(&path).start();
    second.wait_for_log("records from before: 1");
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let folder = TempDir::new().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("setting a mode");
    let path = folder.path().join("sessions");
    fs::create_dir(&path).expect("a directory");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("setting a mode");
    chown(&path, Some(owner().0), Some(owner().1)).expect("giving it away");
    let planted = path.join(FILE);

    symlink("/etc/passwd", &planted).expect("a link");
    refused(in_dir(&path), &[FILE, "is a symbolic link"]);
    fs::remove_file(&planted).expect("removing the link");

    fs::write(&planted, "precious").expect("a file");
    chown(&planted, Some(owner().0), Some(owner().1)).expect("giving it away");
    fs::set_permissions(&planted, Permissions::from_mode(0o640)).expect("setting a mode");
    refused(in_dir(&path), &[FILE, "has mode 0640"]);
    if is_root() {
        fs::set_permissions(&planted, Permissions::from_mode(0o600)).expect("setting a mode");
        chown(&planted, Some(0), Some(0)).expect("taking it away");
        let runs_as = format!("belongs to user 0, but the server runs as user {}", owner().0);
        refused(in_dir(&path), &[FILE, &runs_as]);
    }
    assert_eq!(fs::read_to_string(&planted).expect("reading it"), "precious");
}

#[test]
fn more_memory_than_there_is_room_for_is_refused_at_the_start() {
    refused(sessions("1024G"), &["reserving 1099511627776 bytes for", "SessionMemorySize"]);
}

#[test]
fn another_size_waits_for_a_full_restart_and_begins_empty() {
    let mut server = sessions("1M").start();
    let mut client = visitor(&server);
    server.reconfigure(|builder| {
        builder.clear_conf().conf(
            "<Location \"/probe\">\nSetHandler probe\n</Location>\nSessionStore memory\n\
             SessionMemorySize 2M\nSessionEngine on\nSessionMaxSize 8K",
        )
    });
    server.expect_log("SessionMemorySize changes from 1048576 to 2097152 bytes");
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    server.expect_log("begins empty: it was made with 1048576 bytes");
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(run(&mut client, "set:n=1"), ["set=SUCCESS"]);
    assert_eq!(file(&server).metadata().expect("the file").len(), 2 << 20);
}

#[test]
fn another_store_waits_for_a_full_restart() {
    let _files = Store::File.only("the other store is files");
    let mut server = sessions("1M").start();
    let mut client = visitor(&server);
    server.reconfigure(|builder| {
        let places = "<Location \"/probe\">\nSetHandler probe\n</Location>";
        builder.clear_conf().conf(places).sessions()
    });
    server.expect_log("SessionStore changes from memory to file at the next full restart");
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
}

#[test]
fn a_header_that_was_overwritten_is_an_empty_store_and_a_warning() {
    let mut server = sessions("1M").start();
    let mut client = visitor(&server);
    server.stop();
    let written = fs::File::options().write(true).open(file(&server)).expect("opening the file");
    written.write_all_at(&[0x5a; 64], 0).expect("overwriting the header");
    server.expect_log("which begins empty: its header is damaged");
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(run(&mut client, "set:n=1"), ["set=SUCCESS"]);
}

#[test]
fn records_that_were_overwritten_are_new_sessions_and_no_garbage() {
    let mut server = sessions("1M").start();
    let mut client = visitor(&server);
    assert_eq!(run(&mut client, "set:word=plain-text-value"), ["set=SUCCESS"]);
    server.stop();
    let mut bytes = fs::read(file(&server)).expect("reading the file");
    let word = b"plain-text-value";
    let mut found = 0;
    for at in 0..bytes.len() - word.len() {
        if bytes[at..].starts_with(word) {
            bytes[at] = b'P';
            found += 1;
        }
    }
    assert!(found > 0, "the value is nowhere");
    let written = fs::File::options().write(true).open(file(&server)).expect("opening the file");
    written.write_all_at(&bytes, 0).expect("overwriting it");
    server.expect_log("damaged");
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS corrupt"]);
    assert_eq!(run(&mut client, "set:n=1"), ["set=SUCCESS"]);
    assert_eq!(count(&mut client), 1);
    server.assert_no_secret(&["lain-text-value", client.jar.get(COOKIE).expect("a cookie")]);
}

/// Asks for a long session with `ops` in it; the status of the answer.
fn long(client: &mut Client, ops: &str) -> u16 {
    client.send(&ask(&format!("{ops};set:v={}", "x".repeat(LONG)))).status
}

#[test]
fn a_full_memory_refuses_newcomers_serves_those_it_has_and_recovers() {
    let server = sessions("1M").conf("SessionCacheControl off").start();
    server.expect_log("the store is full: SessionMemorySize");
    let mut first = visitor(&server);
    assert_eq!(run(&mut first, "set_user:ann"), ["set_user=SUCCESS"]);
    // All of them end soon, and none may go before.
    let refused = (0..500).find_map(|_| {
        let mut newcomer = server.client();
        let status = long(&mut newcomer, "set_user:bob;set_timeout:4000000");
        (status != 200).then_some((status, newcomer))
    });
    let (status, mut newcomer) = refused.expect("1M is not full");
    assert_eq!(status, 500);
    assert!(newcomer.jar.get(COOKIE).is_none(), "a cookie for a session that is not there");
    assert_eq!(run(&mut first, "incr:n"), ["incr=SUCCESS 2"]);
    assert_eq!(run(&mut first, "user"), ["user=SUCCESS ann"]);
    wait_value(
        "room",
        Duration::from_secs(20),
        || long(&mut newcomer, "set_user:bob;set_timeout:4000000"),
        |status| *status == 200,
    );
    assert_eq!(run(&mut first, "incr:n"), ["incr=SUCCESS 3"]);
}

#[test]
fn a_flood_of_strangers_ends_no_session_of_a_user() {
    let server = sessions("1M").start();
    let mut users: Vec<Client> = (0..40).map(|_| visitor(&server)).collect();
    for user in &mut users {
        assert_eq!(run(user, "set_user:ann"), ["set_user=SUCCESS"]);
    }
    let before = in_memory(&file(&server));
    for _ in 0..400 {
        assert_eq!(long(&mut server.client(), "set:n=1"), 200);
    }
    assert!(in_memory(&file(&server)) < before + 200, "nobody had to go");
    for user in &mut users {
        assert_eq!(run(user, "incr:n;user"), ["incr=SUCCESS 2", "user=SUCCESS ann"]);
    }
}
