//! Signed ids.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{id_set, is_id};
use crate::steps::{ask, lines, probed, run};
use crate::support::{Builder, Client, Server, is_root};

const NAME: &str = "session_store";
const OLD: &str = "an old secret of 32 characters..";
const NEW: &str = "a newer secret of 32 characters.";

/// Files with secrets, for root alone.
struct Secrets(TempDir);

impl Secrets {
    fn new() -> Secrets {
        let secrets = Secrets(tempfile::tempdir().expect("a folder"));
        secrets.write("old", OLD, 0o600);
        secrets.write("new", NEW, 0o600);
        secrets
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, secret: &str, mode: u32) {
        fs::write(self.path(name), format!("{secret}\n")).expect("writing a secret");
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("its mode");
    }

    /// The directive with the files `names` in this order.
    fn directive(&self, names: &[&str]) -> String {
        let file = |name: &&str| format!(" \"file:{}\"", self.path(name).display());
        format!("SessionSecret{}", names.iter().map(file).collect::<String>())
    }
}

fn configured(builder: Builder, secret: &str) -> Builder {
    builder
        .clear_conf()
        .sessions()
        .conf("<Location \"/probe\">\nSetHandler probe\n</Location>")
        .conf(secret)
}

fn signed(secret: &str) -> Server {
    configured(probed(), secret).start()
}

fn made(server: &Server) -> String {
    let mut client = server.client();
    run(&mut client, "set:a=1");
    client.jar.get(NAME).expect("a cookie").to_owned()
}

/// What a visitor with the cookie `id` gets for `ops`, and the id that is set then.
fn with(server: &Server, id: &str, ops: &str) -> (Vec<String>, Option<String>) {
    let mut client: Client = server.client();
    client.jar.set(NAME, id);
    let response = client.send(&ask(ops)).expect(200);
    (lines(&response), id_set(&response))
}

const FOUND: &[&str] = &["get=SUCCESS 1"];
const REFUSED: &[&str] = &["exists=SUCCESS 0", "reason=SUCCESS badsig", "get=NOTFOUND"];

#[test]
fn a_signed_id_is_known_and_one_without_or_with_another_signature_is_refused() {
    let secrets = Secrets::new();
    let server = signed(&secrets.directive(&["new"]));
    let id = made(&server);
    let (bare, tag) = id.split_once('.').expect("a signature");
    assert!(is_id(bare) && tag.len() == 22);
    assert_eq!(with(&server, &id, "get:a"), (vec![FOUND[0].to_owned()], None));
    let other = made(&server);
    let foreign = format!("{bare}.{}", other.split_once('.').expect("a signature").1);
    let changed =
        format!("{bare}.{}", tag.replace(&tag[..1], if tag.starts_with('A') { "B" } else { "A" }));
    for forged in [bare, &foreign, &changed, &format!("{bare}."), &format!(".{tag}")] {
        let (answer, set) = with(&server, forged, "exists;reason;get:a");
        assert_eq!(set, None);
        assert!(answer == REFUSED || answer[1] == "reason=SUCCESS malformed", "{answer:?}");
    }
    assert_eq!(with(&server, bare, "exists;reason;get:a").0, REFUSED);
    assert_eq!(with(&server, &foreign, "exists;reason;get:a").0, REFUSED);
    server.assert_no_secret(&[bare, tag, NEW]);
}

#[test]
fn an_older_secret_verifies_until_it_is_taken_out_and_its_ids_are_signed_again() {
    let secrets = Secrets::new();
    let mut server = signed(&secrets.directive(&["old"]));
    let (by_old, never_seen_again) = (made(&server), made(&server));

    server.reconfigure(|builder| configured(builder, &secrets.directive(&["new", "old"])));
    server.reload_graceful();
    let (answer, again) = with(&server, &by_old, "get:a");
    assert_eq!(answer, FOUND);
    let by_new = again.expect("the id, signed again");
    assert_eq!(by_new.split('.').next(), by_old.split('.').next());
    assert_ne!(by_new, by_old);
    assert_eq!(with(&server, &by_new, "get:a"), (vec![FOUND[0].to_owned()], None));

    server.reconfigure(|builder| configured(builder, &secrets.directive(&["new"])));
    server.reload_graceful();
    assert_eq!(with(&server, &by_new, "get:a").0, FOUND);
    assert_eq!(with(&server, &never_seen_again, "exists;reason;get:a").0, REFUSED);
}

#[test]
fn signing_can_be_taken_up_and_ids_of_before_are_then_refused() {
    let secrets = Secrets::new();
    let mut server = signed("");
    let bare = made(&server);
    server.reconfigure(|builder| configured(builder, &secrets.directive(&["new"])));
    server.reload_graceful();
    assert_eq!(with(&server, &bare, "exists;reason;get:a").0, REFUSED);
    assert!(made(&server).contains('.'));
}

#[test]
fn a_command_gives_a_secret_as_its_file_would() {
    let secrets = Secrets::new();
    let mut server = signed(&secrets.directive(&["new"]));
    let id = made(&server);
    let command = format!("SessionSecret \"exec:/bin/cat {}\"", secrets.path("new").display());
    server.reconfigure(|builder| configured(builder, &command));
    server.reload_graceful();
    assert_eq!(with(&server, &id, "get:a"), (vec![FOUND[0].to_owned()], None));
}

#[test]
fn a_secret_in_the_configuration_works_and_is_warned_of() {
    let server = signed(&format!("SessionSecret \"{NEW}\""));
    server.expect_log("SessionSecret has a secret in the configuration itself");
    let id = made(&server);
    assert_eq!(with(&server, &id, "get:a").0, FOUND);
    server.assert_no_secret(&[NEW, &id]);
}

#[test]
fn a_secret_that_cannot_be_had_is_refused_at_start_and_by_the_configuration_test() {
    let secrets = Secrets::new();
    secrets.write("open", NEW, 0o644);
    secrets.write("short", "hidden", 0o600);
    let file = |name: &str| secrets.path(name).display().to_string();
    for name in ["short", "missing", "open"] {
        // Without root nobody is kept from what the server can read.
        if name == "open" && !is_root() {
            continue;
        }
        let builder = configured(probed(), &secrets.directive(&[name]));
        let test = builder.clone().configtest();
        assert!(!test.passed && test.output.contains(&file(name)), "{}", test.output);
        let refusal = builder.try_start().err().expect("a refusal");
        let said = refusal.output + &refusal.log;
        assert!(said.contains(&file(name)), "{said}");
        assert!(!said.contains("hidden") && !said.contains(NEW));
    }
    for command in ["/bin/false", "/no/such/program"] {
        let secret = format!("SessionSecret exec:{command}");
        let refusal = configured(probed(), &secret).try_start().err().expect("a refusal");
        let said = refusal.output + &refusal.log;
        assert!(said.contains(command), "{said}");
    }
}
