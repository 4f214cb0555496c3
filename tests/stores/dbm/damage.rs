//! Databases that are damaged, foreign, or somebody else's.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::{on, start};
use crate::steps::{COOKIE, ask, run, visitor};
use crate::support::{SERVER_USER, Server, ids_of, is_root};

fn give_to_server(path: &Path) {
    if is_root() {
        let (user, group) = ids_of(SERVER_USER);
        chown(path, Some(user), Some(group)).expect("giving a file away");
    }
}

fn file(server: &Server) -> PathBuf {
    server.data_dir().join("sessions.mdb")
}

type Damage = (&'static str, fn(&Path));

fn cut(path: &Path, length: u64) {
    File::options().write(true).open(path).and_then(|f| f.set_len(length)).expect("cutting");
}

fn garbage(path: &Path, at: u64, length: usize) {
    let file = File::options().write(true).open(path).expect("opening");
    file.write_all_at(&vec![0x9c; length], at).expect("writing");
}

const DAMAGES: &[Damage] = &[
    ("another program's text", |path| {
        fs::write(path, b"This is no database.\n".repeat(1000)).expect("writing");
    }),
    ("one byte", |path| cut(path, 1)),
    ("cut in the first page", |path| cut(path, 100)),
    ("cut behind the first page", |path| cut(path, 4096)),
    ("cut behind the second page", |path| cut(path, 8192)),
    ("zeros", |path| {
        let length = fs::metadata(path).expect("looking").len();
        fs::write(path, vec![0; length as usize]).expect("writing");
    }),
    ("garbage in every page but the first two", |path| {
        let length = fs::metadata(path).expect("looking").len();
        garbage(path, 8192, length as usize - 8192);
    }),
];

#[test]
fn a_damaged_lmdb_file_is_said_and_answered_by_503_until_it_is_moved_away() {
    let mut server = start(on("lmdb"), "lmdb");
    server.expect_log("is damaged");
    for (what, damage) in DAMAGES {
        let mut client = visitor(&server);
        server.stop();
        damage(&file(&server));
        let damaged = fs::read(file(&server)).expect("reading");
        server.restart();
        let children = server.children();
        assert!(!children.is_empty(), "{what}");
        client.send(&ask("get:n")).expect(503);
        client.send(&ask("set:n=1")).expect(503);
        // The file is left alone, and no child ended over it.
        assert_eq!(server.children(), children, "{what}");
        assert!(fs::read(file(&server)).expect("reading") == damaged, "{what}: it was written to");
        fs::rename(file(&server), server.root().join("aside")).expect("moving it away");
        let answer = run(&mut client, "reason;set:n=5;get:n");
        assert_eq!(answer, ["reason=SUCCESS unknown", "set=SUCCESS", "get=SUCCESS 5"], "{what}");
    }
}

#[test]
fn places_say_what_requests_get_while_the_database_is_damaged() {
    let mut server = start(
        on("lmdb").conf("<Location \"/probe\">\nSessionStoreFailure ignore\n</Location>"),
        "lmdb",
    );
    let mut client = visitor(&server);
    let id = client.jar.get(COOKIE).expect("a cookie").to_owned();
    server.stop();
    cut(&file(&server), 8192);
    server.restart();
    server.expect_log("is damaged");
    server.allow_log("serving without a session");
    client.send(&ask("pid")).expect(200);
    assert_eq!(client.jar.get(COOKIE), Some(id.as_str()));
}

#[test]
fn a_damaged_record_gives_a_new_session_and_one_line_and_is_moved_aside() {
    let mut server = start(on("lmdb"), "lmdb");
    let mut client = visitor(&server);
    assert_eq!(run(&mut client, "set:needle=haystack-of-this-test"), ["set=SUCCESS"]);
    server.stop();
    let bytes = fs::read(file(&server)).expect("reading");
    let needle = b"haystack-of-this-test";
    for at in 0..bytes.len() - needle.len() {
        if bytes[at..].starts_with(needle) {
            garbage(&file(&server), at as u64, 4);
        }
    }
    server.restart();
    server.expect_log("a damaged record");
    let answer = run(&mut client, "is_new;reason");
    assert_eq!(answer, ["is_new=SUCCESS 1", "reason=SUCCESS corrupt"]);
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(server.log_count("a damaged record"), 1);
    let aside = fs::read_dir(server.data_dir().join("corrupt")).expect("the folder").count();
    assert_eq!(aside, 1);
}

#[test]
fn a_foreign_file_in_the_place_of_one_of_aprs_types_ends_no_child() {
    for (kind, name) in
        [("GDBM", "sessions.gdbm"), ("DB", "sessions.db"), ("SDBM", "sessions.sdbm.pag")]
    {
        let mut server = start(on(kind), kind);
        let mut client = visitor(&server);
        server.stop();
        let path = server.data_dir().join(name);
        fs::write(&path, b"This is no database.\n".repeat(1000)).expect("writing");
        server.restart();
        server.expect_log("the database");
        // Berkeley DB writes its complaints past httpd's log.
        server.allow_log("BDB");
        client.send(&ask("get:n")).expect(503);
        client.send(&ask("set:n=1")).expect(503);
        let _ = fs::remove_file(server.data_dir().join("sessions.sdbm.dir"));
        fs::remove_file(&path).expect("removing it");
        assert_eq!(run(&mut client, "set:n=5;get:n"), ["set=SUCCESS", "get=SUCCESS 5"], "{kind}");
    }
}

/// What keeps a server with this file from starting.
#[track_caller]
fn refused(kind: &str, name: &str, make: impl FnOnce(&Path), parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("setting a mode");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a directory");
    fs::set_permissions(&data, Permissions::from_mode(0o700)).expect("setting a mode");
    give_to_server(&data);
    make(&data.join(name));
    let conf = format!(
        "SessionDataDir \"{}\"\nSessionEngine on\nSessionStore dbm\nSessionDBMType {kind}",
        data.display()
    );
    let refusal = crate::steps::probed().conf(&conf).try_start().err().expect("a refusal");
    let said = refusal.output + &refusal.log;
    for part in parts.iter().copied().chain([name]) {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
}

#[test]
fn a_file_of_another_user_or_open_to_others_is_refused() {
    for (kind, name) in
        [("lmdb", "sessions.mdb"), ("lmdb", "sessions.mdb-lock"), ("SDBM", "sessions.sdbm.pag")]
    {
        let open = |path: &Path| {
            fs::write(path, b"").expect("a file");
            fs::set_permissions(path, Permissions::from_mode(0o644)).expect("setting a mode");
            give_to_server(path);
        };
        refused(kind, name, open, &["0644", "lets others in"]);
        let outside = |path: &Path| symlink("/etc/passwd", path).expect("a link");
        refused(kind, name, outside, &["is no file of its own"]);
        if is_root() {
            let roots = |path: &Path| {
                fs::write(path, b"").expect("a file");
                fs::set_permissions(path, Permissions::from_mode(0o600)).expect("setting a mode");
            };
            refused(kind, name, roots, &["belongs to user 0", "chown"]);
        }
    }
}

#[test]
fn after_a_power_cut_an_unsynced_database_is_kept_aside_and_a_synced_one_is_used() {
    for (sync, survives) in [("off", false), ("on", true)] {
        let mut server = start(on("lmdb").conf(&format!("SessionSync {sync}")), "lmdb");
        let mut client = visitor(&server);
        let mark = server.data_dir().join("sessions.mdb-unsynced");
        assert_eq!(mark.exists(), !survives);
        server.stop();
        assert!(!mark.exists(), "a server that stops leaves everything on the disk");
        if !survives {
            // What is left when the machine stops first.
            fs::write(&mark, "00000000-0000-0000-0000-000000000000").expect("writing");
            give_to_server(&mark);
        }
        server.restart();
        assert_eq!(server.data_dir().join("sessions.mdb.aside").exists(), !survives);
        if survives {
            assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
        } else {
            server.expect_log("was not synced when the machine stopped");
            assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
            assert_eq!(run(&mut client, "set:n=1"), ["set=SUCCESS"]);
        }
    }
}

#[test]
fn a_graceful_restart_may_change_whether_it_is_synced() {
    let mut server = start(on("lmdb").conf("SessionSync on"), "lmdb");
    let mut client = visitor(&server);
    let mark = server.data_dir().join("sessions.mdb-unsynced");
    assert!(!mark.exists());
    server.reconfigure(|builder| {
        builder.clear_conf().conf(
            "SessionEngine on\nSessionDataDir \"${DATA}\"\nSessionStore dbm\nSessionSync off\n\
             <Location \"/probe\">\nSetHandler probe\n</Location>",
        )
    });
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    assert!(mark.exists());
    assert_eq!(server.log_count("full restart"), 0);
}
