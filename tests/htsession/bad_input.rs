//! Command lines and stores that make no sense: each has its code and says what is wrong.

use std::fs;
use std::os::unix::fs::chown;

use super::{code, hashes, on, reached, tool};
use crate::steps::{sessions, visitor};
use crate::support::{SERVER_USER, Store, ids_of, is_root};

#[test]
fn a_command_line_that_makes_no_sense_is_refused_without_repeating_arguments() {
    let _reached = reached();
    for (arguments, part) in [
        (vec!["frobnicate"], "no such command"),
        (vec!["--frobnicate"], "no option --frobnicate"),
        (vec!["-x"], "no option -x"),
        (vec!["--json"], "no command"),
        (vec!["list", "more"], "list takes no argument"),
        (vec!["show"], "show takes SESSION"),
        (vec!["show", "a", "b"], "show takes SESSION"),
        (vec!["delete"], "or --user NAME, or --all"),
        (vec!["delete", "--all", "--user", "ann", "--yes"], "or --user NAME, or --all"),
        (vec!["list", "--values"], "list takes no --values"),
        (vec!["list", "--user", "a", "--user", "b"], "--user is given twice"),
        (vec!["list", "--user"], "missing argument"),
        (vec!["purge", "--older-than", "soon"], "is no time"),
        (vec!["copy"], "copy takes [FROM] TO"),
        (vec!["--store", "file:/x", "-f", "/y", "list"], "httpd is not asked"),
        (vec!["--data-dir", "/x", "list"], "go with --store"),
        (vec!["--store", "file", "list"], "needs a directory"),
        (vec!["--store", "file:/a", "--data-dir", "/b", "list"], "differ"),
        (vec!["--store", "", "list"], "SessionStore takes"),
        (vec!["--store", "memory:1", "list"], "SessionStore takes"),
        (vec!["--store", "file:/x", "init", "--owner", "no-such-user"], "names no user"),
    ] {
        tool(&arguments).fail(code::USAGE, &[part]);
    }
    let slip = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYm";
    let server = sessions().start();
    let ran = on(&server, &["show", slip]).fail(code::USAGE, &["by its whole id"]);
    assert!(!ran.err.contains(slip), "{ran:?}");
}

#[test]
fn the_help_comes_alone_and_with_anything() {
    for arguments in [vec![], vec!["--help"], vec!["-h"], vec!["list", "--help", "--bad", "--help"]]
    {
        let ran = tool(&arguments).run();
        if arguments.contains(&"--bad") {
            assert_eq!(ran.code, Some(code::USAGE));
        } else {
            assert!(ran.code == Some(0) && ran.out.starts_with("Usage: htsession"), "{ran:?}");
        }
    }
}

#[test]
fn a_store_that_is_not_there_or_cannot_be_opened_is_told() {
    tool(["--store", "file:/no/such/place", "list"]).fail(code::STORE, &["/no/such"]);
    tool(["--store", "socache:shmcb", "list"]).fail(code::STORE, &["httpd alone"]);
    tool(["--store", "own-store:argument", "list"]).fail(code::STORE, &["httpd alone"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let store = format!("file:{}", file.display());
    tool(["--store", &store, "list"]).fail(code::STORE, &["is not a directory"]);
}

#[test]
fn what_is_not_there_or_not_the_only_one_is_told() {
    let _files = Store::File.only("a file is copied to the name of a twin");
    let server = sessions().start();
    for _ in 0..2 {
        visitor(&server);
    }
    on(&server, &["show", "abcdef012345"]).fail(code::NOT_FOUND, &["no such session"]);
    on(&server, &["show", &"0".repeat(64)]).fail(code::NOT_FOUND, &["no such session"]);
    on(&server, &["delete", &"0".repeat(64)]).fail(code::NOT_FOUND, &["1 sessions"]);
    on(&server, &["delete", "--user", "nobody"]).fail(code::NOT_FOUND, &["no such session"]);
    let hash = hashes(&server).remove(0);
    let (folder, twin) = (server.data_dir().join(&hash[..2]), format!("{}0000", &hash[..60]));
    let twin = folder.join(twin);
    fs::copy(folder.join(&hash), &twin).expect("a twin");
    if is_root() {
        let unreadable = on(&server, &["check"]).fail(code::PROBLEM, &[]);
        assert!(
            unreadable.out.contains("0000: opening a record: Permission denied"),
            "{unreadable:?}"
        );
        let (user, group) = ids_of(SERVER_USER);
        chown(&twin, Some(user), Some(group)).expect("giving it away");
    }
    on(&server, &["show", &hash[..20]]).fail(code::USAGE, &["several sessions begin with"]);
    on(&server, &["show", &hash]).succeed();
    on(&server, &["delete", "-"]).input("  \n").fail(code::USAGE, &["names no session"]);
}
