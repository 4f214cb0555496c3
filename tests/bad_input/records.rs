//! Files in the place of a session's that are not what the module has written.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::files::listing;
use crate::steps::{COOKIE, ask, run, sessions, visitor};
use crate::support::probed::record_files;
use crate::support::{Client, SERVER_USER, Server, Store, ids_of, is_root, is_root_or_skips};

/// Why these tests keep to one store.
const WHY: &str = "its files are damaged, replaced and taken away";

const LINE: &str = "a damaged record";

/// Makes the file old: a short one that is young may be in the making.
fn age(path: &Path) {
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    File::open(path).and_then(|file| file.set_modified(hour_ago)).expect("setting a time");
}

fn give_to_server(path: &Path) {
    if is_root() {
        let (user, group) = ids_of(SERVER_USER);
        chown(path, Some(user), Some(group)).expect("giving a file away");
    }
}

/// A visitor and the file of the session.
fn only_visitor(server: &Server) -> (Client, PathBuf) {
    let before = record_files(server);
    let client = visitor(server);
    let mut new = record_files(server);
    new.retain(|path| !before.contains(path));
    let [path] = <[PathBuf; 1]>::try_from(new).expect("one new record");
    (client, path)
}

fn change(path: &Path, work: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("reading a record");
    work(&mut bytes);
    fs::write(path, bytes).expect("writing a record");
    age(path);
}

fn instead(path: &Path, make: impl FnOnce(&Path)) {
    fs::remove_file(path).expect("removing a record");
    make(path);
}

type Damage = (&'static str, fn(&Path));

const DAMAGES: &[Damage] = &[
    ("empty", |path| change(path, Vec::clear)),
    ("one byte", |path| change(path, |bytes| bytes.truncate(1))),
    ("cut in the head", |path| change(path, |bytes| bytes.truncate(40))),
    ("cut in half", |path| change(path, |bytes| bytes.truncate(bytes.len() / 2))),
    ("cut by a byte", |path| change(path, |bytes| bytes.truncate(bytes.len() - 1))),
    ("another head", |path| change(path, |bytes| bytes[0] ^= 1)),
    ("zeros", |path| change(path, |bytes| bytes.fill(0))),
    ("ones", |path| change(path, |bytes| bytes.fill(0xff))),
    ("zeros behind the head", |path| change(path, |bytes| bytes[64..].fill(0))),
    ("one bit in each version", |path| {
        change(path, |bytes| {
            let slots = [128, 128 + (bytes.len() - 128) / 2];
            for slot in slots {
                bytes[slot + 40] ^= 1;
            }
        });
    }),
    ("another program's text", |path| {
        change(path, |bytes| *bytes = b"PHP|s:5:\"hello\";\n".repeat(300));
    }),
    ("a directory", |path| {
        instead(path, |path| {
            fs::create_dir(path).expect("a directory");
            give_to_server(path);
        });
    }),
    ("a link to a file outside", |path| {
        instead(path, |path| symlink("/etc/passwd", path).expect("a link"));
    }),
    ("a link to nowhere", |path| {
        instead(path, |path| symlink("/no/such/file", path).expect("a link"));
    }),
    ("a pipe", |path| {
        instead(path, |path| {
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, path, FileType::Fifo, mode, 0).expect("a pipe");
            give_to_server(path);
        });
    }),
];

#[test]
fn a_damaged_or_foreign_file_gives_a_new_session_and_one_line_and_is_moved_aside() {
    let _files = Store::File.only(WHY);
    let server = sessions().start();
    server.expect_log(LINE);
    for (number, (what, damage)) in DAMAGES.iter().enumerate() {
        let (mut client, path) = only_visitor(&server);
        let id = client.jar.get(COOKIE).expect("a cookie").to_owned();
        damage(&path);

        let answer = run(&mut client, "is_new;reason;get:n");
        assert_eq!(
            answer,
            ["is_new=SUCCESS 1", "reason=SUCCESS corrupt", "get=NOTFOUND"],
            "{what}"
        );
        assert_eq!(server.log_count(LINE), number + 1, "{what}");
        assert!(path.symlink_metadata().is_err(), "{what} is still there");
        let aside = server.data_dir().join("corrupt").join(path.file_name().expect("a name"));
        assert!(aside.symlink_metadata().is_ok(), "{what} was not moved aside");

        // From now on it is an id like any that nobody knows.
        assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"], "{what}");
        assert_eq!(server.log_count(LINE), number + 1, "{what}");
        assert_eq!(run(&mut client, "set:n=2"), ["set=SUCCESS"], "{what}");
        assert_ne!(client.jar.get(COOKIE), Some(id.as_str()), "{what}");
        server.assert_no_secret(&[&id]);
    }
    let outside = fs::read_to_string("/etc/passwd").expect("the file outside");
    assert!(outside.starts_with("root:"));
}

#[test]
fn a_link_to_another_session_is_not_followed() {
    let _files = Store::File.only(WHY);
    let server = sessions().start();
    server.expect_log(LINE);
    let (mut other, target) = only_visitor(&server);
    let (mut client, path) = only_visitor(&server);
    let before = fs::read(&target).expect("a record");
    instead(&path, |path| symlink(&target, path).expect("a link"));
    assert_eq!(run(&mut client, "get:n;set:n=9"), ["get=NOTFOUND", "set=SUCCESS"]);
    assert_eq!(fs::read(&target).expect("a record"), before);
    assert_eq!(run(&mut other, "get:n"), ["get=SUCCESS 1"]);
}

#[test]
fn a_short_file_that_is_young_may_be_in_the_making_and_is_left_alone() {
    let _files = Store::File.only(WHY);
    let server = sessions().start();
    let (mut client, path) = only_visitor(&server);
    fs::write(&path, b"").expect("emptying a record");
    assert_eq!(run(&mut client, "is_new;reason"), ["is_new=SUCCESS 1", "reason=SUCCESS unknown"]);
    assert!(path.exists());
    assert_eq!(server.log_count(LINE), 0);
}

#[test]
fn a_file_in_which_one_version_is_whole_gives_that_version() {
    let _files = Store::File.only(WHY);
    let server = sessions().start();
    let (mut client, path) = only_visitor(&server);
    run(&mut client, "set:n=2");
    // The first version is in slot 0, the second one in slot 1.
    change(&path, |bytes| {
        let slot = 128 + (bytes.len() - 128) / 2;
        bytes[slot + 40] ^= 1;
    });
    assert_eq!(run(&mut client, "get:n;incr:n"), ["get=SUCCESS 1", "incr=SUCCESS 2"]);
    assert_eq!(server.log_count(LINE), 0);
}

#[test]
fn where_it_is_so_configured_a_damaged_file_is_an_error_and_stays() {
    let _files = Store::File.only(WHY);
    let server = sessions().conf("SessionInvalidateCorrupt off").start();
    let (mut client, path) = only_visitor(&server);
    change(&path, |bytes| bytes.fill(0));
    server.expect_log("damaged");
    let before = listing(&server);
    client.send(&ask("get:n")).expect(500);
    client.send(&ask("set:n=1")).expect(500);
    assert_eq!(listing(&server), before);
    assert!(run(&mut server.client(), "set:n=1") == ["set=SUCCESS"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_a_failure_and_no_damage() {
    let _files = Store::File.only(WHY);
    if !is_root_or_skips("a_file_that_cannot_be_opened_is_a_failure_and_no_damage") {
        return;
    }
    let server = sessions().start();
    let (mut client, path) = only_visitor(&server);
    chown(&path, Some(0), Some(0)).expect("taking a file away");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("setting a mode");
    server.expect_log("opening a record");
    client.send(&ask("get:n")).expect(503);
    assert!(path.exists());
    give_to_server(&path);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
}

#[test]
fn a_data_directory_that_goes_away_is_a_failure_until_it_is_back() {
    let _files = Store::File.only(WHY);
    let server = sessions().start();
    let mut client = visitor(&server);
    let (dir, away) = (server.data_dir(), server.root().join("away"));
    for shard in fs::read_dir(&dir).expect("the data directory").flatten() {
        if shard.file_name().len() == 2 {
            fs::rename(shard.path(), &away).expect("moving a folder away");
            fs::write(shard.path(), b"").expect("a file in its place");
            give_to_server(&shard.path());
            server.allow_log("moving a record aside: Not a directory");
            client.send(&ask("get:n")).expect(503);
            fs::remove_file(shard.path()).expect("removing the file");
            fs::rename(&away, shard.path()).expect("moving the folder back");
        }
    }
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
}
