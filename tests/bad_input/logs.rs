//! What goes wrong is logged, and never with an id, a key, a value or a user in it.

use crate::steps::{COOKIE, Signals, answer, ask, run, sessions};
use crate::support::{Client, Server, stored};

const KEY: &str = "k3y-of-nobodys-business";
const VALUE: &str = "v4lue-of-nobodys-business";
const USER: &str = "us3r-of-nobodys-business";

fn id(client: &Client) -> String {
    client.jar.get(COOKIE).expect("a cookie").to_owned()
}

/// A held session: waits, refusals, a takeover with a merge.
fn contend(server: &Server, client: &mut Client) {
    let signals = Signals::of(server);
    server.expect_log("a request was refused its session");
    server.expect_log("longer than SessionLockHold");
    let late = signals.hold(client, &format!("set:{KEY}={VALUE}1"), "held", "end");
    client.get(&format!("/at-once?set:{KEY}=x")).expect(503);
    client.send(&ask(&format!("set:{KEY}-2={VALUE}"))).expect(200);
    signals.raise("end");
    answer(late).expect(200);
}

/// A session that is gone when its changes are to be stored.
fn vanish(server: &Server, client: &mut Client) {
    let signals = Signals::of(server);
    let late = signals.hold(client, &format!("set:{KEY}={VALUE}"), "again", "over");
    // It waits until the other one has had the session for as long as it may.
    client.send(&ask("delete")).expect(200);
    signals.raise("over");
    answer(late);
}

#[test]
fn no_id_key_value_or_user_is_in_any_line_at_any_level() {
    let server = sessions()
        .log_level("trace8")
        .conf(
            "SessionLockHold 1s\nSessionMaxSize 1K\n\
             <Location \"/at-once\">\nSetHandler probe\nSessionLockTimeout 0\n</Location>",
        )
        .start();
    let mut secrets = vec![];
    let mut client = server.client();
    let post = |client: &mut Client, ops: &str| client.send(&ask(ops));
    post(&mut client, &format!("set:{KEY}={VALUE};set_user:{USER}")).expect(200);
    secrets.push(id(&client));
    post(&mut client, "regenerate").expect(200);
    secrets.push(id(&client));
    contend(&server, &mut client);

    server.expect_log("SessionMaxSize");
    post(&mut client, &format!("setnote:session:{KEY}={}", VALUE.repeat(60))).expect(500);
    server.expect_log("make no sense");
    post(&mut client, &format!("setnote:session-store.do={VALUE}")).expect(500);
    post(&mut client, &format!("set:{KEY}{}={VALUE}", "k".repeat(120))).expect(200);
    vanish(&server, &mut client);

    let mut other = server.client();
    run(&mut other, &format!("set:{KEY}={VALUE};set_user:{USER}"));
    secrets.push(id(&other));
    stored::damage(&server, KEY);
    server.expect_log("a damaged record");
    run(&mut other, "get:x");
    for forged in ["x".repeat(43), format!("{}.{}", "y".repeat(43), "z".repeat(22))] {
        let mut stranger = server.client();
        stranger.jar.set(COOKIE, &forged);
        run(&mut stranger, "get:x");
        secrets.push(forged);
    }

    // At this level httpd itself logs request lines and headers. Those are its own.
    let ours: Vec<String> = server
        .error_log()
        .lines()
        .filter(|line| line.contains("[session_store:"))
        .map(str::to_owned)
        .collect();
    assert!(ours.len() >= 6, "{ours:#?}");
    for line in &ours {
        for secret in secrets.iter().map(String::as_str).chain([KEY, VALUE, USER]) {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
