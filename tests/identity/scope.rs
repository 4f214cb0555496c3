//! For whom a session is good: hosts cannot replay each other's.

use super::id_set;
use crate::steps::{ask, lines, sessions};
use crate::support::{Client, Server};

const NAME: &str = "session_store";

fn host(name: &str, lines: &str) -> String {
    let server_name = if name.is_empty() { String::new() } else { format!("ServerName {name}\n") };
    format!("<VirtualHost *:${{PORT}}>\n{server_name}{lines}\n</VirtualHost>\n")
}

fn server(hosts: &[(&str, &str)]) -> Server {
    sessions()
        .conf(&hosts.iter().map(|(name, lines)| host(name, lines)).collect::<String>())
        .start()
}

/// Asks `host` for `ops`, with the cookie of `id` if it is not empty.
fn at(server: &Server, host: &str, id: &str, ops: &str) -> (Vec<String>, Option<String>) {
    let mut client: Client = server.client().host(host);
    if !id.is_empty() {
        client.jar.set(NAME, id);
    }
    let response = client.send(&ask(ops)).expect(200);
    (lines(&response), id_set(&response))
}

/// The id of a new session of `host` with `who` set to its name.
fn made(server: &Server, host: &str) -> String {
    at(server, host, "", &format!("set:who={host}")).1.expect("a cookie")
}

fn shared(server: &Server, one: &str, other: &str) -> bool {
    let id = made(server, one);
    let there = at(server, other, &id, "get:who").0;
    there == [format!("get=SUCCESS {one}")]
}

#[test]
fn two_hosts_do_not_know_each_others_sessions() {
    let server = server(&[("one.test", ""), ("two.test", "")]);
    let id = made(&server, "one.test");
    let (there, set) = at(&server, "two.test", &id, "is_new;reason;set:who=two;keys");
    let new = ["is_new=SUCCESS 1", "reason=SUCCESS unknown", "set=SUCCESS", "keys=SUCCESS who"];
    assert_eq!(there, new);
    let other = set.expect("a cookie of its own");
    assert_ne!(other, id);
    assert_eq!(at(&server, "one.test", &id, "get:who").0, ["get=SUCCESS one.test"]);
    assert_eq!(at(&server, "two.test", &other, "get:who").0, ["get=SUCCESS two"]);
    assert_eq!(at(&server, "one.test", &other, "get:who").0, ["get=NOTFOUND"]);
}

#[test]
fn hosts_share_sessions_by_a_scope_of_one_name() {
    let server = server(&[
        ("one.test", "SessionScope family"),
        ("two.test", "SessionScope family"),
        ("three.test", "SessionScope Family"),
        ("four.test", ""),
    ]);
    assert!(shared(&server, "one.test", "two.test") && shared(&server, "two.test", "one.test"));
    assert!(!shared(&server, "one.test", "three.test"));
    assert!(!shared(&server, "one.test", "four.test"));
}

#[test]
fn hosts_share_sessions_by_the_domain_of_their_cookie() {
    let domain = "SessionIdDomain .Example.test";
    let server = server(&[
        ("a.example.test", domain),
        ("b.example.test", "SessionIdDomain example.test"),
        ("c.example.test", &format!("{domain}\nSessionScope own")),
        ("d.example.test", ""),
    ]);
    assert!(shared(&server, "a.example.test", "b.example.test"));
    assert!(!shared(&server, "a.example.test", "c.example.test"));
    assert!(!shared(&server, "a.example.test", "d.example.test"));
}

#[test]
fn the_configured_name_counts_and_not_what_a_visitor_calls_the_host() {
    let server = server(&[
        ("One.Test", "ServerAlias alias.test"),
        ("https://one.test:8443", "ServerAlias other.test"),
        ("two.test", ""),
    ]);
    assert!(shared(&server, "one.test", "alias.test"));
    assert!(shared(&server, "one.test", "other.test"));
    assert!(!shared(&server, "one.test", "two.test"));
}

#[test]
fn a_host_without_a_name_answers_under_the_main_servers() {
    let server = server(&[("", ""), ("localhost", "ServerAlias named.test"), ("two.test", "")]);
    assert!(shared(&server, "anything.test", "named.test"));
    assert!(!shared(&server, "anything.test", "two.test"));
}

#[test]
fn places_of_one_host_can_have_sessions_of_their_own() {
    let place = "<Location \"/other\">\nSetHandler probe\nSessionScope other\n</Location>";
    let server = sessions().conf(place).start();
    let mut client = server.client();
    client.send(&ask("set:a=1")).expect(200);
    let id = client.jar.get(NAME).expect("a cookie").to_owned();
    let there = client.get("/other?get:a;set:a=2").expect(200);
    assert_eq!(there.text(), "get=NOTFOUND\nset=SUCCESS\n");
    assert_ne!(id_set(&there).as_deref(), Some(id.as_str()));
    assert_eq!(at(&server, "localhost", &id, "get:a").0, ["get=SUCCESS 1"]);
}
