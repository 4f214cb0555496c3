//! That the servers of a test keep their sessions where the test, or the run, says.

use std::process::Command;

use crate::steps::{run, sessions};
use crate::support::{STORE_VARIABLE, Server, Store, apxs, on, stored};

const NEEDLE: &str = "a-needle-of-this-test";

/// What httpd itself says that it would use.
fn said_of(server: &Server) -> String {
    let mut httpd = Command::new(apxs::httpd());
    httpd.args(["-t", "-D", "DUMP_SESSION_STORE", "-f"]).arg(server.root().join("conf/httpd.conf"));
    String::from_utf8(httpd.output().expect("asking httpd").stdout).expect("text")
}

/// What is stored lies in the store of this test and in no other one, and httpd names it.
fn is_used(name: &str) {
    let server = sessions().start();
    assert_eq!(run(&mut server.client(), &format!("set:a={NEEDLE}")), ["set=SUCCESS"]);
    let said = said_of(&server);
    let told = Store::current().told();
    assert!(said.contains(&format!("session-store: {told}")), "{name}: {said}");
    for (other, store) in Store::ALL {
        let lies_there = || assert_eq!(stored::holds(&server, NEEDLE), name == other, "{other}");
        on(store, lies_there);
    }
}

#[test]
fn the_store_of_the_run_is_in_use() {
    is_used(&std::env::var(STORE_VARIABLE).unwrap_or_else(|_| "file".to_owned()));
}

#[test]
fn a_test_is_given_the_store_that_it_chooses() {
    for (name, store) in Store::ALL {
        on(store, || is_used(name));
        let _chosen = store.only("each is tried");
        is_used(name);
    }
}
