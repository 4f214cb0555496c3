//! `SessionStore dbm`, with each kind of database that is here.

mod damage;
mod full;
mod keeps;
mod limits;
mod settings;

use crate::steps::probed;
use crate::support::{Builder, Server};

/// Every kind that `SessionDBMType` knows.
const KINDS: [&str; 5] = ["lmdb", "default", "GDBM", "DB", "SDBM"];

/// Those that are a library of their own: `default` is one of them.
const LIBRARIES: [&str; 4] = ["lmdb", "GDBM", "DB", "SDBM"];

/// What is said of a kind that a killed process can damage.
const FRAGILE: &str = "a process that is killed while it writes can damage the whole file";

/// A server with the probe and a database of this kind.
fn on(kind: &str) -> Builder {
    probed().conf(&format!(
        "SessionEngine on\nSessionDataDir \"${{DATA}}\"\nSessionStore dbm\nSessionDBMType {kind}"
    ))
}

/// What is said of a kind whose records may not be as large as the place allows.
const SMALL: &str = "records of more than 934 bytes are refused";

/// Starts a server with a database of this kind, and expects its warnings.
fn start(builder: Builder, kind: &str) -> Server {
    let server = builder.start();
    if kind != "lmdb" {
        server.expect_log(FRAGILE);
    }
    if kind == "SDBM" {
        server.expect_log(SMALL);
    }
    server
}
