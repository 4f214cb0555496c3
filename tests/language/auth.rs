//! `Require session…` and `AuthType Session`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::pages;
use crate::steps::{Signals, answer, run, visitor};
use crate::support::{Client, Request, Server, Store};

#[test]
fn a_session_its_user_or_a_value_can_be_required() {
    let server = pages()
        .conf(
            "<Location \"/page.html\">\nRequire session\n</Location>\n\
             <Location \"/admin.html\">\nRequire session-user ann \"Jo Doe\"\n</Location>\n\
             <Location \"/none.html\">\nRequire session-value role admin \"the boss\"\n</Location>",
        )
        .start();
    let mut client = server.client();
    let statuses = |client: &mut Client| {
        ["/page.html", "/admin.html", "/none.html"].map(|path| client.get(path).status)
    };
    assert_eq!(statuses(&mut client), [403, 403, 403]);
    assert!(client.jar.is_empty());
    run(&mut client, "set:role=guest");
    assert_eq!(statuses(&mut client), [200, 403, 403]);
    run(&mut client, "set_user:Jo%20Doe");
    assert_eq!(statuses(&mut client), [200, 200, 403]);
    run(&mut client, "set:role=the%20boss;set_user:eve");
    assert_eq!(statuses(&mut client), [200, 403, 200]);
    run(&mut client, "invalidate");
    assert_eq!(statuses(&mut client), [403, 403, 403]);
    let page = client.get("/page.html");
    assert_eq!(page.headers_all("Vary"), ["Cookie"]);
    server.allow_log("AH01630");
}

#[test]
fn where_the_engine_is_off_nobody_is_granted_anything() {
    let server = pages()
        .conf("<Location \"/page.html\">\nSessionEngine off\nRequire session\n</Location>")
        .start();
    let mut client = visitor(&server);
    assert_eq!(client.get("/page.html").status, 403);
    server.allow_log("AH01630");
}

#[test]
fn a_line_without_its_words_fails_the_configuration_test() {
    for (line, said) in [
        ("Require session now", "takes no words"),
        ("Require session-user", "takes one user or more"),
        ("Require session-value role", "takes a key and one value or more"),
        ("Require session-value \"two words\"", "takes a key and one value or more"),
        ("Require session-value \"\" x", "takes a key and one value or more"),
    ] {
        let test = pages().conf(&format!("<Location \"/x\">\n{line}\n</Location>")).configtest();
        assert!(!test.passed && test.output.contains(said), "{line}: {}", test.output);
    }
}

const LOGIN: &str = "<Location \"/in\">\nAuthType Session\nRequire valid-user\nSetHandler probe\n</Location>\n\
                     <Location \"/admin.html\">\nAuthType Session\nRequire user ann\n</Location>\n\
                     LogFormat \"user %u\" who\nCustomLog logs/who.log who";

#[test]
fn the_sessions_user_is_the_requests() {
    let server = pages()
        .module("cgid")
        .script("in/who.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s %s' \"$REMOTE_USER\" \"$AUTH_TYPE\"\n")
        .conf(LOGIN)
        .conf("<Location \"/in/who.cgi\">\nSetHandler cgi-script\nOptions +ExecCGI\n</Location>")
        .start();
    let mut client = visitor(&server);
    let refused = client.get("/in/who.cgi").expect(401);
    assert_eq!(refused.header("WWW-Authenticate"), Some("Session"));
    run(&mut client, "set_user:ann");
    assert_eq!(client.get("/in/who.cgi").expect(200).text(), "ann Session");
    assert_eq!(client.get("/admin.html").expect(200).text(), "admin\n");
    run(&mut client, "set_user:bob");
    assert_eq!(client.get("/in/who.cgi").expect(200).text(), "bob Session");
    assert_eq!(client.get("/admin.html").status, 401);
    run(&mut client, "set_user");
    client.get("/in/who.cgi").expect(401);
    let log = std::fs::read_to_string(server.root().join("logs/who.log")).expect("the log");
    assert!(log.contains("user ann\n") && log.contains("user bob\n"), "{log}");
    server.allow_log("AH01631");
}

#[test]
fn a_page_for_who_is_not_logged_in_is_an_errordocument() {
    let server = pages()
        .conf("<Location \"/admin.html\">\nAuthType Session\nRequire valid-user\nErrorDocument 401 /none.html\n</Location>")
        .start();
    let refused = server.get("/admin.html").expect(401);
    assert_eq!(refused.text(), "none\n");
}

#[test]
fn a_handler_is_not_run_for_a_user_whose_session_is_another_ones_by_then() {
    let server = pages().conf(LOGIN).conf("SessionLockTimeout 20s").start();
    let mut client = visitor(&server);
    run(&mut client, "set_user:ann");
    let signals = Signals::of(&server);
    // One request holds the session and ends it while another one, let in already, waits for it.
    let holder = signals.hold(&mut client.clone(), "invalidate", "held", "end");
    let mut waiter = client.clone().open(&Request::get("/in?user").close());
    assert!(!waiter.stirs(std::time::Duration::from_millis(300)), "it did not wait");
    signals.raise("end");
    answer(holder).expect(200);
    let late = answer(waiter);
    assert_eq!(late.status, 403);
    server.expect_log("the session that let the user in has ended");
}

/// A page includes a part for the user. While the part waits for its session, that is ended. Its handler once
/// ran all the same, for a part was not remembered to have been let in by the session.
#[test]
fn an_included_part_is_not_run_for_a_user_whose_session_has_ended_by_then() {
    let page = "<!--#include virtual=\"/in?user\" --><!--#include virtual=\"/probe?get:n\" -->\n\
                <!--#include virtual=\"/in?user\" --><!--#include virtual=\"/probe?set:n=2;get:n\" -->end";
    let server = pages()
        .module("include")
        .document("page.shtml", page)
        .conf(LOGIN)
        .conf("Options +Includes\nAddType text/html .shtml\nAddOutputFilter INCLUDES .shtml")
        .conf("SessionLockTimeout 20s")
        .start();
    let mut client = visitor(&server);
    run(&mut client, "set_user:ann");
    let signals = Signals::of(&server);
    let holder = signals.hold(&mut client.clone(), "invalidate", "held", "end");
    let mut waiter = client.clone().open(&Request::get("/page.shtml").close());
    assert!(!waiter.stirs(std::time::Duration::from_millis(300)), "it did not wait");
    signals.raise("end");
    answer(holder).expect(200);
    let text = answer(waiter).expect(200).text();
    assert!(text.ends_with("end") && !text.contains("user="), "{text}");
    server.expect_log("the session that let the user in has ended");
    server.allow_log("unable to include");
}

/// A page leads on to another one of the same place while the session is ended. httpd takes over who was let in
/// without asking again; the page was once made for the user all the same.
#[test]
fn a_redirects_target_is_not_run_for_a_user_whose_session_has_ended_by_then() {
    let server = pages().conf(LOGIN).conf("SessionLockTimeout 20s").start();
    let mut client = visitor(&server);
    run(&mut client, "set_user:ann");
    let signals = Signals::of(&server);
    let open = |path: &str, ops: &str| {
        client.clone().open(&Request::get(&format!("{path}?open:write;{ops}")).close())
    };
    let (ready, go) = (signals.give("ready"), signals.await_("go"));
    let page = open("/in", &format!("{ready};{go};redirect:/in%3Fuser"));
    signals.wait("ready");
    let (held, end) = (signals.give("held"), signals.await_("end"));
    let mut logout = open("/probe", &format!("invalidate;{held};{end}"));
    assert!(!logout.stirs(std::time::Duration::from_millis(300)), "it did not wait");
    signals.raise("go");
    signals.wait("held");
    signals.raise("end");
    answer(logout).expect(200);
    let late = answer(page);
    assert_eq!(late.status, 403, "{}", late.text());
    server.expect_log("the session that let the user in has ended");
}

/// The page that a request leads to after it has logged its user out, or another one in, is not refused for that.
#[test]
fn a_request_that_changes_its_user_goes_on_for_the_new_one() {
    let server = pages()
        .conf(LOGIN)
        .conf("<Location \"/in\">\nErrorDocument 404 /in?user\n</Location>")
        .start();
    for (ops, user) in [
        ("invalidate;redirect:/in%3Fuser", "-"),
        ("set_user:bob;redirect:/in%3Fuser", "bob"),
        ("invalidate;return:404", "-"),
        ("set_user:bob;return:404", "bob"),
        ("set_user:bob;sub:/in%3Fuser", "bob"),
    ] {
        let mut client = visitor(&server);
        run(&mut client, "set_user:ann");
        let said = client.get(&format!("/in?{ops}")).text();
        assert!(said.contains(&format!("user=SUCCESS {user}\n")), "{ops}: {said}");
    }
}

#[test]
fn authtype_session_without_the_engine_is_an_error_that_says_so() {
    let server = pages()
        .conf("<Location \"/page.html\">\nSessionEngine off\nAuthType Session\nRequire valid-user\n</Location>")
        .start();
    assert_eq!(server.get("/page.html").status, 500);
    server.expect_log("AuthType Session where SessionEngine is off");
}

/// Of an authorization httpd knows granted, denied and failed alone, and failed is a 500. Who a visitor is may be
/// answered with any status.
#[test]
fn a_store_out_of_reach_lets_nobody_in_and_is_a_500_of_require_and_a_503_of_authtype() {
    let _files = Store::File.only("its directories are closed");
    let server = pages()
        .conf(
            "<Location \"/page.html\">\nRequire session\n</Location>\n\
             <Location \"/none.html\">\nRequire session-value n 1\n</Location>\n\
             <Location \"/admin.html\">\nAuthType Session\nRequire valid-user\n</Location>",
        )
        .start();
    let mut client = visitor(&server);
    run(&mut client, "set_user:ann");
    let statuses = |client: &mut Client| {
        ["/page.html", "/none.html", "/admin.html"].map(|path| client.get(path).status)
    };
    assert_eq!(statuses(&mut client), [200; 3]);
    rights(&server, 0o000);
    assert_eq!(statuses(&mut client), [500, 500, 503]);
    rights(&server, 0o700);
    assert_eq!(statuses(&mut client), [200; 3]);
    server.expect_log("reading a session for Require: ");
    server.expect_log("reading a session for AuthType Session: ");
}

/// Gives the folders of records these rights.
fn rights(server: &Server, mode: u32) {
    let shards = fs::read_dir(server.data_dir()).expect("the data directory").flatten();
    for shard in shards.filter(|shard| shard.file_name().len() == 2) {
        fs::set_permissions(shard.path(), Permissions::from_mode(mode)).expect("setting rights");
    }
}

#[test]
fn an_expression_over_the_session_can_be_required() {
    let server = pages()
        .conf(
            "<Location \"/page.html\">\nRequire expr \"%{SESSION:role} == 'admin'\"\n</Location>\n\
             <Location \"/admin.html\">\nRequire expr \"session('role') in {'admin', 'boss'}\"\n</Location>\n\
             <Location \"/none.html\">\nRequire expr \"-z session('role')\"\n</Location>",
        )
        .start();
    let mut client = server.client();
    let statuses = |client: &mut Client| {
        ["/page.html", "/admin.html", "/none.html"].map(|path| client.get(path).status)
    };
    assert_eq!(statuses(&mut client), [403, 403, 200]);
    run(&mut client, "set:role=boss");
    assert_eq!(statuses(&mut client), [403, 200, 403]);
    run(&mut client, "set:role=admin");
    assert_eq!(statuses(&mut client), [200, 200, 403]);
    run(&mut client, "unset:role");
    assert_eq!(statuses(&mut client), [403, 403, 200]);
    server.allow_log("AH01630");
}
