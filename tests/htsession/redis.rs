//! Redis: everything is done beside servers, and its password is no business of a command line's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::moving::{Kind, dbm, files, moves, shopper};
use super::{Tool, code, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::{Redis, RedisCluster, Server, apxs};

fn at(address: &str) -> Kind {
    let conf = format!("SessionStore {address}\nSessionScope localhost");
    Kind { conf, store: address.to_owned(), more: Vec::new() }
}

/// The program, which is to ask for the store of a server.
fn ask(server: &Server, arguments: &[&str]) -> Tool {
    let conf = server.root().join("conf/httpd.conf").display().to_string();
    let httpd = apxs::httpd().display().to_string();
    tool(["-f", &conf, "--httpd", &httpd].iter().chain(arguments))
}

#[test]
fn from_lmdb_to_redis() {
    let redis = Redis::start();
    moves(|server| dbm(server, "lmdb"), |_| at(&redis.address()));
}

#[test]
fn from_redis_to_files() {
    let redis = Redis::start();
    moves(|_| at(&redis.address()), |server| files(server, "other"));
}

#[test]
fn from_files_to_a_cluster() {
    let cluster = RedisCluster::start();
    moves(|server| files(server, "sessions"), |_| at(&cluster.address()));
}

#[test]
fn beside_a_server_everything_is_done() {
    let redis = Redis::start();
    let mut server = sessions().start();
    let kind = at(&redis.address());
    server.stop();
    kind.serve(&mut server);
    let mut client = shopper(&server);
    let mut other = visitor(&server);
    let listed = kind.tool(&["list", "--user", "ann", "--json"]).json();
    let hash = listed[0]["hash"].as_str().expect("a hash").to_owned();
    let shown = kind.tool(&["show", "--values", "--json", &hash]).json();
    assert_eq!(shown["values"][1]["text"], "apples");
    assert!(kind.tool(&["check"]).succeed().contains(" 0 damaged"));
    assert!(kind.tool(&["stats", "--json"]).json()["live"].as_u64() >= Some(2));
    kind.tool(&["purge"]).succeed();
    assert!(kind.tool(&["init"]).succeed().contains("needs nothing made"));
    assert_eq!(run(&mut client, "get:cart"), ["get=SUCCESS apples"]);
    kind.tool(&["delete", "--user", "ann", "--scope", "localhost"]).succeed();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(run(&mut other, "incr:n"), ["incr=SUCCESS 2"]);
    kind.tool(&["delete", "--all", "--yes"]).succeed();
    assert_eq!(run(&mut other, "reason"), ["reason=SUCCESS unknown"]);
    server.finish();
}

#[test]
fn httpd_tells_the_address_if_its_password_is_in_a_file() {
    let redis = Redis::start_with(&["--requirepass", "open-sesame"]);
    let mut server = sessions().start();
    server.stop();
    let file = server.root().join("conf/password");
    fs::write(&file, "open-sesame\n").expect("writing the password");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("setting a mode");
    let address = format!("{}?password_file=conf/password&prefix=shop:", redis.address());
    at(&address).serve(&mut server);
    visitor(&server);
    let listed = ask(&server, &["list", "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));

    server.allow_log("SessionStore has a password in the configuration itself");
    let with = redis.address().replace("redis://", "redis://:open-sesame@");
    at(&format!("{with}?prefix=shop:")).serve(&mut server);
    let refused = ask(&server, &["list"]).fail(code::STORE, &["told to nobody", "--store"]);
    assert!(!refused.err.contains("sesame"), "{refused:?}");
    let given = tool(["--store", &format!("{with}?prefix=shop:"), "list", "--json"]).run();
    assert!(given.code == Some(0) && given.err.contains("seen by other users"), "{given:?}");
    assert!(!given.err.contains("sesame"), "{given:?}");
}

#[test]
fn what_is_out_of_reach_or_lets_nobody_in_is_told_without_a_password() {
    let redis = Redis::start_with(&["--requirepass", "open-sesame"]);
    tool(["--store", &redis.address(), "list"]).fail(code::STORE, &["NOAUTH"]);
    let wrong = redis.address().replace("redis://", "redis://:wrong-word@");
    let ran = tool(["--store", &wrong, "list"]).fail(code::STORE, &["Redis"]);
    assert!(!ran.err.contains("wrong-word"), "{ran:?}");
    redis.kill();
    tool(["--store", &redis.address(), "list"]).fail(code::STORE, &["Redis"]);
    let missing = format!("{}?password_file=/no/such/file", redis.address());
    tool(["--store", &missing, "list"]).fail(code::STORE, &["/no/such/file"]);
    tool(["--store", "redis://", "list"]).fail(code::USAGE, &["SessionStore takes"]);
}
