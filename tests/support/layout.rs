//! The folders of one server: configuration, documents, logs, data.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::orphans::{self, Leftover};

/// Whether this process may start a server that changes its user.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this process is root; if not, says that `what` was not tried.
pub fn is_root_or_skips(what: &str) -> bool {
    if !is_root() {
        skipped(&format!("{what}: that takes root"));
    }
    is_root()
}

/// Says, past the test harness, which shows nothing of a test that passes, what was not tried.
pub fn skipped(what: &str) {
    let line = format!("SKIPPED: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("saying so");
}

/// User and group that serve requests, as in `/etc/passwd` of Debian.
pub const SERVER_USER: &str = "www-data";

/// A server root of its own, removed when dropped unless it was kept.
pub struct Layout {
    folder: TempDir,
}

impl Layout {
    /// Makes the folders. Every user can pass them; the data folder is the server's user's alone.
    pub fn new() -> Layout {
        let folder = tempfile::Builder::new().prefix("session_store-").tempdir();
        let layout = Layout { folder: folder.expect("making a server root") };
        orphans::remember(&layout.leftover());
        allow(layout.root(), 0o755);
        for name in ["conf", "docs", "logs", "run", "modules", "sessions"] {
            let path = layout.root().join(name);
            fs::create_dir(&path).expect("making a folder of the server root");
            allow(&path, 0o755);
        }
        allow(&layout.data_dir(), 0o700);
        if is_root() {
            let (user, group) = ids_of(SERVER_USER);
            chown(layout.data_dir(), Some(user), Some(group)).expect("giving the data folder away");
        }
        layout.document("index.html", b"It works\n", 0o644);
        layout
    }

    /// The server root.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Where sessions are to be kept: `sessions`, 0700, the server's user's.
    pub fn data_dir(&self) -> PathBuf {
        self.root().join("sessions")
    }

    /// Writes a file below `docs`.
    pub fn document(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.root().join("docs").join(name);
        let folder = path.parent().expect("a document has a folder");
        fs::create_dir_all(folder).expect("making a folder of documents");
        fs::write(&path, content).expect("writing a document");
        allow(&path, mode);
    }

    /// Lets the folder stay and tells where it is.
    pub fn keep(&mut self) -> PathBuf {
        orphans::forget(&self.leftover());
        self.folder.disable_cleanup(true);
        self.root().to_owned()
    }

    fn leftover(&self) -> Leftover {
        Leftover::Folder(self.root().to_owned())
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        orphans::forget(&self.leftover());
    }
}

/// Sets the mode whatever the umask is.
fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("setting a mode");
}

/// User and group id of `name` in `/etc/passwd`.
pub fn ids_of(name: &str) -> (u32, u32) {
    let table = fs::read_to_string("/etc/passwd").expect("reading /etc/passwd");
    let row = table.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    let row = row.unwrap_or_else(|| panic!("there is no user {name}"));
    let mut fields = row.split(':').skip(1).map(|field| field.parse().expect("a number"));
    (fields.next().expect("a user id"), fields.next().expect("a group id"))
}
