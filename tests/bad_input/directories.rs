//! Data directories that cannot be used: the server does not start and says which, whose and why.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::steps::{probed, run, visitor};
use crate::support::{Builder, SERVER_USER, ids_of, is_root, is_root_or_skips};

/// A folder that everybody can pass.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("setting a mode");
    folder
}

/// User and group that serve requests.
fn owner() -> (u32, u32) {
    if is_root() {
        return ids_of(SERVER_USER);
    }
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// A directory of the server's user with this mode.
fn made(folder: &TempDir, mode: u32) -> PathBuf {
    let path = folder.path().join("sessions");
    fs::create_dir(&path).expect("a directory");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("setting a mode");
    let (user, group) = owner();
    chown(&path, Some(user), Some(group)).expect("giving it away");
    path
}

fn in_dir(path: &Path) -> Builder {
    let conf = format!("SessionDataDir \"{}\"\nSessionEngine on", path.display());
    probed().conf(&conf)
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let refusal = in_dir(path).try_start().err().expect("a refusal");
    let said = refusal.output + &refusal.log;
    let path = path.display().to_string();
    for part in parts.iter().copied().chain([path.as_str()]) {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
}

#[test]
fn one_that_its_owner_cannot_write_or_others_can_read_is_refused() {
    for (mode, why) in [
        (0o500, "in which its owner cannot write: chmod 0700"),
        (0o755, "which lets others in: chmod 0700"),
        (0o770, "which lets others in: chmod 0700"),
    ] {
        let folder = folder();
        refused(&made(&folder, mode), &[why, &format!("{mode:04o}")]);
    }
}

#[test]
fn one_of_another_user_is_refused_with_both_owners() {
    if !is_root_or_skips("one_of_another_user_is_refused_with_both_owners") {
        return;
    }
    let folder = folder();
    let path = made(&folder, 0o700);
    chown(&path, Some(0), Some(0)).expect("taking it away");
    let (user, group) = owner();
    let runs_as = format!("belongs to user 0, but the server runs as user {user}");
    refused(&path, &[&runs_as, &format!("chown -R {user}:{group}")]);
}

#[test]
fn one_whose_parent_is_missing_and_one_that_is_no_directory_are_refused() {
    let folder = folder();
    let deep = folder.path().join("missing/sessions");
    let refusal = in_dir(&deep).try_start().err().expect("a refusal");
    let said = refusal.output + &refusal.log;
    assert!(said.contains(&folder.path().join("missing").display().to_string()), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");

    let file = folder.path().join("file");
    fs::write(&file, b"").expect("a file");
    refused(&file, &["is not a directory"]);
}

#[test]
fn a_link_is_refused_also_where_it_leads_to_a_good_one() {
    let folder = folder();
    let path = made(&folder, 0o700);
    let link = folder.path().join("link");
    symlink(&path, &link).expect("a link");
    refused(&link, &["is a symbolic link"]);
    refused(&folder.path().join("link/"), &["is a symbolic link"]);
}

#[test]
fn a_foreign_lock_file_or_corrupt_folder_is_refused() {
    let folder = folder();
    let path = made(&folder, 0o700);
    symlink("/etc/passwd", path.join(".lock")).expect("a link");
    refused(&path, &[".lock", "is not the lock file of this server"]);
    fs::remove_file(path.join(".lock")).expect("removing the link");
    fs::remove_dir(path.join("corrupt")).expect("removing what the first start made");
    symlink("/tmp", path.join("corrupt")).expect("a link");
    refused(&path, &["corrupt", "is a symbolic link"]);
}

#[test]
fn a_missing_one_is_made_for_the_server_alone() {
    let folder = folder();
    let path = folder.path().join("sessions");
    let server = in_dir(&path).start();
    let facts = path.metadata().expect("a directory");
    assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (owner().0, owner().1, 0o700));
    visitor(&server);
    server.finish();
    for entry in fs::read_dir(&path).expect("reading it").flatten() {
        let facts = entry.metadata().expect("looking at it");
        assert_eq!(facts.uid(), owner().0, "{:?}", entry.path());
        assert_eq!(facts.mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn a_relative_one_is_below_the_server_root() {
    let conf = "SessionDataDir relative\nSessionEngine on";
    let server = probed().conf(conf).start();
    visitor(&server);
    assert!(server.root().join("relative/.lock").exists());
}

#[test]
fn a_second_server_on_a_directory_is_refused_with_path_and_process() {
    let folder = folder();
    let path = made(&folder, 0o700);
    let first = in_dir(&path).start();
    let mut client = visitor(&first);
    refused(&path, &[&format!("is in use by process {}", first.pid())]);
    first.reload_graceful();
    refused(&path, &[&format!("is in use by process {}", first.pid())]);
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    first.finish();
    let second = in_dir(&path).start();
    second.finish();
}

#[test]
fn a_configuration_test_beside_a_running_server_changes_nothing() {
    let folder = folder();
    let path = made(&folder, 0o700);
    let server = in_dir(&path).start();
    assert!(in_dir(&path).configtest().passed);
    assert!(in_dir(&folder.path().join("other")).configtest().passed);
    assert!(!folder.path().join("other").exists());
    server.finish();
}
