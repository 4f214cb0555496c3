//! Passwords and certificates: what is refused, and that nothing of them is ever shown.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{kept_at, kept_in};
use crate::steps::{ask, count, visitor};
use crate::support::{Certificates, Redis, is_root};

const WORD: &str = "hidden-password-of-redis";

/// A file with a password.
fn password_file(content: &str, mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("password");
    fs::write(&path, content).expect("writing a password");
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
    (folder, path)
}

fn guarded() -> Redis {
    Redis::start_with(&["--requirepass", WORD])
}

#[test]
fn a_password_comes_from_a_file_that_children_cannot_read() {
    let redis = guarded();
    let (_folder, path) = password_file(&format!("{WORD}\n"), 0o600);
    let builder = kept_in(&redis, &format!("?password_file={}", path.display()));
    let test = builder.clone().configtest();
    assert!(test.passed && !test.output.contains("warn"), "{}", test.output);
    let server = builder.start();
    assert_eq!(count(&mut visitor(&server)), 1);
    server.assert_no_secret(&[WORD]);
}

#[test]
fn a_password_in_the_address_works_is_warned_of_and_shown_nowhere() {
    let redis = guarded();
    let address = format!("redis://:{WORD}@127.0.0.1:{}", redis.port());
    let builder = kept_at(&address)
        .module("info")
        .conf("<Location \"/info\">\nSetHandler server-info\n</Location>");
    let warning = "SessionStore has a password in the configuration itself";
    let test = builder.clone().configtest();
    assert!(test.passed && test.output.contains(warning), "{}", test.output);
    assert!(!test.output.contains(WORD), "{}", test.output);
    let server = builder.start();
    server.expect_log(warning);
    assert_eq!(count(&mut visitor(&server)), 1);
    let info = server.get("/info?config").expect(200).text();
    assert!(info.contains("SessionStore") && info.contains("redis://...@127.0.0.1"), "{info}");
    assert!(!info.contains(WORD));
    redis.kill();
    server.allow_log("a session function: ");
    server.allow_log("before the handler: ");
    server.allow_log("committing a session: ");
    server.client().send(&ask("set:n=1")).expect(503);
    server.assert_no_secret(&[WORD]);
}

#[test]
fn a_wrong_password_is_a_clear_message_that_does_not_show_it() {
    let redis = guarded();
    let (_folder, path) = password_file("hidden-wrong-one", 0o600);
    for (options, said) in [
        (format!("?password_file={}", path.display()), "refused the user or the password"),
        (String::new(), "wants a password"),
    ] {
        let server = kept_in(&redis, &options).start();
        server.expect_log(said);
        server.allow_log("committing a session: ");
        server.client().send(&ask("set:n=1")).expect(503);
        server.assert_no_secret(&["hidden-wrong-one", WORD]);
    }
}

#[test]
fn a_file_that_is_missing_empty_or_open_is_refused_by_name() {
    let redis = Redis::start();
    let (_one, empty) = password_file("\n", 0o600);
    let (_two, open) = password_file(WORD, 0o644);
    let mut cases =
        vec![(empty, "holds no password"), ("/nonexistent/word".into(), "No such file")];
    if is_root() {
        cases.push((open, "make it root's with mode 600"));
    }
    for (path, said) in cases {
        let builder = kept_in(&redis, &format!("?password_file={}", path.display()));
        let test = builder.clone().configtest();
        assert!(!test.passed && test.output.contains(said), "{}", test.output);
        assert!(test.output.contains(path.to_str().expect("a path")), "{}", test.output);
        let refusal = builder.try_start().err().expect("a refusal");
        let text = refusal.output + &refusal.log;
        assert!(text.contains(said) && !text.contains(WORD), "{text}");
    }
}

#[test]
fn mistakes_in_an_address_are_refused_without_showing_it() {
    for (address, said) in [
        (format!("redis://:{WORD}@host?time=1s"), "password_file, database"),
        (format!("redis://:{WORD}@host:port"), "has a port that is none"),
        (format!("redis+sentinel://:{WORD}@host"), "names no master"),
    ] {
        let test = kept_at(&address).configtest();
        assert!(!test.passed && test.output.contains(said), "{}", test.output);
        assert!(!test.output.contains(WORD), "{}", test.output);
    }
}

#[test]
fn a_scope_that_is_not_set_is_warned_of() {
    let redis = Redis::start();
    let test = crate::stores::behaviour::kept_in(&redis.address()).configtest();
    assert!(test.passed && test.output.contains("SessionScope is not set"), "{}", test.output);
}

/// A server that speaks TLS alone, and its address.
fn by_tls(certificates: &Certificates) -> (Redis, String) {
    let redis = Redis::start_by_tls(certificates);
    let address = redis.address().replace("redis:", "rediss:");
    (redis, address)
}

#[test]
fn sessions_travel_by_tls_with_certificates_of_both_sides() {
    let certificates = Certificates::make();
    let (_redis, address) = by_tls(&certificates);
    let options = format!(
        "?ca={}&cert={}&key={}",
        certificates.ca().display(),
        certificates.cert().display(),
        certificates.key().display()
    );
    let server = kept_at(&format!("{address}{options}")).start();
    assert_eq!(count(&mut visitor(&server)), 1);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_a_clear_message() {
    let (ours, others) = (Certificates::make(), Certificates::make());
    let (_redis, address) = by_tls(&ours);
    let server = kept_at(&format!("{address}?ca={}", others.ca().display())).start();
    server.expect_log("invalid peer certificate");
    server.allow_log("committing a session: ");
    server.client().send(&ask("set:n=1")).expect(503);
}
