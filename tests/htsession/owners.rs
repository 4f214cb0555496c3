//! Whoever starts it: root becomes the owner of the data, others see what they may see.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use super::alone::copying;
use super::{code, hashes, on, reached_alone, store_of, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::{SERVER_USER, Store, ids_of, is_root, is_root_or_skips};

/// A user that has nothing to do with the server.
const STRANGER: (u32, u32) = (65534, 65534);

/// Every file and directory below `path`, with its user.
fn users(path: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("reading a directory").flatten() {
        let facts = entry.metadata().expect("looking at a file");
        found.push((entry.path().display().to_string(), facts.uid()));
        if facts.is_dir() {
            found.extend(users(&entry.path()));
        }
    }
    found
}

#[test]
fn root_leaves_nothing_that_the_server_cannot_open() {
    let _reached = reached_alone();
    if !is_root_or_skips("root_leaves_nothing_that_the_server_cannot_open") {
        return;
    }
    let mut server = sessions().start();
    let mut client = visitor(&server);
    run(&mut client, "set_user:ann");
    server.stop();
    let to = server.root().join("copied");
    let store = format!("file:{}", to.display());
    copying(&server, &store, &[]).succeed();
    on(&server, &["purge"]).succeed();
    on(&server, &["check"]).succeed();
    let (uid, _) = ids_of(SERVER_USER);
    for (path, user) in users(&to).into_iter().chain(users(&server.data_dir())) {
        assert_eq!(user, uid, "{path}");
    }
    server.restart();
    assert_eq!(run(&mut client, "user"), ["user=SUCCESS ann"]);
}

#[test]
fn the_servers_user_does_what_root_does_and_a_stranger_nothing() {
    let _files =
        Store::File.only("what it does is done beside a server, by who may open its files");
    if !is_root_or_skips("the_servers_user_does_what_root_does_and_a_stranger_nothing") {
        return;
    }
    let server = sessions().start();
    visitor(&server);
    fs::set_permissions(server.root(), Permissions::from_mode(0o755)).expect("letting them pass");
    let hash = hashes(&server).remove(0);
    let user = ids_of(SERVER_USER);
    let listed = on(&server, &["list", "--json"]).user(user).json();
    assert_eq!(listed[0]["hash"], hash);
    for command in
        [vec!["list"], vec!["show", &hash], vec!["delete", &hash], vec!["purge"], vec!["check"]]
    {
        on(&server, &command).user(STRANGER).fail(code::STORE, &["Permission denied"]);
    }
    on(&server, &["delete", &hash]).user(user).succeed();
    server.stop();
    on(&server, &["purge"]).user(user).succeed();
}

#[test]
fn a_link_in_the_place_of_the_directory_is_not_followed() {
    let _files = Store::File.only("its directory is replaced");
    let server = sessions().start();
    visitor(&server);
    let link = server.root().join("run/link");
    symlink(server.data_dir(), &link).expect("a link");
    let store = format!("file:{}", link.display());
    for command in ["list", "check", "purge", "init"] {
        tool(["--store", &store, command]).fail(code::STORE, &["is a symbolic link"]);
    }
}

#[test]
fn what_the_servers_user_plants_leads_nowhere() {
    let _files = Store::File.only("links are planted among its files");
    let server = sessions().start();
    let mut client = visitor(&server);
    let victim = server.root().join("victim");
    fs::create_dir(&victim).expect("a directory");
    let kept = victim.join("c".repeat(64));
    fs::write(&kept, "precious").expect("a file");
    let data = server.data_dir();
    let record = "c".repeat(64);
    symlink(&victim, data.join("cc")).expect("a link to a directory");
    fs::create_dir(data.join("dd")).expect("a directory");
    if is_root() {
        let (uid, gid) = ids_of(SERVER_USER);
        chown(data.join("dd"), Some(uid), Some(gid)).expect("giving it away");
    }
    symlink(&kept, data.join("dd").join("d".repeat(64))).expect("a link to a file");

    on(&server, &["delete", &record]).run();
    on(&server, &["delete", &"d".repeat(64)]).run();
    on(&server, &["delete", "--all", "--yes"]).run();
    assert_eq!(fs::read_to_string(&kept).expect("it stays"), "precious");
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
}

#[test]
fn a_directory_of_another_user_than_httpd_runs_as_is_refused() {
    let _files = Store::File.only("its directory is somebody else's");
    if !is_root_or_skips("a_directory_of_another_user_than_httpd_runs_as_is_refused") {
        return;
    }
    let server = sessions().start();
    let path = server.root().join("others");
    fs::create_dir(&path).expect("a directory");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("setting a mode");
    chown(&path, Some(STRANGER.0), Some(STRANGER.1)).expect("giving it away");
    let store = format!("file:{}", path.display());
    // By itself it is somebody's: root becomes that user.
    tool(["--store", &store, "list"]).succeed();
    let (uid, _) = ids_of(SERVER_USER);
    let said = format!("belongs to user {}, but the server runs as user {uid}", STRANGER.0);
    tool(["--store", &store, "init", "--owner", SERVER_USER]).fail(code::STORE, &[&said]);
    let conflict = tool(["copy", &store_of(&server).0, &store]);
    conflict.fail(code::STORE, &["belong to the users"]);
}
