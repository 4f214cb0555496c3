//! Locking modes: what parallel requests keep of each other's changes, and letting a session go early.

use crate::mpm_tests;
use crate::steps::{Signals, answer, ask, count, lines, run, sessions, visitor};
use crate::support::{Builder, Mpm, Server, parallel};

/// Three places of the same sessions; a fourth that merges and takes little.
pub const PLACES: &str = "\
    SessionLockWaiters 64 100%\n\
    <Location \"/commit\">\nSetHandler probe\nSessionLocking commit\n</Location>\n\
    <Location \"/tight\">\nSetHandler probe\nSessionLocking commit\nSessionMaxSize 1K\n</Location>\n\
    <Location \"/off\">\nSetHandler probe\nSessionLocking off\n</Location>\n\
    <Location \"/look\">\nSetHandler probe\nSessionLocking read\n</Location>";

fn builder(mpm: Mpm) -> Builder {
    sessions().mpm(mpm).threads(64).ready_for(34).conf(PLACES)
}

fn path(place: &str, ops: &str) -> String {
    format!("/{place}?{ops}")
}

/// `ops` run in `place` up to the signal `held`, go on after the signal `go`; meanwhile `between` runs.
/// The lines of the first.
fn around(server: &Server, place: &str, [before, after]: [&str; 2], between: &str) -> Vec<String> {
    let signals = Signals::of(server);
    let mut client = visitor(server);
    // Each time with other signals: those given stay given.
    let [held, go] =
        ["held", "go"].map(|name| format!("{name}-{place}-{}", before.len() + between.len()));
    let ops = format!("{before};{};{};{after}", signals.give(&held), signals.await_(&go));
    let first = client.clone().open(&crate::support::Request::get(&path(place, &ops)).close());
    signals.wait(&held);
    let meanwhile = client.get(between).expect(200);
    assert!(!meanwhile.text().contains("TIMEUP"), "{}", meanwhile.text());
    signals.raise(&go);
    let text = lines(&answer(first).expect(200));
    [text, run_look(&mut client)].concat()
}

fn run_look(client: &mut crate::support::Client) -> Vec<String> {
    lines(&client.get(&path("look", "keys;get:n;get:a;get:b")).expect(200))
}

mpm_tests!(
    merging_requests_keep_each_others_keys,
    thirty_additions_at_once_lose_none_in_any_mode,
    a_session_can_be_let_go_and_taken_again,
);

pub fn merging_requests_keep_each_others_keys(mpm: Mpm) {
    let server = builder(mpm).start();
    let seen = around(&server, "commit", ["get:n;set:a=1", "unset:n"], "/commit?set:b=2");
    assert_eq!(
        seen[seen.len() - 4..],
        ["keys=SUCCESS b,a", "get=NOTFOUND", "get=SUCCESS 1", "get=SUCCESS 2"]
    );
    let seen = around(&server, "commit", ["get:n", "set:a=late"], "/commit?set:a=early;set:n=7");
    assert_eq!(seen[seen.len() - 3..], ["get=SUCCESS 7", "get=SUCCESS late", "get=NOTFOUND"]);
    let seen = around(&server, "off", ["get:n", "set:a=late"], "/off?set:b=early;set:n=7");
    assert_eq!(seen[seen.len() - 3..], ["get=SUCCESS 1", "get=SUCCESS late", "get=NOTFOUND"]);
}

fn thirty_additions_at_once_lose_none_in_any_mode(mpm: Mpm) {
    let server = builder(mpm).start();
    for place in ["probe", "symbols", "commit", "off"] {
        let mut client = visitor(&server);
        parallel(30, |_| {
            client.clone().get(&path(place, "add:n=1")).expect(200);
        });
        assert_eq!(count(&mut client), 31, "{place}");
    }
}

pub fn a_session_can_be_let_go_and_taken_again(mpm: Mpm) {
    let server = builder(mpm).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let ops =
        format!("incr:n;unlock;{};{};get:n;incr:n", signals.give("held"), signals.await_("go"));
    let first = client.clone().open(&ask(&ops));
    signals.wait("held");
    // What was changed before is stored, and nobody waits.
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 3"]);
    signals.raise("go");
    // A look shows what the handler had; the write took the session again and read it anew.
    let seen = lines(&answer(first).expect(200));
    assert_eq!(seen[0..2], ["incr=SUCCESS 2", "unlock=SUCCESS"]);
    assert_eq!(count(&mut client), 3 + u32::from(seen.contains(&"incr=SUCCESS 4".to_owned())));
}

#[test]
fn what_was_deleted_meanwhile_stays_deleted_and_the_caller_learns_it() {
    let server = builder(Mpm::Event).start();
    let seen = around(&server, "commit", ["get:n;set:a=1", "save"], "/commit?delete");
    assert!(seen.contains(&"save=NOTFOUND".to_owned()), "{seen:?}");
    assert_eq!(seen[seen.len() - 4].trim(), "keys=SUCCESS", "{seen:?}");
}

#[test]
fn limits_are_checked_on_what_was_merged() {
    let server = builder(Mpm::Event).start();
    let half = "x".repeat(600);
    let between = format!("/commit?set:b={half}");
    let seen = around(&server, "tight", [&format!("get:n;set:a={half}"), "save;revert"], &between);
    assert!(seen.contains(&"save=ENOSPC".to_owned()), "{seen:?}");
    assert_eq!(seen[seen.len() - 2], "get=NOTFOUND", "{seen:?}");
}

#[test]
fn locks_nest_and_a_held_session_is_not_to_be_had_by_trylock() {
    let server = builder(Mpm::Event).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let ops = format!("lock;lock;unlock;{};{}", signals.give("held"), signals.await_("go"));
    let holder = client.clone().open(&ask(&ops));
    signals.wait("held");
    let tried = client.get(&path("commit", "trylock")).expect(200);
    assert_eq!(lines(&tried), ["trylock=EBUSY"]);
    signals.raise("go");
    assert_eq!(answer(holder).expect(200).text().matches("SUCCESS").count(), 5);
    assert_eq!(
        run(&mut client, "trylock;incr:n;unlock"),
        ["trylock=SUCCESS", "incr=SUCCESS 2", "unlock=SUCCESS"]
    );
    server.expect_log("refused its session");
}

#[test]
fn what_cannot_be_added_to_is_refused_and_stays() {
    let server = builder(Mpm::Event).start();
    for place in ["probe", "commit", "off"] {
        let mut client = visitor(&server);
        let most = i64::MAX;
        let text = client
            .get(&path(place, &format!("set:a=many;save;add:a=1;set:b={most};save;add:b=1")))
            .expect(200);
        let seen = lines(&text);
        assert_eq!(
            (seen[2].as_str(), seen[5].as_str()),
            ("add=EINVAL", "add=ERANGE"),
            "{place}: {seen:?}"
        );
        let seen = run_look(&mut client);
        assert_eq!(seen[2..], ["get=SUCCESS many".to_owned(), format!("get=SUCCESS {most}")]);
    }
}

#[test]
fn where_sessions_are_only_looked_at_nothing_is_added_and_nothing_locked() {
    let server = builder(Mpm::Event).start();
    let mut client = visitor(&server);
    let seen = lines(&client.get(&path("look", "add:n=1;lock;set:a=1;get:n")).expect(200));
    assert_eq!(seen, ["add=EACCES", "lock=EACCES", "set=EACCES", "get=SUCCESS 1"]);
}
