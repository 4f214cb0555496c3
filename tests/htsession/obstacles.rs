//! A record that nothing can be done to is told of, and keeps no other.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

use super::{code, hashes, on, reached};
use crate::steps::{run, sessions, visitor};
use crate::support::{SERVER_USER, Server, Store, ids_of, is_root};

fn give_to_server(path: &Path) {
    if is_root() {
        let (user, group) = ids_of(SERVER_USER);
        chown(path, Some(user), Some(group)).expect("giving it away");
    }
}

/// Puts a folder that is not empty in the place of a record, in front of all others.
fn plant_folder(server: &Server) -> String {
    let hash = "0".repeat(64);
    let shard = server.data_dir().join("00");
    let place = shard.join(&hash);
    for path in [&shard, &place, &place.join("inside")] {
        if !path.exists() {
            fs::DirBuilder::new().mode(0o700).create(path).expect("making a folder");
            give_to_server(path);
        }
    }
    hash
}

#[test]
fn all_sessions_are_deleted_but_for_the_one_that_cannot_be() {
    let _files = Store::File.only("a folder is planted among its files");
    let server = sessions().start();
    let mut clients = [visitor(&server), visitor(&server)];
    let planted = plant_folder(&server);
    let ran = on(&server, &["delete", "--all", "--yes"]).fail(code::PROBLEM, &[]);
    assert!(ran.out.starts_with(&planted), "{ran:?}");
    assert!(ran.out.ends_with("\n2 deleted, 1 could not be deleted\n"), "{ran:?}");
    for client in &mut clients {
        assert_eq!(run(client, "reason"), ["reason=SUCCESS unknown"]);
    }
    let ran = on(&server, &["delete", "--all", "--yes", "--json"]).fail(code::PROBLEM, &[]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&json["deleted"], &json["failed"][0]["hash"]), (&0.into(), &planted.into()));
}

#[test]
fn a_record_that_cannot_be_read_is_told_by_a_purge() {
    let _files = Store::File.only("a file is made unreadable");
    let server = sessions().start();
    visitor(&server);
    let kept = hashes(&server).remove(0);
    visitor(&server);
    server.stop();
    let file = server.data_dir().join(&kept[..2]).join(&kept);
    if is_root() {
        chown(&file, Some(0), Some(0)).expect("taking it");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o000)).expect("setting a mode");
    let ran = on(&server, &["purge"]).fail(code::PROBLEM, &[]);
    let said = "0 removed, 0 damaged ones set aside, 2 left, 1 could not be read or removed\n";
    assert_eq!(ran.out, said);
    let ran = on(&server, &["purge", "--older-than", "1h", "--json"]).fail(code::PROBLEM, &[]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&json["left"], &json["failed"]), (&2.into(), &1.into()), "not counted twice");
}

#[test]
fn a_purge_that_met_no_obstacle_succeeds() {
    let _reached = reached();
    let server = sessions().start();
    visitor(&server);
    server.stop();
    let purged = on(&server, &["purge", "--json"]).json();
    assert_eq!((&purged["left"], &purged["failed"]), (&1.into(), &0.into()));
}
