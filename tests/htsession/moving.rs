//! Visitors go on after their sessions were moved to another store and the configuration was changed.

use std::fs;

use super::{Tool, code, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::{Client, SERVER_USER, Server, apxs, ids_of, is_root};

/// A store of a server's: its lines of configuration, its name for the tool, more arguments.
struct Kind {
    conf: String,
    store: String,
    more: Vec<String>,
}

fn files(server: &Server, name: &str) -> Kind {
    let dir = server.root().join(name).display().to_string();
    let conf = format!("SessionDataDir \"{dir}\"");
    Kind { conf, store: format!("file:{dir}"), more: Vec::new() }
}

fn memory(server: &Server) -> Kind {
    let dir = server.root().join("run").display().to_string();
    let conf = "SessionStore memory:8M".to_owned();
    Kind { conf, store: "memory:8M".to_owned(), more: vec!["--data-dir".to_owned(), dir] }
}

fn database(server: &Server) -> Kind {
    let file = server.root().join("place/own.mdb").display().to_string();
    let conf = format!("SessionStore \"dbm:{file}\"");
    Kind { conf, store: format!("dbm:{file}"), more: Vec::new() }
}

impl Kind {
    fn tool(&self, arguments: &[&str]) -> Tool {
        let store = ["--store", &self.store].into_iter();
        tool(store.chain(self.more.iter().map(String::as_str)).chain(arguments.iter().copied()))
    }

    /// Copies everything to another kind; returns how many.
    fn copy_to(&self, to: &Kind) -> u64 {
        let more = self.more.iter().chain(&to.more).map(String::as_str);
        let words = ["copy", &self.store, &to.store, "--json"].into_iter().chain(more);
        let owner = if is_root() { vec!["--owner", SERVER_USER] } else { Vec::new() };
        let counts = tool(words.chain(owner)).json();
        assert_eq!((&counts["too_large"], &counts["unreadable"]), (&0.into(), &0.into()));
        counts["copied"].as_u64().expect("a count")
    }

    /// Lets the server use it.
    fn serve(&self, server: &mut Server) {
        let places = "<Location \"/probe\">\nSetHandler probe\n</Location>\nSessionEngine on\n";
        let conf = format!("{places}{}", self.conf);
        server.reconfigure(|builder| builder.clear_conf().conf(&conf));
        server.restart();
    }
}

const FACTS: &str = "get:cart;get_bytes:raw;user;created;timeout;id;is_new";

fn shopper(server: &Server) -> Client {
    let mut client = visitor(server);
    run(&mut client, "set_user:ann;set:cart=apples;set_bytes:raw=%00%ff;set_timeout:900000000");
    client
}

#[track_caller]
fn moves(from: impl Fn(&Server) -> Kind, to: impl Fn(&Server) -> Kind) {
    let mut server = sessions().start();
    let (from, to) = (from(&server), to(&server));
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
fn from_files_to_a_database() {
    moves(|server| files(server, "sessions"), database);
}

#[test]
fn from_a_database_to_memory() {
    moves(database, memory);
}

#[test]
fn a_database_beside_a_server_is_read_and_written() {
    let mut server = sessions().start();
    let kind = database(&server);
    server.stop();
    kind.serve(&mut server);
    let (mut client, mut other) = (shopper(&server), visitor(&server));
    let listed = kind.tool(&["list", "--user", "ann", "--json"]).json();
    assert_eq!(listed[0]["keys"], 3);
    let hash = listed[0]["hash"].as_str().expect("a hash").to_owned();
    assert!(kind.tool(&["check"]).succeed().contains(" 0 damaged"));
    let counts = kind.tool(&["stats", "--json"]).json();
    assert_eq!(counts["capacity"], 64u64 << 30, "{counts}");
    kind.tool(&["delete", &hash]).succeed();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    kind.tool(&["purge", "--older-than", "400d"]).succeed();
    assert_eq!(run(&mut other, "incr:n"), ["incr=SUCCESS 2"]);

    // httpd tells where it is.
    let conf = server.root().join("conf/httpd.conf").display().to_string();
    let httpd = apxs::httpd().display().to_string();
    let asked = tool(["-f", &conf, "--httpd", &httpd, "list", "--json"]).json();
    assert!(asked.as_array().is_some_and(|all| !all.is_empty()), "{asked}");
}

#[test]
fn a_database_that_is_damaged_missing_or_aprs_is_told() {
    let mut server = sessions().start();
    let kind = database(&server);
    kind.tool(&["list"]).fail(code::STORE, &["place"]);
    server.stop();
    kind.serve(&mut server);
    visitor(&server);
    server.stop();
    let file = server.root().join("place/own.mdb");
    let mut bytes = fs::read(&file).expect("the database");
    bytes.truncate(8192);
    fs::write(&file, bytes).expect("cutting it");
    kind.tool(&["list"]).fail(code::STORE, &["own.mdb", "damaged", "cut short"]);
    fs::remove_file(&file).expect("removing it");
    kind.tool(&["list"]).fail(code::STORE, &["own.mdb", "is not there"]);
}

#[test]
fn from_memory_to_files() {
    moves(memory, |server| files(server, "other"));
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
        let owner =
            if is_root() && refused[0] == "init" { vec!["--owner", SERVER_USER] } else { vec![] };
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
    let mut server = sessions().start();
    let kind = memory(&server);
    kind.tool(&["list"]).fail(code::STORE, &["session_store.memory", "No such file"]);
    kind.tool(&["purge"]).fail(code::STORE, &["is not there"]);
    server.stop();
    let owner = if is_root() { vec!["--owner", SERVER_USER] } else { vec![] };
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
