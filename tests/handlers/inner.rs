//! Redirects, error pages and includes around handlers outside, and what stands in front of them.

use super::faces::{Face, assert_stripped, faced, quoted, shown, with_heads};
use crate::support::probed::{ask, one_cookie_at_most, records};
use crate::support::{Builder, Client, Mpm, Response, SERVER_USER, apxs, ids_of, is_root};

const ALL: &str = "SessionExport env *\nSessionExport headers *\nSessionBackendHeaders all";

/// The application by CGI, and more scripts.
fn scripted() -> Builder {
    let (builder, _) = faced(Face::Cgi(Mpm::Event), ALL);
    let leads = |to: &str| {
        format!("#!/bin/sh\nprintf 'X-Session-Set: from=outer\\nLocation: {to}\\n\\n'\n")
    };
    builder
        .module("include")
        .script("to-app.sh", &leads("/app"))
        .script("to-bare.sh", &leads("/bare"))
        .script("to-probe.sh", &leads("/c?get:from;env:REDIRECT_SESSION_NEW;env:SESSION_NEW"))
        .conf("ScriptAlias \"/bare\" \"${DOCS}/app.py\"")
        .conf("ScriptAliasMatch \"^/(to-[a-z]*)$\" \"${DOCS}/$1.sh\"")
        .conf(&format!("<LocationMatch \"^/(to-|broken|part)\">\n{ALL}\n</LocationMatch>"))
        .conf("<Directory \"${DOCS}\">\nOptions +Includes +ExecCGI\nAddOutputFilter INCLUDES .shtml\n</Directory>")
}

#[track_caller]
fn clean(visitor: &mut Client, target: &str, status: u16) -> Response {
    let response = visitor.get(target).expect(status);
    assert_stripped(&response);
    one_cookie_at_most(&response);
    response
}

#[test]
fn what_a_script_ordered_before_its_redirect_is_there_for_the_target() {
    let server = scripted().start();
    let mut visitor = server.client();
    let seen = shown(&clean(&mut visitor, "/to-app", 200));
    assert_eq!(seen.get("SESSION_VALUE_FROM").map(String::as_str), Some("outer"), "{seen:?}");
    assert_eq!(records(&server), 1);
    // Nothing that the outer handler was shown is left for the next.
    assert!(!seen.keys().any(|name| name.starts_with("REDIRECT_")), "{seen:?}");
    assert!(shown(&clean(&mut visitor, "/to-bare", 200)).is_empty());
    assert_eq!(
        clean(&mut visitor, "/to-probe", 200).text(),
        "get=SUCCESS outer\nenv=NOTFOUND\nenv=NOTFOUND\n"
    );
}

#[test]
fn the_cookie_of_a_redirect_is_hidden_from_its_target() {
    let server = scripted()
        .conf("<Location \"/to-\">\nSessionIdHide off\n</Location>")
        .conf("<Location \"/to-app\">\nSessionIdHide off\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    visitor.jar.set("other", "1");
    let seen = shown(&clean(&mut visitor, "/to-app", 200));
    assert_eq!(seen.get("HTTP_COOKIE").map(String::as_str), Some("other=1"));
    assert_eq!(seen.get("REDIRECT_HTTP_COOKIE").map(String::as_str), Some("other=1"), "{seen:?}");
}

#[test]
fn an_error_page_finds_what_the_backend_behind_it_ordered() {
    let (builder, _backend) = faced(Face::Http, ALL);
    let server = builder
        .conf("ProxyErrorOverride on\nErrorDocument 404 /c?get:a\nErrorDocument 503 /c?get:a")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let target = with_heads(&[("X-Session-Set", "a=2")]);
    assert_eq!(clean(&mut visitor, &format!("{target}&status=404"), 404).text(), "get=SUCCESS 2\n");
    let target = with_heads(&[("X-Session-Set", "a=3")]);
    assert_eq!(clean(&mut visitor, &format!("{target}&status=503"), 503).text(), "get=SUCCESS 2\n");
}

#[test]
fn an_included_script_changes_the_session_of_the_page() {
    let part =
        |heads: &[(&str, &str)]| format!("<!--#include virtual=\"{}\" -->\n", with_heads(heads));
    let server = scripted()
        .document("part.shtml", part(&[("X-Session-Set", "a=2")]))
        .document("part-user.shtml", part(&[("X-Session-User", "ann")]))
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let page = clean(&mut visitor, "/part.shtml", 200);
    assert!(page.text().contains("SESSION_VALUE_A=1"), "{}", page.text());
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 2");
    // Around it somebody has the session: what it orders is part of that.
    let target =
        format!("/p?set:b=1;sub:{};get:a", quoted(&with_heads(&[("X-Session-Set", "a=3")])));
    assert!(ask(&mut visitor, &target).ends_with("get=SUCCESS 3"));
    assert_eq!(ask(&mut visitor, "/c?get:a;get:b"), "get=SUCCESS 3\nget=SUCCESS 1");
    // The head of the page left before the include: no cookie can say another id.
    clean(&mut visitor, "/part-user.shtml", 200);
    assert_eq!(ask(&mut visitor, "/c?user"), "user=SUCCESS -");
    server.expect_log("the head of the answer was sent before the session asked for a cookie");
}

#[test]
fn neither_logs_nor_caches_see_what_passes_between_server_and_backend() {
    let (builder, _backend) = faced(Face::Http, &format!("{ALL}\nSessionCacheControl off"));
    let format =
        "%{X-Session-Value-A}i|%{X-Session-User}i|%{X-Session-Set}o|%{SESSION_VALUE_A}e|%{Cookie}i";
    let server = builder
        .module("headers")
        // Behind ours: the order in which modules are loaded makes no difference.
        .load("cache_module", apxs::module("cache").expect("a file"))
        .load("cache_disk_module", apxs::module("cache_disk").expect("a file"))
        .conf(&format!("CustomLog logs/passed.log \"{format}\""))
        .conf("CacheEnable disk /app\nCacheRoot \"${ROOT}/cache\"\nCacheDirLevels 1\nCacheIgnoreNoLastMod on\nCacheDefaultExpire 600\nCacheHeader on\nCacheQuickHandler off")
        .start();
    let folder = server.root().join("cache");
    std::fs::create_dir(&folder).expect("making the folder of the cache");
    if is_root() {
        let (user, group) = ids_of(SERVER_USER);
        std::os::unix::fs::chown(&folder, Some(user), Some(group)).expect("giving it away");
    }
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=secret-value;set_user:ann");
    let cookie = visitor.jar.header().expect("a cookie");
    let target = with_heads(&[
        ("X-Session-Set", "b=other-secret"),
        ("Cache-Control", "public, max-age=600"),
        ("Vary", "Cookie"),
    ]);
    let first = clean(&mut visitor, &target, 200);
    assert!(first.text().contains("secret-value"), "{}", first.text());
    let again = clean(&mut visitor, &target, 200);
    assert!(again.header("X-Cache").is_some_and(|said| said.starts_with("HIT")), "{again:?}");
    // The cache compares the cookie that was sent, not the one that was shown.
    let stranger = server.client().get(&target);
    assert!(
        stranger.header("X-Cache").is_some_and(|said| said.starts_with("MISS")),
        "{stranger:?}"
    );
    let kept = files(&folder);
    assert!(kept.contains("X-Cache") || kept.contains("Cache-Control"));
    for secret in ["X-Session", "other-secret"] {
        assert!(!kept.contains(secret), "{secret} is in the cache");
    }
    let log = std::fs::read_to_string(server.root().join("logs/passed.log")).expect("the log");
    let line = format!("-|-|-|-|{cookie}");
    assert!(log.lines().filter(|logged| *logged == line).count() >= 2, "{log}");
    assert!(log.lines().all(|logged| logged.starts_with("-|-|-|-|")), "{log}");
}

/// The heads that a cache keeps in a folder.
fn files(folder: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("reading a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            text += &files(&path);
        } else if path.extension().is_some_and(|ending| ending == "header") {
            text += &String::from_utf8_lossy(&std::fs::read(&path).expect("reading a file"));
        }
    }
    text
}
