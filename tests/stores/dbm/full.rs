//! A full disk and a full database: old data stays, the caller is told, and it works again by itself.

use super::super::disk::full_disk_ends_by_itself;
use super::{LIBRARIES, start};
use crate::steps::{ask, probed, run, visitor};

#[test]
fn a_full_disk_is_an_outage_that_ends_by_itself_with_every_kind() {
    for kind in LIBRARIES {
        let line = format!("SessionStore dbm\nSessionDBMType {kind}");
        full_disk_ends_by_itself(&line, |builder| start(builder, kind));
    }
}

#[test]
fn a_full_database_is_an_error_that_names_its_bound_and_old_sessions_stay() {
    let server = probed()
        .conf("SessionEngine on\nSessionStore \"dbm:${ROOT}/place/own.mdb?map=1M\"")
        .start();
    let mut old = visitor(&server);
    server.expect_log("what the database may hold (SessionStore dbm:FILE?map=SIZE)");
    let large = format!("set:text={}", "x".repeat(3000));
    let mut stored = Vec::new();
    loop {
        let mut client = server.client();
        match client.send(&ask(&large)).status {
            200 => stored.push(client),
            500 => break,
            status => panic!("{status}"),
        }
        assert!(stored.len() < 2000, "it never was full");
    }
    assert!(stored.len() > 20);
    assert_eq!(run(&mut old, "incr:n"), ["incr=SUCCESS 2"]);
    for client in &mut stored {
        assert_eq!(run(client, "delete"), ["delete=SUCCESS"]);
    }
    assert_eq!(run(&mut server.client(), &large), ["set=SUCCESS"]);
}
