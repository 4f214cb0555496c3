//! `%{SESSION:key}`, `session('key')` and `RewriteMap … int:session`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::pages;
use crate::steps::{Signals, run, visitor};
use crate::support::Store;

#[test]
fn a_value_is_known_to_if_header_rewritecond_and_errordocument() {
    let server = pages()
        .conf(
            "RewriteEngine on\n\
             RewriteCond expr \"%{SESSION:role} == 'admin'\"\n\
             RewriteRule \"^/start$\" \"/admin.html\" [L]\n\
             RewriteRule \"^/start$\" \"/none.html\" [L]\n\
             <Location \"/page.html\">\n\
             Header set X-Role \"expr=%{SESSION:role}\"\n\
             <If \"session('role') == 'admin'\">\nHeader set X-If yes\n</If>\n\
             </Location>\n\
             <Location \"/gone\">\nRedirect 410\nErrorDocument 410 \"sorry %{SESSION:role}\"\n</Location>",
        )
        .start();
    let (mut admin, mut stranger) = (server.client(), server.client());
    run(&mut admin, "set:role=admin");
    let page = admin.get("/page.html").expect(200);
    assert_eq!((page.header("X-Role"), page.header("X-If")), (Some("admin"), Some("yes")));
    assert_eq!(admin.get("/start").expect(200).text(), "admin\n");
    assert_eq!(admin.get("/gone").expect(410).text(), "sorry admin");
    let page = stranger.get("/page.html").expect(200);
    assert_eq!(page.header("X-If"), None);
    assert_eq!(page.header("X-Role").unwrap_or_default(), "");
    assert_eq!(stranger.get("/start").expect(200).text(), "none\n");
    assert!(stranger.jar.is_empty(), "a look makes no session");
}

#[test]
fn an_answer_that_depends_on_a_session_says_so_to_caches() {
    let server = pages()
        .conf("<Location \"/page.html\">\nHeader set X-Role \"expr=%{SESSION:role}\"\n</Location>")
        .start();
    let mut client = visitor(&server);
    let page = client.get("/page.html").expect(200);
    assert_eq!(page.headers_all("Vary"), ["Cookie"]);
    assert_eq!(page.headers_all("Cache-Control"), ["private, no-cache"]);
    assert!(client.get("/admin.html").expect(200).header("Vary").is_none());
}

#[test]
fn a_look_waits_for_nobody_and_sees_what_is_stored() {
    let server = pages()
        .conf(
            "SessionLockTimeout 0\n\
             <Location \"/page.html\">\nHeader set X-N \"expr=%{SESSION:n}\"\n</Location>",
        )
        .start();
    let mut client = visitor(&server);
    let signals = Signals::of(&server);
    let held = signals.hold(&mut client.clone(), "set:n=2", "held", "end");
    assert_eq!(client.get("/page.html").expect(200).header("X-N"), Some("1"));
    signals.raise("end");
    crate::steps::answer(held).expect(200);
    assert_eq!(client.get("/page.html").expect(200).header("X-N"), Some("2"));
}

#[test]
fn a_rewrite_map_leads_from_a_key_to_its_value() {
    let server = pages()
        .conf(
            "RewriteEngine on\n\
             RewriteMap session int:session\n\
             RewriteRule \"^/home$\" \"/${session:home|none}.html\" [L]",
        )
        .start();
    let mut client = server.client();
    assert_eq!(client.get("/home").expect(200).text(), "none\n");
    run(&mut client, "set:home=admin");
    assert_eq!(client.get("/home").expect(200).text(), "admin\n");
}

#[test]
fn what_is_no_string_or_no_key_is_empty() {
    let server = pages()
        .conf("<Location \"/page.html\">\nHeader set X-A \"expr=[%{SESSION:a}]\"\n</Location>")
        .start();
    let mut client = server.client();
    run(&mut client, "set_bytes:a=%00x");
    assert_eq!(client.get("/page.html").expect(200).header("X-A"), Some("[]"));
    // Values that would be headers of their own, or end one.
    for value in ["x%0d%0aX-Injected:%20yes", "x%0a", "%0d", "%7f"] {
        run(&mut client, &format!("set:a={value}"));
        let page = client.get("/page.html").expect(200);
        assert_eq!((page.header("X-A"), page.header("X-Injected")), (Some("[]"), None), "{value}");
    }
    run(&mut client, "set:a=two%20words%09and%20gr%C3%B6%C3%9Fe");
    let page = client.get("/page.html").expect(200);
    assert_eq!(page.header("X-A"), Some("[two words\tand größe]"));
}

#[test]
fn a_bad_key_fails_the_configuration_test() {
    let conf = format!("Header set X \"expr=%{{SESSION:{}}}\"", "k".repeat(129));
    let test = pages().conf(&conf).configtest();
    assert!(!test.passed && test.output.contains("session() wants a key"), "{}", test.output);
}

#[test]
fn htaccess_files_and_pages_cannot_ask() {
    let server = pages()
        .module("include")
        .document("ask/.htaccess", "Require expr \"-n session('n')\"\n")
        .document("ask/page.html", "page")
        .document("ask.shtml", "<!--#if expr=\"-n session('n')\" -->yes<!--#endif -->")
        .conf(
            "<Directory \"${DOCS}\">\nAllowOverride All\nOptions +Includes\n</Directory>\n\
             AddType text/html .shtml\nAddOutputFilter INCLUDES .shtml",
        )
        .start();
    let mut client = visitor(&server);
    client.get("/ask/page.html").expect(500);
    assert!(!client.get("/ask.shtml").text().contains("yes"));
    server.expect_log("session() is for the server's own configuration");
    server.allow_log("ask.shtml");
    server.allow_log("htaccess");
}

/// The README warns of it: mod_rewrite asks the map itself, for whoever wrote the rule.
#[test]
fn a_map_of_the_server_answers_rules_of_htaccess_files_too() {
    let server = pages()
        .document("ask/.htaccess", "RewriteEngine on\nRewriteRule \"^home$\" \"/${session:home|none}.html\" [L]\n")
        .conf("RewriteMap session int:session\n<Directory \"${DOCS}\">\nAllowOverride FileInfo\nOptions +FollowSymLinks\n</Directory>")
        .start();
    let mut client = server.client();
    run(&mut client, "set:home=admin");
    assert_eq!(client.get("/ask/home").expect(200).text(), "admin\n");
}

#[test]
fn where_the_engine_is_off_there_is_no_value() {
    let server = pages()
        .conf(
            "<Location \"/page.html\">\nSessionEngine off\n\
             Header set X-N \"expr=[%{SESSION:n}]\"\n</Location>",
        )
        .start();
    let mut client = visitor(&server);
    let page = client.get("/page.html").expect(200);
    assert_eq!((page.header("X-N"), page.header("Vary")), (Some("[]"), None));
}

#[test]
fn a_store_out_of_reach_makes_values_empty_and_is_logged() {
    let _files = Store::File.only("its directories are closed");
    let server = pages()
        .conf("<Location \"/page.html\">\nHeader set X-N \"expr=[%{SESSION:n}]\"\n</Location>")
        .start();
    let mut client = visitor(&server);
    assert_eq!(client.get("/page.html").expect(200).header("X-N"), Some("[1]"));
    let shards = fs::read_dir(server.data_dir()).expect("the data directory").flatten();
    for shard in shards.filter(|shard| shard.file_name().len() == 2) {
        fs::set_permissions(shard.path(), Permissions::from_mode(0o000)).expect("closing it");
    }
    assert_eq!(client.get("/page.html").expect(200).header("X-N"), Some("[]"));
    server.expect_log("reading a session: ");
}
