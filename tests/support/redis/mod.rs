//! Real Redis servers of a test's own, on loopback; they end with it. Used by the tests of the core too.

mod cluster;
mod sentinel;
mod tls;

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::cluster::RedisCluster;
pub use self::sentinel::RedisWithSentinels;
pub use self::tls::Certificates;
use super::orphans::{self, Leftover};
use super::ports::Port;
use super::wait::{wait_for, wait_value};

/// Longest wait for a server to come up or to agree with others.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A Redis server.
pub struct Redis {
    folder: TempDir,
    port: Port,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl Redis {
    /// A server with nothing in it, which writes nothing to the disk.
    #[track_caller]
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// The same with further arguments.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Redis {
        Redis::prepare(Port::reserve(), arguments).started()
    }

    /// A server on this port.
    #[track_caller]
    pub fn start_on(port: Port) -> Redis {
        Redis::prepare(port, &[]).started()
    }

    /// A server that speaks TLS alone, with a certificate for 127.0.0.1; it takes clients with one of the
    /// same authority and without.
    #[track_caller]
    pub fn start_by_tls(certificates: &Certificates) -> Redis {
        let text = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let files = [certificates.cert(), certificates.key(), certificates.ca()].map(text);
        let port = Port::reserve();
        let number = port.number().to_string();
        let [cert, key, ca] = &files;
        let redis = Redis::prepare(
            port,
            &[
                ["--port", "0", "--tls-port", &number, "--tls-cert-file", cert].as_slice(),
                &[
                    "--tls-key-file",
                    key,
                    "--tls-ca-cert-file",
                    ca,
                    "--tls-auth-clients",
                    "optional",
                ],
            ]
            .concat(),
        );
        redis.started()
    }

    #[track_caller]
    fn started(self) -> Redis {
        self.launch();
        self.wait_until_it_answers();
        self
    }

    /// One that is not started yet.
    fn prepare(port: Port, arguments: &[&str]) -> Redis {
        Redis {
            folder: tempfile::Builder::new()
                .prefix("session_store-redis-")
                .tempdir()
                .expect("making a folder for redis-server"),
            port,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            child: Mutex::new(None),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its address for `SessionStore`.
    pub fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Its folder; its socket, if it has one, and its log are there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn launch(&self) {
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.expect("opening the log of redis-server");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port().to_string()]);
        self.spawn(command.args(["--save", "", "--appendonly", "no"]).args(&self.arguments), log);
    }

    fn spawn(&self, command: &mut Command, log: File) {
        let child = command
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("opening the log again"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("starting redis-server; make deps installs it");
        orphans::remember(&Leftover::Group(child.id()));
        *self.child() = Some(child);
    }

    fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    #[track_caller]
    fn wait_until_it_answers(&self) {
        let answers = || {
            let answer = self.command().arg("PING").output().expect("running redis-cli");
            let text = [answer.stdout, answer.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            ["PONG", "NOAUTH", "Error: Server closed"]
                .iter()
                .any(|said| text.contains(said))
                .then_some(())
        };
        let log = || std::fs::read_to_string(self.log()).unwrap_or_default();
        let tls = self.arguments.iter().any(|argument| argument == "--tls-port");
        if tls {
            wait_for("redis-server by TLS", PATIENCE, || {
                log().contains("Ready to accept connections").then_some(())
            });
        } else {
            wait_for(&format!("redis-server; its log:\n{}", log()), PATIENCE, answers);
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port().to_string()]).env_remove("REDISCLI_AUTH");
        command
    }

    /// What `redis-cli` answers to a command, without the end of the last line.
    #[track_caller]
    pub fn cli(&self, words: &[&str]) -> String {
        let output = self.command().args(words).output().expect("running redis-cli");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Its keys that fit a pattern.
    #[track_caller]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        self.cli(&["KEYS", pattern])
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Ends it at once, and with it what was in it.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let id = child.id();
            child.kill().expect("killing redis-server");
            child.wait().expect("waiting for redis-server");
            orphans::forget(&Leftover::Group(id));
        }
    }

    /// Starts it again, with nothing in it.
    #[track_caller]
    pub fn start_again(&self) {
        assert!(self.child().is_none(), "it runs");
        self.launch();
        self.wait_until_it_answers();
    }

    /// Stops it without ending it: connections stay and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child().as_ref().map(Child::id).expect("it was ended");
        let pid = Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("signalling redis-server");
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
