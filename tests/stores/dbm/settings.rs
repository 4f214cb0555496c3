//! How the store is configured, and what is refused.

use super::{FRAGILE, KINDS, on, start};
use crate::steps::{probed, run, visitor};

fn tested(conf: &str) -> (bool, String) {
    let tested = probed().conf(conf).configtest();
    (tested.passed, tested.output)
}

#[test]
fn the_configuration_test_knows_every_kind_and_opens_nothing() {
    for kind in KINDS {
        let (passed, output) = tested(&format!(
            "SessionEngine on\nSessionDataDir \"${{DATA}}\"\nSessionStore dbm\nSessionDBMType {kind}"
        ));
        assert!(passed, "{kind}: {output}");
        assert_eq!(output.contains(FRAGILE), kind != "lmdb", "{kind}: {output}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    for (conf, parts) in [
        (
            "SessionDBMType ndbm",
            &["takes lmdb, or a type of APR's DBM: default, GDBM, DB or SDBM"][..],
        ),
        ("SessionStore dbm\nSessionEngine on", &["SessionDataDir DIR"]),
        ("SessionStore dbm:/a/b\nSessionDataDir /c", &["SessionDataDir and the directory"]),
        ("SessionStore dbm:/a/b?map=1", &["1M"]),
        ("SessionStore dbm:/a/b?size=1G", &["?map="]),
        ("SessionStore dbm:/a/b?map=1G\nSessionDBMType DB", &["SessionDBMType lmdb only"]),
    ] {
        let (passed, output) = tested(conf);
        assert!(!passed, "{conf}");
        for part in parts {
            assert!(output.contains(part), "{conf}: {output}");
        }
    }
}

#[test]
fn the_file_may_be_named_and_bounded() {
    let conf = "SessionEngine on\nSessionStore \"dbm:${ROOT}/place/own.mdb?map=16M\"";
    let mut server = probed().conf(conf).start();
    let mut client = visitor(&server);
    assert!(server.root().join("place/own.mdb").exists());
    assert!(server.root().join("place/.lock").exists());
    server.restart();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
}

#[test]
fn another_kind_or_place_waits_for_a_full_restart() {
    let mut server = start(on("lmdb"), "lmdb");
    let mut client = visitor(&server);
    server.reconfigure(|builder| {
        builder.clear_conf().conf(
            "SessionEngine on\nSessionDataDir \"${DATA}\"\nSessionStore dbm\nSessionDBMType GDBM\n\
         <Location \"/probe\">\nSetHandler probe\n</Location>",
        )
    });
    server.expect_log("the database changes from");
    server.expect_log(FRAGILE);
    server.reload_graceful();
    assert_eq!(run(&mut client, "incr:n"), ["incr=SUCCESS 2"]);
    server.restart();
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
    assert!(server.data_dir().join("sessions.gdbm").exists());
}
