//! What tests of sessions have in common: servers with the probe in them, and handlers that stop where
//! a test wants them to.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::http2::Connection;
use crate::support::{Builder, Client, Request, Response, Server, Wire, apxs, wait_for};

/// The default name of the cookie.
pub const COOKIE: &str = "session_store";

const PLACES: &str = "<Location \"/probe\">\nSetHandler probe\n</Location>\n\
                      <Location \"/symbols\">\nSetHandler probe-symbols\n</Location>";

/// A script that adds one to the note of the key `n` and answers the sum.
const INCREMENT: &str = "function handle(r)\n\
                           local n = (tonumber(r.notes['session:n']) or 0) + 1\n\
                           r.notes['session:n'] = string.format('%d', n)\n\
                           r:puts(string.format('%d', n))\n\
                           return apache2.OK\n\
                         end\n";

/// A server with the probe: its operations go behind `/probe?`, or behind `/symbols?` to be called
/// through the library's symbols.
pub fn probed() -> Builder {
    Server::builder().load("probe_module", apxs::probe("mod_probe")).conf(PLACES)
}

/// A server with the probe and sessions everywhere.
pub fn sessions() -> Builder {
    probed().sessions()
}

/// Adds scripts in Lua, one of them `/add.lua`: it adds one to the note of the key `n`.
pub fn with_lua(builder: Builder) -> Builder {
    builder.module("lua").script("add.lua", INCREMENT).conf("AddHandler lua-script .lua")
}

/// A request of `ops` that ends its connection: with prefork a kept one keeps a process.
pub fn ask(ops: &str) -> Request {
    Request::get(&format!("/probe?{ops}")).close()
}

/// What the probe answers to `ops`.
#[track_caller]
pub fn run(client: &mut Client, ops: &str) -> Vec<String> {
    lines(&client.send(&ask(ops)).expect(200))
}

/// The lines of an answer.
pub fn lines(response: &Response) -> Vec<String> {
    response.text().lines().map(str::to_owned).collect()
}

/// A visitor of the probe who has a session with `n` = 1 in it.
#[track_caller]
pub fn visitor(server: &Server) -> Client {
    let mut client = server.client();
    assert_eq!(run(&mut client, "set:n=1"), ["set=SUCCESS"]);
    assert!(client.jar.get(COOKIE).is_some(), "no cookie was set");
    client
}

/// The value of `n` as a visitor sees it.
#[track_caller]
pub fn count(client: &mut Client) -> u32 {
    let answer = run(client, "get:n");
    let number = answer[0].strip_prefix("get=SUCCESS ").and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{answer:?}"))
}

/// Files by which a test and the handlers it has under way tell each other how far they are.
pub struct Signals {
    dir: PathBuf,
}

impl Signals {
    /// In the server's root, for the server's user to write.
    pub fn of(server: &Server) -> Signals {
        let dir = server.root().join("signals");
        fs::create_dir_all(&dir).expect("making a folder of signals");
        fs::set_permissions(&dir, Permissions::from_mode(0o777)).expect("opening it");
        Signals { dir }
    }

    /// An operation that gives the signal `name`.
    pub fn give(&self, name: &str) -> String {
        format!("touch:{}", self.dir.join(name).display())
    }

    /// An operation that waits for the signal `name`.
    pub fn await_(&self, name: &str) -> String {
        format!("wait:{}", self.dir.join(name).display())
    }

    /// The file of the signal `name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Gives a signal.
    pub fn raise(&self, name: &str) {
        File::create(self.dir.join(name)).expect("giving a signal");
    }

    /// Waits for a signal.
    #[track_caller]
    pub fn wait(&self, name: &str) {
        let file = self.dir.join(name);
        wait_for(&format!("the signal {name}"), Duration::from_secs(20), || {
            file.exists().then_some(())
        });
    }

    /// Has `client` hold its session, with `ops` done in it, until the signal `end` is given.
    #[track_caller]
    pub fn hold(&self, client: &mut Client, ops: &str, held: &str, end: &str) -> Wire {
        let ops = format!("open:write;{ops};{};{}", self.give(held), self.await_(end));
        let wire = client.open(&Request::get(&format!("/probe?{ops}")));
        self.wait(held);
        wire
    }
}

/// Raises a flag when it is dropped: threads that work until then end where the test fails meanwhile, too.
pub struct Raised<'a>(pub &'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The whole answer on `wire` to a GET.
#[track_caller]
pub fn answer(mut wire: Wire) -> Response {
    wire.response("GET").expect("an answer")
}

/// A connection of a visitor to one process, kept: unlike a [`Client`] it is not replaced by another one
/// when that process dies.
pub struct Kept {
    line: Line,
    cookie: String,
    /// The process.
    pub pid: u32,
}

/// How to get one of the session of a visitor, to a process other than the one given.
pub type Keep = fn(&Client, Option<u32>) -> Kept;

enum Line {
    Wire(Wire),
    /// And the stream that was begun last.
    Streams(Connection, u32),
}

impl Kept {
    /// One of the session of `client`, to a process other than `not`. Which it is is asked without the
    /// session, which may be held.
    #[track_caller]
    pub fn new(client: &Client, not: Option<u32>) -> Kept {
        Kept::on(client, not, || client.connect().map(Line::Wire))
    }

    /// As [`Kept::new`], by HTTP/2: each request is a stream.
    #[track_caller]
    pub fn streams(client: &Client, not: Option<u32>) -> Kept {
        Kept::on(client, not, || Ok(Line::Streams(Connection::new(client)?, 0)))
    }

    #[track_caller]
    fn on(client: &Client, not: Option<u32>, line: impl Fn() -> io::Result<Line>) -> Kept {
        let cookie = client.jar.header().expect("a session");
        wait_for("a connection to another process", Duration::from_secs(20), || {
            let mut kept =
                Kept { line: line().expect("connecting"), cookie: String::new(), pid: 0 };
            kept.ask("pid");
            let text = kept.answer().expect("an answer").join(" ");
            let pid = text.strip_prefix("pid=SUCCESS ").and_then(|pid| pid.parse().ok());
            kept.pid = pid.unwrap_or_else(|| panic!("{text:?}"));
            kept.cookie.clone_from(&cookie);
            (Some(kept.pid) != not).then_some(kept)
        })
    }

    /// One of the session of `client` to any process; an error if none can be had now. Which process it
    /// is is not asked.
    pub fn try_new(client: &Client) -> io::Result<Kept> {
        let cookie = client.jar.header().expect("a session");
        Ok(Kept { line: Line::Wire(client.connect()?), cookie, pid: 0 })
    }

    /// Asks for `ops`.
    pub fn ask(&mut self, ops: &str) {
        self.try_ask(ops).expect("asking");
    }

    /// The same; an error if the connection ended.
    pub fn try_ask(&mut self, ops: &str) -> io::Result<()> {
        let (path, cookie) = (format!("/probe?{ops}"), &self.cookie);
        match &mut self.line {
            Line::Wire(wire) => wire.try_send(
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n")
                    .as_bytes(),
            ),
            Line::Streams(connection, stream) => {
                *stream = connection.get_as(cookie, &path)?;
                Ok(())
            }
        }
    }

    /// Whether the answer, or an end, comes within `patience`.
    pub fn stirs(&mut self, patience: Duration) -> bool {
        match &mut self.line {
            Line::Wire(wire) => wire.stirs(patience),
            Line::Streams(connection, stream) => connection.stirs(*stream, patience),
        }
    }

    /// The lines of the answer; an error if the connection ended.
    pub fn answer(&mut self) -> io::Result<Vec<String>> {
        Ok(match &mut self.line {
            Line::Wire(wire) => lines(&wire.response("GET")?.expect(200)),
            Line::Streams(connection, stream) => connection.answer(*stream)?.expect(200).lines(),
        })
    }
}
