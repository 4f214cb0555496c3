//! A disk that is full for a while.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::steps::{ask, count, probed, run, visitor};
use crate::support::{Builder, SERVER_USER, Server, ids_of, is_root, skipped};

/// A file system in memory of a few megabytes; unmounted when dropped.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Why there is none, where this process may not mount.
    fn new(size: &str) -> Result<SmallDisk, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = format!("size={size},mode=0755");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &mode, "tmpfs"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Ok(SmallDisk { folder }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(cause) => Err(format!("starting mount: {cause}")),
        }
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

/// With the store of `lines` on a full disk old sessions stay, new ones are refused, and both work again
/// when there is room.
pub fn full_disk_ends_by_itself(lines: &str, start: impl FnOnce(Builder) -> Server) {
    let disk = match SmallDisk::new("8m") {
        Ok(disk) => disk,
        Err(why) => {
            return skipped(&format!("no disk is filled, since none can be mounted: {why}"));
        }
    };
    let data = disk.path().join("data");
    fs::create_dir(&data).expect("a directory");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("setting a mode");
    if is_root() {
        let (user, group) = ids_of(SERVER_USER);
        chown(&data, Some(user), Some(group)).expect("giving it away");
    }
    let conf = format!(
        "SessionEngine on\nSessionDataDir \"{}\"\n{lines}\nSessionMaxSize 1M",
        data.display()
    );
    let server = start(probed().conf(&conf));
    let mut old = visitor(&server);
    disk.fill(0);
    server.expect_log("No space left on device");
    let large = format!("set:text={}", "x".repeat(600));
    let statuses: Vec<u16> = (0..20).map(|_| server.client().send(&ask(&large)).status).collect();
    assert!(statuses.contains(&503), "{lines}: {statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{lines}: {statuses:?}");
    assert_eq!(count(&mut old), 1, "{lines}");
    disk.empty();
    assert_eq!(run(&mut old, "incr:n"), ["incr=SUCCESS 2"], "{lines}");
    assert_eq!(run(&mut visitor(&server), "incr:n"), ["incr=SUCCESS 2"], "{lines}");
    server.finish();
}
