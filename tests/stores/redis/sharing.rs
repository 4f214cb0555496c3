//! Two servers as on two machines, which share their sessions.

use std::time::Duration;

use super::kept_in;
use crate::steps::{COOKIE, Signals, answer, ask, count, lines, run, visitor};
use crate::support::{Client, Redis, Server, parallel};

const REFUSED: &str = "a request was refused its session";
/// A place where nothing is held before the handler asks for it.
const PLAIN: &str = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>";

/// The visitor `client` of one server as a visitor of `other`.
fn at(other: &Server, client: &Client) -> Client {
    let mut there = other.client();
    there.jar.set(COOKIE, client.jar.get(COOKIE).expect("a session"));
    there
}

fn pair(redis: &Redis, options: &str, conf: &str) -> (Server, Server) {
    let start = || kept_in(redis, options).threads(64).ready_for(24).conf(PLAIN).conf(conf).start();
    (start(), start())
}

#[test]
fn increments_of_one_session_on_two_servers_lose_nothing() {
    // A limit of sessions stands between servers and their store.
    for conf in ["", "SessionMaxSessions 1000"] {
        let redis = Redis::start();
        let (one, two) = pair(&redis, "", conf);
        let mut client = visitor(&one);
        parallel(12, |index| {
            let mut client = if index % 2 == 0 { client.clone() } else { at(&two, &client) };
            for _ in 0..10 {
                assert!(run(&mut client, "incr:n")[0].starts_with("incr=SUCCESS"));
            }
        });
        assert_eq!(count(&mut client), 121, "{conf}");
    }
}

#[test]
fn additions_without_a_lease_on_two_servers_lose_nothing() {
    let redis = Redis::start();
    let (one, two) = pair(&redis, "", "SessionLocking commit");
    let mut client = visitor(&one);
    parallel(8, |index| {
        let mut client = if index % 2 == 0 { client.clone() } else { at(&two, &client) };
        for round in 0..10 {
            let answer = run(&mut client, &format!("add:n=1;set:k{index}={round}"));
            assert!(answer[0].starts_with("add=SUCCESS"), "{answer:?}");
        }
    });
    assert_eq!(count(&mut client), 81);
    let keys = run(&mut client, "keys");
    assert!((0..8).all(|index| keys[0].contains(&format!("k{index}"))), "{keys:?}");
}

#[test]
fn what_one_server_holds_the_other_waits_for_and_not_for_ever() {
    let redis = Redis::start();
    let (one, two) = pair(&redis, "", "SessionLockTimeout 1s");
    two.expect_log(REFUSED);
    let signals = Signals::of(&one);
    let mut client = visitor(&one);
    let mut there = at(&two, &client);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let refused = there.send(&ask("incr:n"));
    let took = refused.took;
    assert!(refused.expect(503).header("Retry-After").is_some());
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");
    // Looking at it waits for nobody.
    let looked = there.get("/plain?open:read;get:n").expect(200);
    assert_eq!(lines(&looked)[1], "get=SUCCESS 1");
    let mut waiter = there.open(&ask("incr:n"));
    assert!(!waiter.stirs(Duration::from_millis(300)), "it did not wait");
    signals.raise("end");
    assert_eq!(lines(&answer(holder).expect(200))[1], "incr=SUCCESS 2");
    assert_eq!(lines(&answer(waiter).expect(200)), ["incr=SUCCESS 3"]);
}

#[test]
fn a_request_holds_its_session_longer_than_the_lease() {
    let redis = Redis::start();
    let (one, two) = pair(&redis, "?lease=1s", "");
    let signals = Signals::of(&one);
    let mut client = visitor(&one);
    let mut there = at(&two, &client);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let mut waiter = there.open(&ask("incr:n"));
    assert!(!waiter.stirs(Duration::from_millis(3500)), "it had the session too early");
    signals.raise("end");
    assert_eq!(lines(&answer(holder).expect(200))[1], "incr=SUCCESS 2");
    assert_eq!(lines(&answer(waiter).expect(200)), ["incr=SUCCESS 3"]);
}

#[test]
fn what_a_request_holds_too_long_another_server_takes_and_the_late_one_merges() {
    let redis = Redis::start();
    let (one, two) = pair(&redis, "", "SessionLockHold 1s");
    one.expect_log("another server may have had a session");
    let signals = Signals::of(&one);
    let mut client = visitor(&one);
    let late = signals.hold(&mut client, "set:late=1", "held", "end");
    let mut there = at(&two, &client);
    let next = there.send(&ask("set:next=2"));
    assert!(next.took < Duration::from_secs(4), "{:?}", next.took);
    next.expect(200);
    signals.raise("end");
    answer(late).expect(200);
    let both = ["get=SUCCESS 1", "get=SUCCESS 2", "get=SUCCESS 1"];
    assert_eq!(run(&mut there, "get:late;get:next;get:n"), both);
    one.assert_no_secret(&[client.jar.get(COOKIE).expect("a cookie")]);
}

#[test]
fn what_a_killed_server_held_is_free_after_the_lease() {
    let redis = Redis::start();
    let (one, two) = pair(&redis, "?lease=2s", "");
    let signals = Signals::of(&one);
    let mut client = visitor(&one);
    let mut there = at(&two, &client);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    one.kill();
    let taken = there.send(&ask("incr:n"));
    let took = taken.took;
    assert_eq!(lines(&taken.expect(200)), ["incr=SUCCESS 2"]);
    assert!(took > Duration::from_millis(500) && took < Duration::from_secs(8), "{took:?}");
    drop(holder);
}

#[test]
fn a_session_deleted_on_one_server_does_not_come_back_on_the_other() {
    let redis = Redis::start();
    let (one, two) = pair(&redis, "", "SessionLocking commit");
    let signals = Signals::of(&one);
    let mut client = visitor(&one);
    let mut there = at(&two, &client);
    let ops = format!("get:n;{};{};set:late=1", signals.give("held"), signals.await_("go"));
    let late = client.open(&ask(&ops));
    signals.wait("held");
    assert_eq!(run(&mut there, "invalidate"), ["invalidate=SUCCESS"]);
    signals.raise("go");
    answer(late).expect(200);
    assert_eq!(run(&mut at(&two, &client), "get:n;reason")[1], "reason=SUCCESS unknown");
    assert!(redis.keys("session_store:*").is_empty());
}
