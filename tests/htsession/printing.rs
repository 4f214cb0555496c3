//! What is printed: safe for a terminal, JSON for programs, and as much of it as somebody reads.

use std::process::{Command, Stdio};

use super::{PROGRAM, hashes, on, reached, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::Store;

#[test]
fn it_starts_by_itself_and_needs_nothing_of_httpd_but_apr() {
    let version = tool(["--version"]).succeed();
    assert_eq!(version, format!("htsession {}\n", env!("CARGO_PKG_VERSION")));
    let libraries = Command::new("ldd").arg(PROGRAM).output().expect("running ldd");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    assert!(libraries.contains("libc.so"), "{libraries}");
    for foreign in ["apache", "httpd", "not found"] {
        assert!(!libraries.contains(foreign), "{libraries}");
    }
    let symbols = Command::new("nm").args(["--dynamic", "--undefined-only", PROGRAM]).output();
    let symbols = String::from_utf8_lossy(&symbols.expect("running nm").stdout).into_owned();
    assert!(symbols.contains("apr_dbm_open_ex"), "{symbols}");
    assert!(!symbols.contains(" ap_"), "{symbols}");
}

#[test]
fn a_user_and_a_key_cannot_write_to_the_terminal() {
    let _reached = reached();
    let server = sessions().start();
    let mut client = visitor(&server);
    let done = run(&mut client, "set_user:root%e2%80%aenna;set:v=%1b[2J%c2%9b3J;set:raw=%ff%fe");
    assert!(done.iter().all(|line| line.ends_with("=SUCCESS")), "{done:?}");
    let hash = hashes(&server).remove(0);
    for arguments in
        [vec!["list"], vec!["show", "--values", &hash], vec!["show", "--values", "--json", &hash]]
    {
        let text = on(&server, &arguments).succeed();
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(harmful), "{text:?}");
    }
    assert_eq!(on(&server, &["list"]).succeed().lines().count(), 2);
    let shown = on(&server, &["show", "--values", "--json", &hash]).json();
    assert_eq!(shown["user"], "root\u{202e}nna");
    assert_eq!(shown["values"][1]["text"], "\u{1b}[2J\u{9b}3J");
    assert_eq!(shown["values"][2]["hex"], "fffe");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let _reached = reached();
    let server = sessions().start();
    for _ in 0..3 {
        visitor(&server);
    }
    let mut child = Command::new(PROGRAM)
        .args(Store::current().tool(&server))
        .arg("list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting htsession");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("waiting for htsession");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn an_empty_store_is_an_empty_list() {
    let _reached = reached();
    let server = sessions().start();
    assert_eq!(on(&server, &["list"]).succeed().lines().count(), 1, "the head alone");
    assert_eq!(on(&server, &["list", "--json"]).succeed(), "[]\n");
    assert_eq!(on(&server, &["check"]).succeed(), "0 sound, 0 of a newer release, 0 damaged\n");
}

#[test]
fn a_terminal_gets_the_same_lines() {
    let _reached = reached();
    let server = sessions().start();
    visitor(&server);
    let line = format!("{PROGRAM} {} list", Store::current().tool(&server).join(" "));
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output();
    let shown = String::from_utf8(output.expect("running script").stdout).expect("text");
    assert_eq!(shown.replace("\r\n", "\n"), on(&server, &["list"]).succeed());
}
