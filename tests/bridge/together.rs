//! mod_session and others in one session at the same time.

use super::{entries, forms, log_in, set_entries};
use crate::mpm_tests;
use crate::steps::{Signals, answer, run, visitor};
use crate::support::probed::records;
use crate::support::{Mpm, Request, parallel};

const SIDES: usize = 12;

mpm_tests!(parallel_requests_of_all_kinds_lose_nothing);

fn parallel_requests_of_all_kinds_lose_nothing(mpm: Mpm) {
    for locking in ["request", "commit"] {
        let server = forms()
            .mpm(mpm)
            .ready_for(2 * SIDES as u32)
            .conf(&format!("SessionLocking {locking}\nSessionLockWaiters 40 100%"))
            .start();
        let client = visitor(&server);
        parallel(SIDES, |side| {
            let mut client = client.clone();
            match side % 3 {
                // Each its own entry.
                0 => drop(set_entries(&mut client, &format!("m{side}={side}"))),
                1 => drop(run(&mut client, &format!("set:p{side}={side};add:sum=1"))),
                _ if locking == "request" => drop(client.get("/add.lua").expect(200)),
                _ => drop(run(&mut client, "add:n=1;add:sum=1")),
            }
        });
        let mut client = client.clone();
        let known = entries(&mut client);
        for side in 0..SIDES {
            let wanted = match side % 3 {
                0 => format!("m{side}={side}"),
                1 => format!("p{side}={side}"),
                _ => continue,
            };
            assert!(
                known.split('&').any(|entry| entry == wanted),
                "{locking}: {wanted} in {known}"
            );
        }
        let count = run(&mut client, "get:n")[0].clone();
        assert_eq!(count, format!("get=SUCCESS {}", 1 + SIDES / 3), "{locking}");
        assert_eq!(records(&server), 1, "{locking}");
    }
}

#[test]
fn parallel_logins_leave_one_login() {
    let server = forms().ready_for(16).conf("SessionLockWaiters 40 100%").start();
    let client = visitor(&server);
    let users = ["ann", "bob", "eve"];
    let mut clients = parallel(6, |side| {
        let mut client = client.clone();
        log_in(&mut client, users[side % 3]).expect(302);
        client
    });
    // Each was told an id of its own; the data of before went with the first of them.
    let inside = clients.iter_mut().filter_map(|client| {
        let there = super::is_in(client);
        there.then(|| run(client, "get:n")[0].clone())
    });
    let seen: Vec<String> = inside.collect();
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert_eq!(seen.iter().filter(|n| *n == "get=SUCCESS 1").count(), 1, "{seen:?}");
    assert_eq!(records(&server), 6);
    assert_eq!(run(&mut client.clone(), "is_new"), ["is_new=SUCCESS 1"]);
}

#[test]
fn reading_waits_for_nobody_and_writing_for_who_has_the_session() {
    let server = forms().conf("SessionLockTimeout 20s").start();
    let mut client = visitor(&server);
    let signals = Signals::of(&server);
    let held = signals.hold(&mut client.clone(), "set:n=2", "held", "end");
    // Static files, and whoever only looks.
    assert_eq!(client.get("/page.html").expect(200).text(), "page\n");
    client.get("/in/page.html").expect(401);
    let query = "errheader:X-Entries=m%3D1;return:404";
    let mut writer = client.clone().open(&Request::get(&format!("/symbols?{query}")).close());
    assert!(!writer.stirs(std::time::Duration::from_millis(300)), "it did not wait");
    signals.raise("end");
    answer(held).expect(200);
    answer(writer).expect(404);
    assert_eq!(run(&mut client, "get:n;get:m"), ["get=SUCCESS 2", "get=SUCCESS 1"]);
}

#[test]
fn a_login_that_waits_too_long_is_refused_and_changes_nothing() {
    let server = forms()
        .conf("SessionLockTimeout 0\n<Location \"/login\">\nSessionNotes off\n</Location>")
        .start();
    let mut client = visitor(&server);
    let signals = Signals::of(&server);
    let held = signals.hold(&mut client.clone(), "set:n=2", "held", "end");
    let refused = log_in(&mut client.clone(), "ann").expect(503);
    assert_eq!(refused.header("Retry-After"), Some("1"));
    assert!(refused.set_cookies().is_empty());
    signals.raise("end");
    answer(held).expect(200);
    assert_eq!(run(&mut client, "get:n;user"), ["get=SUCCESS 2", "user=SUCCESS -"]);
    server.expect_log("a request was refused its session");
    server.allow_log("AH01822");
    log_in(&mut client, "ann").expect(302);
}
