//! A httpd that the harness starts itself, as the leader of a process group of its own.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal as Number, kill_process, kill_process_group};

use super::apxs;
use super::inspect;
use super::layout::Layout;
use super::orphans::{self, Leftover};
use super::target::{Httpd, Signal};

/// See [`super::Target::Host`].
pub struct Process {
    root: PathBuf,
    port: u16,
    preload: Option<PathBuf>,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// One that is not started yet, with the library `preload` before all others.
    pub fn new(root: &Path, port: u16, preload: Option<&Path>) -> Process {
        let preload = preload.map(Path::to_owned);
        Process { root: root.to_owned(), port, preload, child: Mutex::new(None) }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group's leader, also after it ended.
    fn leader(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }
}

/// httpd with `-f conf/httpd.conf` below `root` and nothing of this process's environment.
pub fn command(root: &Path) -> Command {
    let mut command = Command::new(apxs::httpd());
    command
        .arg("-f")
        .arg(root.join("conf/httpd.conf"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .current_dir(root)
        .stdin(Stdio::null())
        .process_group(0);
    command
}

impl Httpd for Process {
    fn start(&self, _: &Layout) {
        let output =
            OpenOptions::new().create(true).append(true).open(self.root.join("logs/output"));
        let output = output.expect("opening the output file");
        let errors = output.try_clone().expect("opening the output file again");
        let mut command = command(&self.root);
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        let child = command
            .arg("-DFOREGROUND")
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("starting httpd");
        orphans::remember(&Leftover::Group(child.id()));
        *self.child() = Some(child);
    }

    fn refresh(&self, _: &Layout) {}

    fn runs(&self) -> bool {
        self.child().as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        vec![(Ipv4Addr::LOCALHOST, self.port).into()]
    }

    fn pid(&self) -> Option<u32> {
        if self.runs() { self.leader() } else { None }
    }

    fn signal(&self, signal: Signal) {
        let number = match signal {
            Signal::Graceful => Number::USR1,
            Signal::Restart => Number::HUP,
            Signal::Stop => Number::TERM,
        };
        // Running was just asked and nobody else waits for the child: the pid is still its own.
        if let Some(pid) = self.pid().and_then(as_pid) {
            kill_process(pid, number).expect("signalling httpd");
        }
    }

    fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.root.join(file)).unwrap_or_default()
    }

    fn output(&self) -> String {
        String::from_utf8_lossy(&self.read("logs/output")).into_owned()
    }

    fn kill(&self) {
        if self.is_gone() {
            return;
        }
        if let Some(leader) = self.leader().and_then(as_pid) {
            // Refused only if the last process ended since.
            let _ = kill_process_group(leader, Number::KILL);
        }
        if let Some(child) = self.child().as_mut() {
            child.wait().expect("waiting for httpd");
        }
    }

    fn is_gone(&self) -> bool {
        let gone = !self.runs() && self.leader().is_none_or(|pid| inspect::group(pid).is_empty());
        if let (true, Some(leader)) = (gone, self.leader()) {
            orphans::forget(&Leftover::Group(leader));
        }
        gone
    }
}

/// Ends a process by SIGKILL, as a person or the kernel would.
#[track_caller]
pub fn kill(pid: u32) {
    let pid = as_pid(pid).expect("a pid");
    kill_process(pid, Number::KILL).expect("killing a child of a server");
}

fn as_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
