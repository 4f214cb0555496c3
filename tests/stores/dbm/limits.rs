//! What does not fit, and what is said of it.

use super::{on, start};
use crate::steps::{ask, run, visitor};

const SAID: &str = "the session is larger than its store can hold: 934 bytes";

#[test]
fn a_session_too_large_for_sdbm_is_an_error_that_names_the_limit() {
    let server = start(on("SDBM"), "SDBM");
    let mut client = visitor(&server);
    let large = format!("set:text={}", "x".repeat(1500));
    server.expect_log(SAID);
    client.send(&ask(&large)).expect(500);
    assert_eq!(server.log_count(SAID), 1);
    // Who stores it himself is told, and nothing of it stays.
    let answer = run(&mut client, &format!("{large};save;unset:text;save"));
    assert_eq!(answer, ["set=SUCCESS", "save=ENOSPC", "unset=SUCCESS", "save=SUCCESS"]);
    assert_eq!(run(&mut client, "get:n;get:text"), ["get=SUCCESS 1", "get=NOTFOUND"]);
    let fits = format!("set:text={}", "x".repeat(500));
    assert_eq!(run(&mut client, &fits), ["set=SUCCESS"]);
}

#[test]
fn the_other_kinds_hold_what_the_place_allows() {
    for kind in ["lmdb", "GDBM", "DB"] {
        let server = start(on(kind), kind);
        let mut client = visitor(&server);
        for _ in 0..3 {
            let large = format!("set:text={}", "x".repeat(5000));
            assert_eq!(run(&mut client, &large), ["set=SUCCESS"], "{kind}");
            let text = &run(&mut client, "get:text")[0];
            assert_eq!(text.len(), "get=SUCCESS ".len() + 5000, "{kind}");
        }
    }
}
