//! Ids: never adopted from a visitor, new ones at a login, other ways for them to come.

use std::time::Duration;

use super::{id_set, is_id};
use crate::steps::{ask, lines, run, sessions, visitor};
use crate::support::{Client, Request, Server, wait_value};

const NAME: &str = "session_store";

fn id_of(client: &Client) -> String {
    client.jar.get(NAME).expect("a cookie").to_owned()
}

/// A visitor who brings `id`.
fn with(server: &Server, id: &str) -> Client {
    let mut client = server.client();
    client.jar.set(NAME, id);
    client
}

#[test]
fn an_invented_id_is_never_adopted() {
    let server = sessions().start();
    let invented = "fixed-by-an-attacker_0123456789-abcdefghijk";
    assert!(is_id(invented));
    let mut victim = with(&server, invented);
    assert_eq!(
        run(&mut victim, "exists;is_new;reason;get:a"),
        ["exists=SUCCESS 1", "is_new=SUCCESS 1", "reason=SUCCESS unknown", "get=NOTFOUND"]
    );
    assert_eq!(id_of(&victim), invented, "what is unknown is not cleared");
    run(&mut victim, "set:a=1;set_user:alice");
    assert_ne!(id_of(&victim), invented);
    assert_eq!(run(&mut victim, "user"), ["user=SUCCESS alice"]);
    assert_eq!(run(&mut with(&server, invented), "get:a;user"), ["get=NOTFOUND", "user=SUCCESS -"]);
}

#[test]
fn ids_differ_and_are_reserved_once_per_request() {
    let server = sessions().start();
    let mut ids: Vec<String> = (0..20).map(|_| id_of(&visitor(&server))).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    let mut client = server.client();
    let answer = client.send(&ask("id;set:a=1;id")).expect(200);
    let id = id_set(&answer).unwrap_or_else(|| panic!("{}", answer.text()));
    let told = format!("id=SUCCESS {id}");
    assert_eq!(lines(&answer), [&told, "set=SUCCESS", &told]);
}

#[test]
fn a_login_and_a_logout_give_a_new_id_and_the_old_one_is_dead_at_once() {
    let server = sessions().start();
    let mut client = visitor(&server);
    let before = id_of(&client);
    run(&mut client, "set_user:alice");
    let inside = id_of(&client);
    assert_ne!(before, inside);
    assert_eq!(run(&mut client, "user;get:n"), ["user=SUCCESS alice", "get=SUCCESS 1"]);
    let mut planted = with(&server, &before);
    assert_eq!(
        run(&mut planted, "user;get:n;is_new"),
        ["user=SUCCESS -", "get=NOTFOUND", "is_new=SUCCESS 1"]
    );
    assert_eq!(id_of(&planted), before, "no cookie for who comes with the old id");

    // The same user again is no change.
    run(&mut client, "set_user:alice");
    assert_eq!(id_of(&client), inside);
    run(&mut client, "set_user");
    assert_ne!(id_of(&client), inside);
    assert_eq!(run(&mut client, "user;get:n"), ["user=SUCCESS -", "get=SUCCESS 1"]);
    assert_eq!(run(&mut with(&server, &inside), "user;get:n"), ["user=SUCCESS -", "get=NOTFOUND"]);
}

#[test]
fn a_new_id_on_request_leaves_the_old_one_for_a_while_or_not_at_all() {
    let server = sessions()
        .conf("<Location \"/none\">\nSetHandler probe\nSessionRegenerateGrace 0\n</Location>")
        .start();
    let mut client = visitor(&server);
    let first = id_of(&client);
    run(&mut client, "regenerate");
    let second = id_of(&client);
    assert_ne!(first, second);
    let mut late = with(&server, &first);
    assert_eq!(
        run(&mut late, "get:n;regenerate;set_user:eve;incr:n"),
        ["get=SUCCESS 1", "regenerate=EINVAL", "set_user=EINVAL", "incr=SUCCESS 2"]
    );
    assert_eq!(id_of(&late), first, "no cookie through the old id");
    assert_eq!(run(&mut client, "get:n;user"), ["get=SUCCESS 2", "user=SUCCESS -"]);

    client.get("/none?regenerate").expect(200);
    assert_ne!(id_of(&client), second);
    assert_eq!(run(&mut with(&server, &second), "get:n"), ["get=NOTFOUND"]);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 2"]);
}

#[test]
fn an_id_that_was_replaced_is_refused_and_told_once_its_grace_is_over() {
    let server =
        sessions().conf("SessionRegenerateGrace 1s").log_level("session_store:info").start();
    let mut client = visitor(&server);
    let first = id_of(&client);
    run(&mut client, "regenerate");
    let mut late = with(&server, &first);
    assert_eq!(run(&mut late, "get:n"), ["get=SUCCESS 1"]);
    let told = "its session got a new one longer ago than SessionRegenerateGrace";
    assert_eq!(server.log_count(told), 0);
    let ask = || run(&mut late, "get:n;reason");
    let refused = wait_value("the end of the grace", Duration::from_secs(10), ask, |answer| {
        answer[0] == "get=NOTFOUND"
    });
    assert_eq!(refused[1], "reason=SUCCESS expired");
    server.wait_for_log(told);
    server.assert_no_secret(&[&first, &id_of(&client)]);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
}

const SOURCES: &str = "<Location \"/any\">\nSetHandler probe\n\
     SessionIdSource cookie header:X-Session-Id query:sid\n</Location>\n\
     <Location \"/header\">\nSetHandler probe\n\
     SessionIdSource header:X-Session-Id\n</Location>\n\
     <Location \"/query\">\nSetHandler probe\nSessionIdSource query:sid\n</Location>";

fn header(target: &str, id: &str) -> Request {
    Request::get(target).header("X-Session-Id", id)
}

#[test]
fn a_session_found_by_header_or_query_sets_no_cookie_and_a_new_one_does() {
    let server = sessions().conf(SOURCES).start();
    let id = id_of(&visitor(&server));
    for request in [
        header("/any?incr:n", &id),
        header("/any?incr:n", &format!("  {id} ")),
        Request::get(&format!("/any?sid={id};incr:n")),
        Request::get(&format!("/any?x=1&sid={id};incr:n")),
        header("/any?incr:n", &id).header("Cookie", &format!("{NAME}={}", "A".repeat(43))),
        header("/header?incr:n", &id),
        Request::get(&format!("/query?sid={id};incr:n")),
    ] {
        let answer = server.client().send(&request).expect(200);
        assert!(answer.text().contains("incr=SUCCESS"), "{request:?}: {}", answer.text());
        assert_eq!(id_set(&answer), None, "{request:?}");
    }
    let last = server.client().send(&header("/any?get:n", &id)).expect(200);
    assert_eq!((last.text().as_str(), id_set(&last)), ("get=SUCCESS 8\n", None));
    assert!(id_set(&server.get("/any?set:a=1").expect(200)).is_some());
    // Neither is looked at where it is not a source.
    assert_eq!(server.client().send(&header("/probe?get:n", &id)).text(), "get=NOTFOUND\n");
}

#[test]
fn the_cookie_comes_before_the_header_and_that_before_the_query() {
    let server = sessions().conf(SOURCES).start();
    let session = |value: &str| {
        let mut client = server.client();
        run(&mut client, &format!("set:who={value}"));
        id_of(&client)
    };
    let (one, two, three) = (session("one"), session("two"), session("three"));
    let target = format!("/any?sid={three};get:who");
    let who = |request: Request| server.client().send(&request).text();
    let both = header(&target, &two);
    assert!(who(both.clone().header("Cookie", &format!("{NAME}={one}"))).contains("SUCCESS one"));
    assert!(who(both).contains("SUCCESS two"));
    assert!(who(Request::get(&target)).contains("SUCCESS three"));
}

#[test]
fn without_the_cookie_as_a_source_none_is_ever_set_or_read() {
    let server = sessions().conf(SOURCES).start();
    let made = server.get("/header?set:a=1;id").expect(200);
    assert_eq!(id_set(&made), None);
    let id =
        made.text().lines().find_map(|line| line.strip_prefix("id=SUCCESS ").map(str::to_owned));
    let id = id.expect("an id");
    let found = server.client().send(&header("/header?get:a", &id)).expect(200);
    assert_eq!(found.text(), "get=SUCCESS 1\n");
    let mut client = with(&server, &id);
    assert_eq!(client.get("/header?get:a").text(), "get=NOTFOUND\n");
    let ended = server.client().send(&header("/header?delete", &id)).expect(200);
    assert_eq!(id_set(&ended), None);
    assert_eq!(server.client().send(&header("/header?get:a", &id)).text(), "get=NOTFOUND\n");
}

#[test]
fn a_login_by_header_tells_the_new_id_by_the_function_and_not_by_a_cookie() {
    let server = sessions().conf(SOURCES).start();
    let id = id_of(&visitor(&server));
    let login = server.client().send(&header("/header?set_user:alice;save;id", &id)).expect(200);
    assert_eq!(id_set(&login), None);
    let text = login.text();
    let new = text.lines().find_map(|line| line.strip_prefix("id=SUCCESS ")).expect("an id");
    assert_ne!(new, id);
    let user = |id: &str| server.client().send(&header("/header?user", id)).text();
    assert_eq!(user(new), "user=SUCCESS alice\n");
    assert_eq!(user(&id), "user=SUCCESS -\n");
}
