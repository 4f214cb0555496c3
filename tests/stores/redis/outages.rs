//! A Redis that is away, frozen, full, or moves.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{kept_at, kept_in};
use crate::steps::{COOKIE, ask, count, lines, run, visitor};
use crate::support::{
    Builder, Client, Port, Redis, RedisWithSentinels, Server, parallel, wait_for,
};

/// Longest time until a server is back at work once its Redis is.
const PATIENCE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_millis(700);
/// What is said of a store that is out of reach.
const OUT: &str = "Redis at 127.0.0.1";

/// A server of one child: each child finds out for itself that its Redis is back.
fn of_one_child(builder: Builder) -> Server {
    builder.start_servers(1).threads(64).max_workers(64).start()
}

/// What failing requests may log.
fn allow_outage(server: &Server) {
    for part in ["before the handler: ", "a session function: ", "committing a session: "] {
        server.allow_log(part);
    }
    server.expect_log(OUT);
}

#[track_caller]
fn wait_until_back(client: &mut Client) {
    wait_for("sessions to be back", PATIENCE, || {
        (client.send(&ask("set:back=1")).text().trim() == "set=SUCCESS").then_some(())
    });
}

#[test]
fn a_redis_that_is_killed_under_load_is_503_at_once_and_back_by_itself() {
    let redis = Redis::start();
    let server = of_one_child(kept_in(&redis, ""));
    allow_outage(&server);
    let (stop, refused, longest) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let clients = parallel(8, |_| visitor(&server));
    std::thread::scope(|scope| {
        for client in &clients {
            let mut client = client.clone();
            let (stop, refused, longest) = (&stop, &refused, &longest);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.send(&ask("incr:n"));
                    longest.fetch_max(answer.took.as_millis() as u32, Ordering::Relaxed);
                    if answer.status == 503 || answer.text().contains("EGENERAL") {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        redis.kill();
        wait_for("refusals", PATIENCE, || (refused.load(Ordering::Relaxed) > 100).then_some(()));
        redis.start_again();
        wait_until_back(&mut server.client());
        stop.store(true, Ordering::Relaxed);
    });
    let longest = longest.load(Ordering::Relaxed);
    assert!(longest < 3000, "a request took {longest} ms");
    // What was in the memory of Redis is gone with it.
    let mut client = visitor(&server);
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    let old = clients[0].jar.get(COOKIE).expect("a cookie");
    server.assert_no_secret(&[old]);
}

#[test]
fn a_frozen_redis_costs_a_request_its_timeout_and_the_next_ones_nothing() {
    let redis = Redis::start();
    let server = of_one_child(kept_in(&redis, "?timeout=500ms&connect_timeout=500ms"));
    allow_outage(&server);
    let mut client = visitor(&server);
    redis.freeze();
    let first = client.send(&ask("incr:n"));
    assert!(first.took < Duration::from_secs(2), "{:?}", first.took);
    first.expect(503);
    // Of many at once one asks in vain; the others do not wait for it.
    let start = Instant::now();
    parallel(8, |_| client.clone().send(&ask("incr:n")));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    redis.thaw();
    wait_until_back(&mut client);
    let sum = count(&mut client);
    assert_eq!(run(&mut client, "incr:n"), [format!("incr=SUCCESS {}", sum + 1)]);
}

#[test]
fn a_server_starts_without_its_redis_warns_once_and_works_when_it_comes() {
    let port = Port::reserve();
    let address = format!("redis://127.0.0.1:{}", port.number());
    let server = of_one_child(kept_at(&address));
    allow_outage(&server);
    let warning = "the server starts all the same";
    server.expect_log(warning);
    let client = server.client();
    let refused = client.clone().send(&ask("set:n=1"));
    assert!(refused.took < AT_ONCE, "{:?}", refused.took);
    refused.expect(503);
    assert_eq!(server.log_count(warning), 1);
    let redis = Redis::start_on(port);
    wait_until_back(&mut client.clone());
    assert_eq!(count(&mut visitor(&server)), 1);
    drop(redis);
}

#[test]
fn while_redis_is_away_sessions_are_done_without_where_that_is_to_be_ignored() {
    let redis = Redis::start();
    let server = kept_in(&redis, "").conf("SessionStoreFailure ignore").start();
    allow_outage(&server);
    server.expect_log("serving without a session");
    let mut client = visitor(&server);
    redis.kill();
    let answer = client.send(&ask("get:n;is_new;set:a=1")).expect(200);
    assert_eq!(lines(&answer), ["get=NOTFOUND", "is_new=SUCCESS 1", "set=EGENERAL"]);
    assert!(answer.set_cookies().is_empty());
}

#[test]
fn a_full_redis_is_an_error_of_the_caller_and_old_data_stays() {
    let redis = Redis::start();
    let server = kept_in(&redis, "").start();
    server.expect_log("maxmemory of Redis");
    let mut client = visitor(&server);
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = ["get=SUCCESS 1", "set=SUCCESS", "save=ENOSPC", "revert=SUCCESS"];
    assert_eq!(run(&mut client, "get:n;set:n=2;save;revert"), refused);
    client.send(&ask("set:n=3")).expect(500);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(run(&mut client, "get:n;incr:n"), ["get=SUCCESS 1", "incr=SUCCESS 2"]);
}

#[test]
fn a_failover_by_sentinels_is_followed() {
    let redis = RedisWithSentinels::start();
    let server = of_one_child(kept_at(&redis.address()));
    allow_outage(&server);
    let mut client = visitor(&server);
    assert_eq!(redis.first().cli(&["WAIT", "1", "5000"]), "1");
    redis.first().kill();
    let refused = client.send(&ask("incr:n"));
    assert!(refused.took < Duration::from_secs(4), "{:?}", refused.took);
    redis.wait_for_failover();
    wait_until_back(&mut client);
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}

#[test]
fn the_address_changes_at_a_full_restart_only() {
    let (one, two) = (Redis::start(), Redis::start());
    let mut server = kept_in(&one, "").start();
    let mut client = visitor(&server);
    server.reconfigure(|builder| {
        let places = "<Location \"/probe\">\nSetHandler probe\n</Location>\nSessionEngine on\n";
        let store = format!("SessionStore {}\nSessionScope tests\n", two.address());
        builder.clear_conf().conf(places).conf(&store)
    });
    let warning = "what SessionStore redis is told changes at the next full restart";
    server.expect_log(warning);
    server.reload_graceful();
    assert_eq!(count(&mut client), 1);
    server.restart();
    assert_eq!(run(&mut client, "get:n;reason")[1], "reason=SUCCESS unknown");
}
