//! Visitors go on after their sessions were moved to another store and the configuration was changed.

use std::fs;

use super::alone::owner;
use super::{Tool, code, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::{Client, SERVER_USER, Server, Store, apxs, ids_of, is_root};

/// A store of a server's: its lines of configuration, its name for the tool, more arguments.
pub struct Kind {
    pub conf: String,
    pub store: String,
    pub more: Vec<String>,
}

pub fn files(server: &Server, name: &str) -> Kind {
    let dir = server.root().join(name).display().to_string();
    let conf = format!("SessionDataDir \"{dir}\"");
    Kind { conf, store: format!("file:{dir}"), more: Vec::new() }
}

fn memory(server: &Server) -> Kind {
    let dir = server.root().join("run").display().to_string();
    let conf = "SessionStore memory:8M".to_owned();
    Kind { conf, store: "memory:8M".to_owned(), more: vec!["--data-dir".to_owned(), dir] }
}

pub fn dbm(server: &Server, kind: &str) -> Kind {
    let file = server.root().join("data").join(format!("db.{kind}")).display().to_string();
    let store = format!("dbm:{file}");
    let conf = format!("SessionStore {store}\nSessionDBMType {kind}");
    Kind { conf, store, more: vec!["--dbm-type".to_owned(), kind.to_owned()] }
}

impl Kind {
    pub fn tool(&self, arguments: &[&str]) -> Tool {
        let store = ["--store", &self.store].into_iter();
        tool(store.chain(self.more.iter().map(String::as_str)).chain(arguments.iter().copied()))
    }

    /// Copies everything to another kind; returns how many.
    pub fn copy_to(&self, to: &Kind) -> u64 {
        let more = self.more.iter().chain(&to.more).map(String::as_str);
        let words = ["copy", &self.store, &to.store, "--json"].into_iter().chain(more);
        let counts = tool(words.chain(owner())).json();
        assert_eq!((&counts["too_large"], &counts["unreadable"]), (&0.into(), &0.into()));
        counts["copied"].as_u64().expect("a count")
    }

    /// Lets the server use it.
    pub fn serve(&self, server: &mut Server) {
        let places = "<Location \"/probe\">\nSetHandler probe\n</Location>\nSessionEngine on\n";
        let conf = format!("{places}{}", self.conf);
        server.reconfigure(|builder| builder.clear_conf().conf(&conf));
        server.restart();
    }
}

const FACTS: &str = "get:cart;get_bytes:raw;user;created;timeout;id;is_new";

pub fn shopper(server: &Server) -> Client {
    let mut client = visitor(server);
    run(&mut client, "set_user:ann;set:cart=apples;set_bytes:raw=%00%ff;set_timeout:900000000");
    client
}

#[track_caller]
pub fn moves(from: impl Fn(&Server) -> Kind, to: impl Fn(&Server) -> Kind) {
    let mut server = sessions().start();
    let (from, to) = (from(&server), to(&server));
    server.allow_log("can damage the whole file");
    server.allow_log("SessionMaxSize allows larger sessions than this store takes");
    server.stop();
    from.serve(&mut server);
    let mut clients = [shopper(&server), visitor(&server)];
    let before = clients.each_mut().map(|client| run(client, FACTS));
    server.stop();
    let copied = from.copy_to(&to);
    assert!((2..=3).contains(&copied), "{copied}: two sessions and the way from an old id");
    assert_eq!(from.copy_to(&to), 0, "all are there");
    assert!(to.tool(&["check"]).succeed().contains(" 0 damaged"));
    to.serve(&mut server);
    let after = clients.each_mut().map(|client| run(client, FACTS));
    assert_eq!(before, after);
    assert_eq!(run(&mut clients[1], "incr:n"), ["incr=SUCCESS 2"]);
    server.finish();
}

#[test]
fn from_files_to_memory() {
    moves(|server| files(server, "sessions"), memory);
}

#[test]
fn from_memory_to_files() {
    moves(memory, |server| files(server, "other"));
}

#[test]
fn from_files_to_lmdb() {
    moves(|server| files(server, "sessions"), |server| dbm(server, "lmdb"));
}

#[test]
fn from_lmdb_to_memory() {
    moves(|server| dbm(server, "lmdb"), memory);
}

#[test]
fn from_memory_to_gdbm() {
    moves(memory, |server| dbm(server, "GDBM"));
}

#[test]
fn from_berkeley_db_to_files() {
    moves(|server| dbm(server, "DB"), |server| files(server, "other"));
}

#[test]
fn from_sdbm_to_lmdb() {
    moves(|server| dbm(server, "SDBM"), |server| dbm(server, "lmdb"));
}

#[test]
fn what_a_store_has_no_room_for_stays_behind_and_is_counted() {
    let _files = Store::File.only("what is copied are files");
    let server = sessions().start();
    let mut client = visitor(&server);
    run(&mut client, &format!("set:big={}", "x".repeat(2000)));
    visitor(&server);
    server.stop();
    let to = dbm(&server, "SDBM");
    let from = files(&server, "sessions").store;
    let mut words = vec!["copy", &from, &to.store, "--dbm-type", "SDBM", "--json"];
    words.extend(owner());
    let ran = tool(&words).run();
    assert_eq!(ran.code, Some(code::PROBLEM), "{ran:?}");
    let counts: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&counts["copied"], &counts["too_large"]), (&1.into(), &1.into()));
}

/// What is full for one may have room for the next: all are tried, and counted.
#[test]
fn what_a_full_store_does_not_take_stays_behind_and_is_counted() {
    const SESSIONS: u64 = 200;
    let _files = Store::File.only("what is copied are files");
    let server = sessions().start();
    for _ in 0..SESSIONS {
        run(&mut server.client(), &format!("set:big={}", "x".repeat(5000)));
    }
    server.stop();
    let to = format!("dbm:{}?map=1M", server.root().join("data/full.mdb").display());
    let from = files(&server, "sessions").store;
    let words: Vec<&str> = ["copy", &from, &to].into_iter().chain(owner()).collect();
    let ran = tool(words.iter().chain(&["--json"])).fail(code::PROBLEM, &[]);
    let counts: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let count = |name: &str| counts[name].as_u64().expect("a count");
    assert!(count("copied") > 20 && count("no_room") > 20, "{counts}");
    assert_eq!(count("copied") + count("no_room"), SESSIONS);
    let ran = tool(&words).fail(code::PROBLEM, &[]);
    assert!(ran.out.contains(" without room, 0 unreadable"), "{ran:?}");
}

#[test]
fn lmdb_beside_a_server_is_read_and_written() {
    let mut server = sessions().start();
    let kind = dbm(&server, "lmdb");
    server.stop();
    kind.serve(&mut server);
    let mut client = shopper(&server);
    let mut other = visitor(&server);
    let listed = kind.tool(&["list", "--user", "ann", "--json"]).json();
    let hash = listed[0]["hash"].as_str().expect("a hash").to_owned();
    assert!(kind.tool(&["check"]).succeed().contains(" 0 damaged"));
    assert!(kind.tool(&["stats", "--json"]).json()["live"].as_u64() >= Some(2));
    kind.tool(&["purge"]).succeed();
    assert_eq!(run(&mut client, "get:cart"), ["get=SUCCESS apples"]);
    kind.tool(&["delete", &hash]).succeed();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(run(&mut other, "incr:n"), ["incr=SUCCESS 2"]);
    let spare = files(&server, "spare");
    let words = ["copy", &kind.store, &spare.store].into_iter().chain(owner());
    let copied = tool(words).run();
    assert_eq!(copied.code, Some(0), "{copied:?}");
    assert!(copied.err.contains("uses the store that is copied"), "{copied:?}");
    kind.tool(&["delete", "--all", "--yes"]).succeed();
    assert_eq!(spare.copy_to(&kind), 1, "into it as well");
    assert_eq!(run(&mut other, "incr:n"), ["incr=SUCCESS 3"]);
    server.finish();
}

#[test]
fn what_was_copied_into_lmdb_is_on_the_disk_when_the_tool_ends() {
    let _files = Store::File.only("what is copied are files");
    let server = sessions().start();
    visitor(&server);
    server.stop();
    let to = dbm(&server, "lmdb");
    files(&server, "sessions").copy_to(&to);
    let names = fs::read_dir(server.root().join("data")).expect("the directory").flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name().into_string().expect("text")).collect();
    assert!(names.contains(&"db.lmdb".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with("-unsynced")), "{names:?}");
}

#[test]
fn databases_of_apr_wait_until_the_server_is_stopped() {
    for kind in ["SDBM", "GDBM", "DB"] {
        let mut server = sessions().start();
        let kind = dbm(&server, kind);
        server.allow_log("can damage the whole file");
        server.allow_log("SessionMaxSize allows larger sessions than this store takes");
        kind.tool(&["list"]).fail(code::STORE, &["No such file"]);
        server.stop();
        kind.serve(&mut server);
        let mut client = visitor(&server);
        for command in ["list", "stats", "check", "purge"] {
            let pid = format!("the server {}", server.pid());
            kind.tool(&[command]).fail(code::IN_USE, &[&pid]);
        }
        server.stop();
        let listed = kind.tool(&["list", "--json"]).json();
        let hash = listed[0]["hash"].as_str().expect("a hash").to_owned();
        kind.tool(&["delete", &hash]).succeed();
        server.restart();
        assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
        server.finish();
    }
}

#[test]
fn a_database_that_is_damaged_is_not_opened() {
    let mut server = sessions().start();
    let kind = dbm(&server, "lmdb");
    server.stop();
    kind.serve(&mut server);
    visitor(&server);
    server.stop();
    let file = server.root().join("data/db.lmdb");
    let bytes = fs::read(&file).expect("the database");
    fs::write(&file, &bytes[..bytes.len() - 4096]).expect("cutting it");
    for command in ["list", "check", "purge"] {
        kind.tool(&[command]).fail(code::STORE, &["db.lmdb is damaged"]);
    }
}

#[test]
fn memory_beside_a_server_is_read_and_nothing_else() {
    let mut server = sessions().start();
    let kind = memory(&server);
    server.stop();
    kind.serve(&mut server);
    let mut client = shopper(&server);
    let listed = kind.tool(&["list", "--user", "ann", "--json"]).json();
    assert_eq!(listed[0]["keys"], 3);
    let hash = listed[0]["hash"].as_str().expect("a hash").to_owned();
    let shown = kind.tool(&["show", "--values", "--json", &hash]).json();
    assert_eq!(shown["values"][1]["text"], "apples");
    assert!(kind.tool(&["check"]).succeed().contains(" 0 damaged"));
    let counts = kind.tool(&["stats", "--json"]).json();
    assert!(counts["capacity"].as_u64().is_some_and(|bytes| bytes > 1 << 22), "{counts}");
    let pid = format!("the server {}", server.pid());
    for refused in [vec!["delete", &hash], vec!["purge"], vec!["init"]] {
        let owner = if refused[0] == "init" { owner() } else { Vec::new() };
        kind.tool(&[refused, owner].concat()).fail(code::IN_USE, &[&pid]);
    }
    assert_eq!(run(&mut client, "get:cart"), ["get=SUCCESS apples"]);

    // httpd tells the file in its runtime directory.
    let conf = server.root().join("conf/httpd.conf").display().to_string();
    let httpd = apxs::httpd().display().to_string();
    let asked = tool(["-f", &conf, "--httpd", &httpd, "list", "--json"]).json();
    assert_eq!(asked[0]["hash"], hash.as_str());

    server.stop();
    kind.tool(&["delete", &hash]).succeed();
    kind.tool(&["purge"]).succeed();
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
}

#[test]
fn memory_that_is_not_there_or_of_another_size_is_told() {
    let _files = Store::File.only("there is to be no memory yet");
    let mut server = sessions().start();
    let kind = memory(&server);
    kind.tool(&["list"]).fail(code::STORE, &["session_store.memory", "No such file"]);
    kind.tool(&["purge"]).fail(code::STORE, &["is not there"]);
    server.stop();
    let owner = owner();
    kind.tool(&[&["init"], owner.as_slice()].concat()).succeed();
    let file = server.root().join("run/session_store.memory");
    if is_root() {
        use std::os::unix::fs::MetadataExt;
        let facts = file.metadata().expect("the file");
        assert_eq!((facts.uid(), facts.gid()), ids_of(SERVER_USER));
    }
    let other = Kind { store: "memory:16M".to_owned(), ..memory(&server) };
    let refused = other.tool(&[&["init"], owner.as_slice()].concat());
    refused.fail(code::STORE, &["8388608 bytes", "16777216"]);
    kind.serve(&mut server);
    visitor(&server);
    server.stop();
    let bytes = fs::read(&file).expect("the memory");
    fs::write(&file, vec![7; bytes.len()]).expect("damaging it");
    kind.tool(&["list"]).fail(code::STORE, &["holds no sessions"]);
    fs::write(&file, "").expect("emptying it");
    kind.tool(&["list"]).fail(code::STORE, &["holds no sessions"]);
}
