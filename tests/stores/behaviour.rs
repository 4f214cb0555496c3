//! What sessions do, whatever store they are in.

use std::time::{Duration, Instant};

use crate::steps::{Kept, Signals, answer, ask, count, lines, probed, run, visitor};
use crate::support::{Builder, Mpm, Request, Server, parallel};

/// A server whose sessions are kept in `store`.
pub fn kept_in(store: &str) -> Builder {
    probed().conf(&format!("SessionStore {store}\nSessionEngine on\nSessionLockWaiters 64 100%"))
}

/// Sessions come back as they were, in whichever process; with a value of `size` bytes.
pub fn a_session_comes_back(server: &Server, size: usize) {
    let mut client = visitor(server);
    for sum in 2..=20 {
        assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {sum}")]);
    }
    let bytes = "%00%01%ff".repeat(size / 3);
    assert_eq!(run(&mut client, &format!("set_bytes:b={bytes};user")).len(), 2);
    let read = run(&mut client, "get_bytes:b;is_new;reason");
    assert_eq!(read[0].to_ascii_lowercase(), format!("get_bytes=success {bytes}"));
    assert_eq!(read[1..], ["is_new=SUCCESS 0", "reason=SUCCESS none"]);
    assert_eq!(run(&mut server.client(), "get:n;reason")[1], "reason=SUCCESS none");
}

/// A new id finds the old data, the user's name is kept, the old id is dead.
pub fn a_login_changes_the_id_and_keeps_the_data(server: &Server) {
    let mut client = visitor(server);
    let mut old = client.clone();
    assert_eq!(run(&mut client, "set_user:alice"), ["set_user=SUCCESS"]);
    assert_eq!(run(&mut client, "user;get:n"), ["user=SUCCESS alice", "get=SUCCESS 1"]);
    assert_eq!(run(&mut old, "get:n")[0], "get=NOTFOUND");
}

/// Two hundred increments at once.
pub fn parallel_increments_lose_nothing(server: &Server) {
    let mut client = visitor(server);
    parallel(20, |_| {
        let mut client = client.clone();
        for _ in 0..10 {
            assert!(run(&mut client, "incr:n")[0].starts_with("incr=SUCCESS"));
        }
    });
    assert_eq!(count(&mut client), 201);
}

/// The same where requests run in parallel and are merged, by an addition that is one step.
pub fn parallel_additions_without_a_lease_lose_nothing(server: &Server) {
    let mut client = visitor(server);
    parallel(20, |_| {
        let mut client = client.clone();
        for _ in 0..10 {
            let text = client.get("/commit?add:n=1").expect(200).text();
            assert!(text.starts_with("add=SUCCESS"), "{text}");
        }
    });
    assert_eq!(count(&mut client), 201);
}

/// A place that holds no session, for [`parallel_additions_without_a_lease_lose_nothing`] and
/// [`a_deleted_session_stays_deleted`].
pub const COMMIT: &str =
    "<Location \"/commit\">\nSetHandler probe\nSessionLocking commit\n</Location>";

/// A request that loaded the session before it was deleted does not bring it back.
pub fn a_deleted_session_stays_deleted(server: &Server) {
    let signals = Signals::of(server);
    let mut client = visitor(server);
    let (held, go) = ("held-deleted", "go-deleted");
    let ops = format!("get:n;{};{};set:a=1", signals.give(held), signals.await_(go));
    let late = client.clone().open(&Request::get(&format!("/commit?{ops}")).close());
    signals.wait(held);
    let gone = client.clone();
    assert_eq!(run(&mut client, "invalidate"), ["invalidate=SUCCESS"]);
    signals.raise(go);
    assert_eq!(lines(&answer(late).expect(200))[0], "get=SUCCESS 1");
    assert_eq!(run(&mut gone.clone(), "get:n;reason")[1], "reason=SUCCESS unknown");
}

/// What a killed child had not committed is not there; what was before is.
pub fn a_killed_child_loses_nothing_that_was_committed(server: &Server) {
    let signals = Signals::of(server);
    let mut client = visitor(server);
    let start = Instant::now();
    for round in 1..=4 {
        assert_eq!(count(&mut client), round);
        let mut holder = Kept::new(&client, None);
        let held = format!("held-{round}");
        let ops = format!("incr:n;{};kill", signals.give(&held));
        holder.ask(&ops);
        signals.wait(&held);
        assert!(holder.answer().is_err(), "the child lives");
        assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {}", round + 1)]);
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

/// Sessions outlive a graceful restart, also one that is held while it happens.
pub fn a_graceful_restart_keeps_sessions(server: &Server) {
    let signals = Signals::of(server);
    let mut client = visitor(server);
    let mut other = visitor(server);
    let holder = signals.hold(&mut client, "incr:n", "held-graceful", "end-graceful");
    server.reload_graceful();
    assert_eq!(run(&mut other, "incr:n"), ["incr=SUCCESS 2"]);
    let waiter = client.open(&ask("incr:n"));
    signals.raise("end-graceful");
    assert_eq!(lines(&answer(holder).expect(200))[1], "incr=SUCCESS 2");
    assert_eq!(answer(waiter).expect(200).text(), "incr=SUCCESS 3\n");
}

/// All of these, on a server that is ready for them.
pub fn all(builder: Builder, mpm: Mpm) -> Server {
    let server = builder.mpm(mpm).threads(64).ready_for(24).conf(COMMIT).start();
    a_session_comes_back(&server, 900);
    a_login_changes_the_id_and_keeps_the_data(&server);
    parallel_increments_lose_nothing(&server);
    parallel_additions_without_a_lease_lose_nothing(&server);
    a_deleted_session_stays_deleted(&server);
    a_graceful_restart_keeps_sessions(&server);
    a_killed_child_loses_nothing_that_was_committed(&server);
    server
}

/// The suite of the core over the store of `server`, whose handler is at `/suite`, but for the parts in
/// `without`.
pub fn suite(server: &Server, without: &[&str]) {
    let texts = [
        include_str!("../../src/core/store/conformance/mod.rs"),
        include_str!("../../src/core/store/conformance/lists.rs"),
    ];
    let parts = texts.into_iter().flat_map(str::lines).filter_map(|line| {
        let (name, rest) = line.strip_prefix("pub fn ")?.split_once('(')?;
        rest.starts_with("store: &dyn Store)").then_some(name)
    });
    let parts: Vec<&str> = parts.collect();
    assert!(parts.len() > 20, "{parts:?}");
    assert!(without.iter().all(|name| parts.contains(name)), "{without:?}");
    for name in parts.iter().filter(|name| !without.contains(name)) {
        let status = server.get(&format!("/suite?{name}")).status;
        assert_eq!(status, 200, "{name}: {}", suite_problems(server));
    }
}

fn suite_problems(server: &Server) -> String {
    let log = server.error_log();
    log.lines().filter(|line| line.contains("suite: ")).collect::<Vec<_>>().join("\n")
}

/// Where [`suite`] finds its handler. Its records ended decades ago, so that the cleanup of the server has
/// to be off: a round in the middle would remove what a test has just made.
pub const SUITE: &str = "SessionCleanupInterval 0\n\
    <Location \"/suite\">\nSetHandler session-store-suite\n</Location>";
