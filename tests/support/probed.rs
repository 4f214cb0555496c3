//! Servers whose pages are lists of session operations, and what is to be seen of their sessions.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::apxs;
use super::builder::Builder;
use super::client::{Client, Request, Response};
use super::server::Server;
use super::stored;
use super::stores::{self, Store};

/// The name of the cookie.
pub const COOKIE: &str = "session_store";

/// Sessions everywhere and nobody waits for one: what is still held when the next request comes is a
/// 503. Below `/p` lists run with notes offered, below `/c` without, below `/s` through the symbols.
pub fn probed() -> Builder {
    Server::builder().load("probe_module", apxs::probe("mod_probe")).sessions().conf(
        "SessionLockTimeout 0\n\
         <Location \"/p\">\nSetHandler probe\n</Location>\n\
         <Location \"/c\">\nSetHandler probe\nSessionNotes off\n</Location>\n\
         <Location \"/s\">\nSetHandler probe-symbols\nSessionNotes off\n</Location>",
    )
}

/// What the lists at `target` answer, without the end of the last line. Fails the test if the answer
/// is not a 200 or brings more than one cookie.
#[track_caller]
pub fn ask(client: &mut Client, target: &str) -> String {
    let response = client.get(target).expect(200);
    one_cookie_at_most(&response);
    response.text().trim_end().to_owned()
}

/// Fails the test if the answer sets more than one cookie.
#[track_caller]
pub fn one_cookie_at_most(response: &Response) {
    let cookies = response.set_cookies().len();
    assert!(cookies <= 1, "{cookies} cookies are set");
}

/// A list as the argument of an operation of another list.
pub fn quoted(list: &str) -> String {
    let escape = |c: char| match c {
        '%' | ';' | ',' | '?' | '&' | '#' | ' ' => format!("%{:02X}", c as u32),
        plain => plain.to_string(),
    };
    list.chars().map(escape).collect()
}

/// The records in the store: sessions, and the ways from old ids to them.
#[track_caller]
pub fn records(server: &Server) -> usize {
    match Store::current() {
        Store::File => record_files(server).len(),
        Store::Example => stored::slots(server).len(),
        Store::Gdbm | Store::Db | Store::Sdbm | Store::Socache => counted(server),
        store => listed(server, store),
    }
}

/// What the server counts in its store.
#[track_caller]
fn counted(server: &Server) -> usize {
    let answer = server.client().send(&Request::get(stores::COUNT).close()).expect(200);
    answer.header("X-Records").and_then(|count| count.parse().ok()).expect("a count")
}

/// What htsession lists, whatever it is.
#[track_caller]
fn listed(server: &Server, store: Store) -> usize {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_htsession"));
    tool.args(store.tool(server)).args(["list", "--all"]);
    let output = tool.output().expect("running htsession");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "htsession: {said}");
    // One line for each record, below a line of titles if there is one.
    String::from_utf8_lossy(&output.stdout).lines().count().saturating_sub(1)
}

/// The files of the records in the data folder.
#[track_caller]
pub fn record_files(server: &Server) -> Vec<PathBuf> {
    let folders = fs::read_dir(server.data_dir()).expect("reading the data folder").flatten();
    let folders = folders.filter(|folder| folder.file_name().len() == 2);
    let files = folders.flat_map(|folder| fs::read_dir(folder.path()).expect("reading a folder"));
    files.flatten().map(|file| file.path()).filter(|path| path.is_file()).collect()
}

/// A file that a list waits for.
pub struct Gate(PathBuf);

impl Gate {
    /// A closed one; its path is what it displays as.
    pub fn of(server: &Server) -> Gate {
        Gate(server.root().join("run/gate"))
    }

    /// Lets lists go on.
    pub fn open(&self) {
        fs::write(&self.0, "").expect("opening the gate");
    }

    /// Makes the next list wait again.
    pub fn close(&self) {
        fs::remove_file(&self.0).expect("closing the gate");
    }
}

impl Display for Gate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}
