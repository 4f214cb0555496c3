//! Every directive, taken and refused by a real `httpd -t`.

use mod_session_store::core::config::{DIRECTIVES, Directive};

use crate::support::{Builder, ConfigTest, Server};

/// A directive, arguments that are taken, arguments that are not, and what is said of those.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("SessionEngine", "on", "yes", "this is none of them"),
    ("SessionStore", "\"file:${DATA}\"", "a/b", "names no store"),
    ("SessionDataDir", "\"${DATA}\"", "/a /b", "takes one argument"),
    ("SessionDBMType", "lmdb", "ndbm", "this is none of them"),
    ("SessionMemorySize", "2M", "1023K", "is less than 1M"),
    ("SessionMaxSessions", "0", "some", "is no number"),
    ("SessionLocks", "1", "65537", "is more than 65536"),
    ("SessionLocking", "commit", "write", "this is none of them"),
    ("SessionLockTimeout", "1h", "3601s", "is more than 1h"),
    ("SessionLockWaiters", "4096 100%", "16 101%", "is more than 100"),
    ("SessionLockHold", "0", "five", "is no time"),
    ("SessionTimeout", "12h", "0", "is less than 1s"),
    ("SessionMaxLifetime", "400d", "401d", "is more than 400d"),
    ("SessionTouchInterval", "10s", "1.5s", "other than s, m, h and d"),
    ("SessionIdName", "sid", "\"a;b\"", "has a character other than"),
    ("SessionIdSource", "cookie header:X-Id query:id", "query:id cookie", "out of this order"),
    ("SessionIdPath", "/shop", "shop", "does not begin with /"),
    ("SessionIdDomain", ".example.org", "localhost", "has one label only"),
    ("SessionIdSameSite", "strict", "relaxed", "this is none of them"),
    ("SessionIdSecure", "on", "https", "this is none of them"),
    ("SessionIdHttpOnly", "off", "1", "this is none of them"),
    ("SessionIdPartitioned", "off", "auto", "this is none of them"),
    ("SessionIdMaxAge", "timeout", "forever", "is no time"),
    ("SessionIdRefresh", "on", "always", "this is none of them"),
    ("SessionIdHide", "off", "cookie", "this is none of them"),
    ("SessionScope", "shop.example.org:8080", "\"two words\"", "has a blank"),
    ("SessionSecret", "exec:/bin/true", "fiel:/etc/secret", "other than file: and exec:"),
    ("SessionRegenerateGrace", "10m", "11m", "is more than 10m"),
    ("SessionInvalidateCorrupt", "off", "keep", "this is none of them"),
    ("SessionSaveOnError", "on", "500", "this is none of them"),
    ("SessionMaxSize", "16M", "17M", "is more than 16M"),
    ("SessionMaxKeys", "4096", "4097", "is more than 4096"),
    ("SessionStoreFailure", "ignore", "503", "this is none of them"),
    ("SessionNotes", "off", "in", "this is none of them"),
    ("SessionExport", "env cart user.name", "\"env\" a:b", "a key of other characters"),
    ("SessionBackendHeaders", "all", "user", "this is none of them"),
    ("SessionCacheControl", "off", "private", "this is none of them"),
    ("SessionCleanupInterval", "0", "25h", "is more than 1d"),
    ("SessionCleanupTimeLimit", "1s", "0", "is less than 1s"),
    ("SessionCleanupGrace", "2s", "1s", "is less than 2s"),
    ("SessionSync", "on", "data", "this is none of them"),
];

fn row(name: &str) -> &'static Directive {
    DIRECTIVES.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("{name} is none"))
}

fn builder() -> Builder {
    Server::builder()
}

/// What httpd says of a file with two empty lines and then `lines`, a part of the configuration.
fn said_of(lines: &str) -> ConfigTest {
    let file = format!("\n\n{lines}\n");
    builder().document("part.conf", file).conf("Include \"${DOCS}/part.conf\"").configtest()
}

#[track_caller]
fn refused(lines: &str, line: u32, parts: &[&str]) {
    let test = said_of(lines);
    let at = format!("Syntax error on line {line} of ");
    assert!(!test.passed && test.output.contains(&at), "{lines}: {}", test.output);
    assert!(test.output.contains("docs/part.conf"), "{}", test.output);
    for part in parts {
        assert!(test.output.contains(part), "{part:?} is not said: {}", test.output);
    }
}

#[test]
fn every_directive_is_here() {
    let known: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
    for row in DIRECTIVES {
        assert!(known.contains(&row.name), "{} has no row", row.name);
    }
}

#[test]
fn every_directive_is_taken_where_it_belongs() {
    let mut text = String::new();
    for (number, (name, good, ..)) in ROWS.iter().enumerate() {
        if row(name).is_for_server() {
            text.push_str(&format!("{name} {good}\n"));
            continue;
        }
        text.push_str(&format!(
            "<Location \"/l{number}\">\nSessionEngine on\n{name} {good}\n</Location>\n\
             <Directory \"${{DOCS}}/d{number}\">\n{name} {good}\n</Directory>\n\
             <VirtualHost *:${{PORT}}>\nServerName v{number}.test\n{name} {good}\n\
             <Files \"*.cgi\">\n{name} {good}\n</Files>\n\
             <If \"-n '1'\">\n{name} {good}\n</If>\n</VirtualHost>\n"
        ));
    }
    let test = builder().conf(&text).configtest();
    assert!(test.passed, "{}", test.output);
    assert!(!test.output.contains("session_store:"), "{}", test.output);
}

#[test]
fn a_bad_argument_is_refused_with_the_place_what_is_wrong_and_what_is_taken() {
    for (name, _, bad, problem) in ROWS {
        refused(&format!("{name} {bad}"), 3, &[name, "takes ", row(name).allowed, problem]);
    }
}

#[test]
fn a_bad_argument_is_not_repeated_where_it_may_be_a_secret() {
    for secret in ["hidden", "EXEC:hidden-hidden-hidden", "hidden-hidden hidden"] {
        let test = said_of(&format!("SessionSecret {secret}"));
        assert!(!test.passed && !test.output.contains("hidden-hidden"), "{}", test.output);
    }
}

#[test]
fn no_argument_and_one_too_many_are_refused_with_what_is_taken() {
    for name in ["SessionEngine", "SessionTimeout", "SessionDataDir", "SessionIdSource"] {
        refused(name, 3, &["takes one argument", row(name).allowed]);
    }
    refused("SessionTimeout 5m 6m", 3, &["takes one argument: a time from 1s"]);
    refused("SessionLockWaiters 1 2% 3", 3, &["takes one or two arguments"]);
    refused(&format!("SessionIdSource{}", " cookie".repeat(70)), 3, &["more than 64 arguments"]);
}

#[test]
fn what_is_for_the_whole_server_is_refused_in_sections_and_virtual_hosts() {
    for (name, good, ..) in ROWS.iter().filter(|(name, ..)| row(name).is_for_server()) {
        for section in ["VirtualHost *:1", "Directory /", "Location /", "Files x", "If true"] {
            let kind = section.split(' ').next().expect("a word");
            let lines = format!("<{section}>\n{name} {good}\n</{kind}>");
            refused(&lines, 4, &[name]);
        }
    }
}

#[test]
fn what_is_for_the_whole_server_is_taken_once() {
    for (name, good, ..) in ROWS.iter().filter(|(name, ..)| row(name).is_for_server()) {
        refused(&format!("{name} {good}\n{name} {good}"), 4, &["only one is allowed"]);
    }
}
