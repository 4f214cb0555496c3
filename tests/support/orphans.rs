//! Cleaning up after a test run that was killed.
//!
//! One small shell per run holds a list of what the run has started and reads changes to it from a
//! pipe. When the pipe closes the run is over; whatever is still on the list is ended and removed.
//! Nothing a run can suffer (a kill, ctrl-C, an abort) leaves the pipe open.

use std::fmt;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const GUARD: &str = r#"
trap '' HUP INT TERM
list=
while read -r sign item; do
    rest=
    for known in $list; do [ "$known" = "$item" ] || rest="$rest $known"; done
    list=$rest
    [ "$sign" = - ] || list="$list $item"
done
[ -n "$list" ] || exit 0
for item in $list; do case $item in group:*) kill -s TERM -- "-${item#group:}" ;; esac; done
sleep 2
for item in $list; do
    case $item in
        group:*) kill -s KILL -- "-${item#group:}" ;;
        container:*) docker rm --force --volumes "${item#container:}" ;;
        folder:*) rm -rf -- "${item#folder:}" ;;
    esac
done
"#;

/// Something to be cleaned up if this process cannot.
#[derive(Debug, Clone)]
pub enum Leftover {
    /// A process group, by the pid of its leader.
    Group(u32),
    /// A container, by name.
    Container(String),
    /// A folder; no white space in its path.
    Folder(PathBuf),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leftover::Group(leader) => write!(f, "group:{leader}"),
            Leftover::Container(name) => write!(f, "container:{name}"),
            Leftover::Folder(path) => write!(f, "folder:{}", path.display()),
        }
    }
}

/// Has `what` cleaned up at the latest when this process ends.
pub fn remember(what: &Leftover) {
    tell(&format!("+ {what}\n"));
}

/// `what` is gone or meant to stay.
pub fn forget(what: &Leftover) {
    tell(&format!("- {what}\n"));
}

fn tell(line: &str) {
    static SHELL: OnceLock<Mutex<Child>> = OnceLock::new();
    let shell = SHELL.get_or_init(|| Mutex::new(start()));
    let mut shell = shell.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = shell.stdin.as_mut().expect("a piped stdin");
    pipe.write_all(line.as_bytes()).expect("telling the guard of orphans");
}

/// It has a process group of its own, so that what ends this one does not end it.
fn start() -> Child {
    Command::new("sh")
        .args(["-c", GUARD])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("starting the guard of orphans")
}
