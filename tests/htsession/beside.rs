//! Beside a running server: sessions are read, and what the store lets be done beside one is done; the rest is
//! refused and changes nothing.

use super::alone::owner;
use super::{code, delete, hashes, id, on, reached, store_of, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::{Server, Store, probed};

fn deletes() -> bool {
    Store::current().lets_delete_beside_a_server()
}

#[test]
fn sessions_are_listed_and_shown_without_their_values_unless_asked() {
    let _reached = reached();
    let server = sessions().start();
    let mut client = visitor(&server);
    run(&mut client, "set:cart=three%20apples;set_user:ann");
    visitor(&server);

    let listed = on(&server, &["list"]).succeed();
    assert_eq!(listed.lines().count(), 3, "a head and two sessions: {listed}");
    let line = listed.lines().find(|line| line.ends_with("  ann")).expect("ann's line");
    assert!(line.contains("  live ") && line.contains("127.0.0.1"), "{line}");
    assert!(!listed.contains(&id(&client)));
    let of_ann = on(&server, &["list", "--user", "ann", "--json"]).json();
    assert_eq!(of_ann.as_array().map(Vec::len), Some(1));
    assert_eq!(of_ann[0]["keys"], 2);

    let prefix = line.split(' ').next().expect("a hash");
    let shown = on(&server, &["show", prefix]).succeed();
    assert!(shown.contains("cart (12 bytes)") && !shown.contains("apples"), "{shown}");
    let shown = on(&server, &["show", "--values", prefix]).succeed();
    assert!(shown.contains("cart (12 bytes) = three apples"), "{shown}");
    let shown = on(&server, &["show", "--values", "--json", prefix]).json();
    assert_eq!(shown["user"], "ann");
    assert_eq!(shown["values"][1]["text"], "three apples");
}

#[test]
fn a_session_is_found_by_its_id_and_scope_and_the_id_is_not_printed() {
    let _reached = reached();
    let server = sessions().start();
    let client = visitor(&server);
    let id = id(&client);
    let ran = on(&server, &["show", "--scope", "localhost", "--", &id]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("seen by other users of this machine"), "{ran:?}");
    assert!(!(ran.out + &ran.err).contains(&id));

    let shown = on(&server, &["show", "--scope", "localhost", "-"]).input(&id).succeed();
    assert!(shown.contains(&hashes(&server)[0]), "{shown}");
    on(&server, &["show", "-"]).input(&id).fail(code::USAGE, &["--scope NAME"]);
    let elsewhere = on(&server, &["show", "--scope", "example.org", "-"]).input(&id);
    elsewhere.fail(code::NOT_FOUND, &["no such session"]);
}

#[test]
fn a_deleted_session_is_gone_for_its_visitor_at_once() {
    let _reached = reached();
    let server = sessions().start();
    let (mut one, mut other) = (visitor(&server), visitor(&server));
    let id = id(&one);
    delete(&server, on(&server, &["delete", "--scope", "localhost", "-"]).input(&id));
    if !deletes() {
        assert_eq!(run(&mut one, "get:n"), ["get=SUCCESS 1"]);
        return;
    }
    assert_eq!(run(&mut one, "reason"), ["reason=SUCCESS unknown"]);
    assert_eq!(run(&mut other, "get:n"), ["get=SUCCESS 1"]);
    on(&server, &["delete", "-", "--scope", "localhost"])
        .input(&id)
        .fail(code::NOT_FOUND, &["1 sessions are not there"]);
}

#[test]
fn the_sessions_of_a_user_are_deleted_with_a_scope_and_without() {
    let _reached = reached();
    let server = sessions().start();
    for scope in [None, Some("localhost")] {
        let mut clients: Vec<_> = (0..3).map(|_| visitor(&server)).collect();
        for client in &mut clients[..2] {
            run(client, "set_user:ann");
        }
        let scope = scope.map_or(vec![], |scope| vec!["--scope", scope]);
        let arguments = [&["delete", "--user", "ann"], scope.as_slice()].concat();
        delete(&server, on(&server, &arguments));
        let gone = |client| run(client, "is_new") == ["is_new=SUCCESS 1"];
        let gone: Vec<bool> = clients.iter_mut().map(gone).collect();
        assert_eq!(gone, [deletes(), deletes(), false], "{arguments:?}");
        if deletes() {
            on(&server, &arguments).fail(code::NOT_FOUND, &["no such session"]);
        }
    }
}

#[test]
fn all_sessions_are_deleted_when_that_is_said_twice() {
    let _reached = reached();
    let server = sessions().start();
    let mut clients = [visitor(&server), visitor(&server)];
    on(&server, &["delete", "--all"]).fail(code::USAGE, &["--yes"]);
    assert_eq!(hashes(&server).len(), 2);
    delete(&server, on(&server, &["delete", "--all", "--yes"]));
    let reason = if deletes() { "unknown" } else { "none" };
    for client in &mut clients {
        assert_eq!(run(client, "reason"), [format!("reason=SUCCESS {reason}")]);
    }
}

#[test]
fn deletions_beside_requests_lose_no_other_session_and_log_no_damage() {
    let _reached = reached();
    let server = sessions().start();
    let mut stays = visitor(&server);
    for _ in 0..20 {
        let client = visitor(&server);
        let hash = on(&server, &["show", "--json", "--scope", "localhost", "-"]);
        let hash = hash.input(&id(&client)).json()["hash"].as_str().expect("a hash").to_owned();
        delete(&server, on(&server, &["delete", &hash]));
        run(&mut stays, "incr:n");
    }
    assert_eq!(run(&mut stays, "get:n"), ["get=SUCCESS 21"]);
    assert_eq!(hashes(&server).len(), if deletes() { 1 } else { 21 });
    server.finish();
}

#[test]
fn counts_are_told_and_every_record_checked_beside_requests() {
    let _reached = reached();
    let server = sessions().start();
    let mut client = visitor(&server);
    run(&mut client, "set_user:ann");
    visitor(&server);
    let counts = on(&server, &["stats", "--json"]).json();
    assert_eq!(
        (&counts["live"], &counts["logged_in"], &counts["users"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(counts["damaged"], 0);
    let text = on(&server, &["stats"]).succeed();
    assert!(
        text.lines().any(|line| line.starts_with("live sessions") && line.ends_with(" 2")),
        "{text}"
    );

    let checked = on(&server, &["check"]).succeed();
    assert!(checked.contains("2 sound") || checked.contains("3 sound"), "{checked}");
    assert!(checked.contains("0 damaged"), "{checked}");
}

#[test]
fn what_would_need_the_servers_mutexes_is_refused_and_names_its_process() {
    let _reached = reached();
    let server = sessions().start();
    let mut client = visitor(&server);
    let pid = format!("the server {}", server.pid());
    let other = format!("file:{}", server.root().join("run/other").display());
    let (store, how) = store_of(&server);
    let words = ["copy", &other, &store].into_iter().chain(how.iter().map(String::as_str));
    let copy = tool(words.chain(owner()));
    if Store::current().is_open_beside_a_server() {
        tool(["--store", &other, "init"].into_iter().chain(owner())).succeed();
        on(&server, &["purge"]).succeed();
        on(&server, &["purge", "--older-than", "1h"]).succeed();
        copy.succeed();
    } else {
        on(&server, &["purge"]).fail(code::IN_USE, &[&pid, "is running"]);
        on(&server, &["purge", "--older-than", "1s"]).fail(code::IN_USE, &[&pid]);
        copy.fail(code::IN_USE, &[&pid]);
    }
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
}

#[test]
fn a_copy_taken_beside_a_server_says_that_it_is_one() {
    let _reached = reached();
    let server = sessions().start();
    visitor(&server);
    let copy = format!("file:{}", server.root().join("copied").display());
    let ran = on(&server, &[&["copy", &copy], owner().as_slice()].concat()).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // Whether a server is beside a Redis nobody here knows.
    let said = ran.err.contains(&format!("the server {}", server.pid()));
    assert_eq!(said, Store::current() != Store::Redis, "{ran:?}");
    assert!(ran.out.starts_with("1 copied, 0 there already"), "{ran:?}");
    assert!(tool(["--store", &copy, "check"]).succeed().starts_with("1 sound"));
}

#[test]
fn the_ways_from_old_ids_are_no_sessions() {
    let _reached = reached();
    let server: Server = probed::probed().start();
    let mut client = server.client();
    probed::ask(&mut client, "/c?set:n=1");
    probed::ask(&mut client, "/c?regenerate");
    assert_eq!(hashes(&server).len(), 1);
    let all = on(&server, &["list", "--all", "--json"]).json();
    let mut states: Vec<_> =
        all.as_array().expect("a list").iter().map(|row| &row["state"]).collect();
    states.sort_by_key(|state| state.to_string());
    assert_eq!(states, ["alias", "live"]);
}

/// A login gives a session a new id. Whoever has the old one, from a log or a report, means the session.
#[test]
fn an_old_id_deletes_the_session_that_it_leads_to() {
    let _reached = reached();
    let server: Server = probed::probed().start();
    let mut client = server.client();
    probed::ask(&mut client, "/c?set:n=1");
    let old = client.jar.get(probed::COOKIE).expect("a cookie").to_owned();
    for _ in 0..2 {
        assert_eq!(probed::ask(&mut client, "/c?regenerate"), "regenerate=SUCCESS");
    }
    let deletion = on(&server, &["delete", "--scope", "localhost", "-"]).input(&old);
    delete(&server, deletion);
    if !deletes() {
        return;
    }
    assert_eq!(probed::ask(&mut client, "/c?reason"), "reason=SUCCESS unknown");
    assert_eq!(on(&server, &["list", "--json"]).succeed(), "[]\n");
}
