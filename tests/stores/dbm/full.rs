//! A full disk and a full database: old data stays, the caller is told, and it works again by itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::{LIBRARIES, start};
use crate::steps::{ask, count, probed, run, visitor};
use crate::support::{SERVER_USER, ids_of, is_root};

/// A file system in memory of a few megabytes; unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// None where this process may not mount.
    fn new(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = format!("size={size},mode=0755");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &mode, "tmpfs"])
            .arg(folder.path())
            .output();
        mount.ok().filter(|output| output.status.success()).map(|_| SmallDisk { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all room that is left but for `spare` bytes.
    fn fill(&self, spare: u64) {
        let stat = rustix::fs::statvfs(self.path()).expect("asking for room");
        let room = (stat.f_bavail * stat.f_frsize).saturating_sub(spare);
        fs::write(self.path().join("ballast"), vec![1; room as usize]).expect("filling the disk");
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("ballast")).expect("making room");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

#[test]
fn a_full_disk_is_an_outage_that_ends_by_itself_with_every_kind() {
    for kind in LIBRARIES {
        let Some(disk) = SmallDisk::new("8m") else { return };
        let data = disk.path().join("data");
        fs::create_dir(&data).expect("a directory");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("setting a mode");
        if is_root() {
            let (user, group) = ids_of(SERVER_USER);
            chown(&data, Some(user), Some(group)).expect("giving it away");
        }
        let conf = format!(
            "SessionEngine on\nSessionDataDir \"{}\"\nSessionStore dbm\nSessionDBMType {kind}\n\
             SessionMaxSize 1M",
            data.display()
        );
        let server = start(probed().conf(&conf), kind);
        let mut old = visitor(&server);
        disk.fill(0);
        server.expect_log("No space left on device");
        let large = format!("set:text={}", "x".repeat(600));
        let statuses: Vec<u16> =
            (0..20).map(|_| server.client().send(&ask(&large)).status).collect();
        assert!(statuses.contains(&503), "{kind}: {statuses:?}");
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{kind}: {statuses:?}");
        assert_eq!(count(&mut old), 1, "{kind}");
        disk.empty();
        assert_eq!(run(&mut old, "incr:n"), ["incr=SUCCESS 2"], "{kind}");
        assert_eq!(run(&mut visitor(&server), "incr:n"), ["incr=SUCCESS 2"], "{kind}");
        server.finish();
    }
}

#[test]
fn a_full_database_is_an_error_that_names_its_bound_and_old_sessions_stay() {
    let server = probed()
        .conf("SessionEngine on\nSessionStore \"dbm:${ROOT}/place/own.mdb?map=1M\"")
        .start();
    let mut old = visitor(&server);
    server.expect_log("what the database may hold (SessionStore dbm:FILE?map=SIZE)");
    let large = format!("set:text={}", "x".repeat(3000));
    let mut stored = Vec::new();
    loop {
        let mut client = server.client();
        match client.send(&ask(&large)).status {
            200 => stored.push(client),
            500 => break,
            status => panic!("{status}"),
        }
        assert!(stored.len() < 2000, "it never was full");
    }
    assert!(stored.len() > 20);
    assert_eq!(run(&mut old, "incr:n"), ["incr=SUCCESS 2"]);
    for client in &mut stored {
        assert_eq!(run(client, "delete"), ["delete=SUCCESS"]);
    }
    assert_eq!(run(&mut server.client(), &large), ["set=SUCCESS"]);
}
