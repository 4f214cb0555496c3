//! The command line tool: the real program on real stores, with a server beside it and without one.

mod alone;
mod asking;
mod bad_input;
mod beside;
mod manual;
mod moving;
mod obstacles;
mod owners;
mod printing;
mod redis;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::steps::COOKIE;
use crate::support::{Chosen, Client, Reach, Server, Store};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_htsession");

/// Exit codes, as the man page has them.
mod code {
    pub const PROBLEM: i32 = 1;
    pub const USAGE: i32 = 2;
    pub const STORE: i32 = 3;
    pub const NOT_FOUND: i32 = 4;
    pub const IN_USE: i32 = 5;
}

/// A run to be.
struct Tool {
    command: Command,
    input: Vec<u8>,
}

/// What a run said.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The program with these arguments and an environment of nothing but a path.
fn tool<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Tool {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    Tool { command, input: Vec::new() }
}

/// The store of a server as `--store` names it, and what else it takes to name it.
fn store_of(server: &Server) -> (String, Vec<String>) {
    let words = Store::current().tool(server);
    let [_, store, more @ ..] = words.as_slice() else { panic!("{words:?}") };
    (store.clone(), more.to_vec())
}

/// The program on the store of a server.
fn on(server: &Server, arguments: &[&str]) -> Tool {
    let store = Store::current().tool(server);
    tool(store.iter().map(String::as_str).chain(arguments.iter().copied()))
}

impl Tool {
    /// Runs as another user; the tests run as root then.
    fn user(mut self, (user, group): (u32, u32)) -> Tool {
        self.command.uid(user).gid(group);
        self
    }

    fn input(mut self, text: &str) -> Tool {
        self.input = text.as_bytes().to_vec();
        self
    }

    fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Tool {
        self.command.env(name, value);
        self
    }

    #[track_caller]
    fn run(mut self) -> Ran {
        let pipe = Stdio::piped;
        self.command.stdin(pipe()).stdout(pipe()).stderr(pipe());
        let mut child = self.command.spawn().expect("starting htsession");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may not want to read.
        let _ = stdin.write_all(&self.input);
        drop(stdin);
        let output = child.wait_with_output().expect("waiting for htsession");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("htsession prints UTF-8");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs, and fails the test if it does not succeed or complains; what it prints is returned.
    #[track_caller]
    fn succeed(self) -> String {
        let ran = self.run();
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
        ran.out
    }

    /// Runs, and fails the test if it ends with another code or does not say each of `parts`.
    #[track_caller]
    fn fail(self, code: i32, parts: &[&str]) -> Ran {
        let ran = self.run();
        assert_eq!(ran.code, Some(code), "{ran:?}");
        for part in parts {
            assert!(ran.err.contains(part), "{part:?} is not said: {ran:?}");
        }
        ran
    }

    /// As [`Tool::succeed`], for `--json`.
    #[track_caller]
    fn json(self) -> Value {
        serde_json::from_str(&self.succeed()).expect("JSON")
    }
}

/// Keeps a test that looks into its store beside a server to files where the program cannot do that.
fn reached() -> Option<Chosen> {
    let reach = Store::current().reach();
    (reach != Reach::Always).then(|| Store::File.only("htsession does not reach that of the run"))
}

/// The same of a test that looks when the server is stopped.
fn reached_alone() -> Option<Chosen> {
    if Store::current().reach() == Reach::Alone { None } else { reached() }
}

/// Has the program delete beside a server, or be refused where the store does not let it.
#[track_caller]
fn delete(server: &Server, tool: Tool) {
    if Store::current().lets_delete_beside_a_server() {
        tool.succeed();
    } else {
        tool.fail(code::IN_USE, &[&format!("the server {}", server.pid())]);
    }
}

/// The id of a visitor.
fn id(client: &Client) -> String {
    client.jar.get(COOKIE).expect("a cookie").to_owned()
}

/// The hashes of the sessions that `list` shows.
#[track_caller]
fn hashes(server: &Server) -> Vec<String> {
    let listed = on(server, &["list", "--json"]).json();
    let hash = |row: &Value| row["hash"].as_str().expect("a hash").to_owned();
    listed.as_array().expect("a list").iter().map(hash).collect()
}
