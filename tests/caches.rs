//! Answers that depend on a session, and caches in front of them.

use crate::support::probed::{ask, probed};
use crate::support::{Builder, Client, Request, Response, Server};

/// `Vary` and `Cache-Control`, every line of them.
fn rules(response: &Response) -> (String, String) {
    let all = |name| response.headers_all(name).join(" | ");
    (all("Vary"), all("Cache-Control"))
}

fn is(vary: &str, control: &str) -> (String, String) {
    (vary.to_owned(), control.to_owned())
}

#[track_caller]
fn rules_of(visitor: &mut Client, target: &str) -> (String, String) {
    rules(&visitor.get(target))
}

#[test]
fn an_answer_that_read_or_offered_a_session_is_private() {
    let server = probed().document("page.html", "page\n").start();
    let mut visitor = server.client();
    assert_eq!(rules_of(&mut visitor, "/p?set:a=1"), is("Cookie", "private, no-cache, no-store"));
    for target in [
        "/p",
        "/c?get:a",
        "/c?open:read",
        "/c?set:a=2",
        "/c?keys;flush;get:a",
        "/c?id",
        "/p?return:404",
        "/p?return:500",
        "/c?get:a;status:302",
    ] {
        assert_eq!(rules_of(&mut visitor, target), is("Cookie", "private, no-cache"), "{target}");
    }
    // A visitor without a session is no different: the next one has one.
    assert_eq!(rules_of(&mut server.client(), "/c?get:a"), is("Cookie", "private, no-cache"));
    assert_eq!(rules_of(&mut visitor, "/p?delete"), is("Cookie", "private, no-cache, no-store"));
}

#[test]
fn an_answer_that_did_not_ask_for_a_session_is_left_alone() {
    let server = probed()
        .module("headers")
        .document("page.html", "page\n")
        .conf("<Location \"/page.html\">\nHeader set Cache-Control \"public, max-age=600\"\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    assert_eq!(rules_of(&mut visitor, "/page.html"), is("", "public, max-age=600"));
    assert_eq!(rules_of(&mut visitor, "/c?version;exists;note:x"), is("", ""));
    assert_eq!(
        rules_of(&mut visitor, "/c?header:Vary=Accept;header:Cache-Control=max-age%3D5"),
        is("Accept", "max-age=5")
    );
}

#[test]
fn what_a_handler_says_of_caches_is_replaced_unless_it_is_stricter() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let says =
        |control: &str, more: &str| format!("/c?get:a;header:Cache-Control={control};{more}");
    for open in
        ["public", "public%2C%20max-age=600", "max-age=0", "no-cache", "private=%22Set-Cookie%22"]
    {
        assert_eq!(
            rules_of(&mut visitor, &says(open, "")),
            is("Cookie", "private, no-cache"),
            "{open}"
        );
        // In the other table, and in both.
        let target = format!("/c?get:a;errheader:Cache-Control={open}");
        assert_eq!(rules_of(&mut visitor, &target), is("Cookie", "private, no-cache"), "{open}");
        let target = says(open, &format!("errheader:Cache-Control={open}"));
        assert_eq!(rules_of(&mut visitor, &target), is("Cookie", "private, no-cache"), "{open}");
    }
    assert_eq!(
        rules_of(&mut visitor, &says("Private%2C%20max-age=60", "")),
        is("Cookie", "Private, max-age=60")
    );
    assert_eq!(rules_of(&mut visitor, &says("no-store", "")), is("Cookie", "no-store"));
    // A cookie is in no cache.
    assert_eq!(
        rules_of(&mut visitor, &says("private", "regenerate")),
        is("Cookie", "private, no-store")
    );
    assert_eq!(rules_of(&mut visitor, &says("no-store", "regenerate")), is("Cookie", "no-store"));
    assert_eq!(
        rules_of(&mut visitor, &says("public", "regenerate")),
        is("Cookie", "private, no-cache, no-store")
    );
}

#[test]
fn vary_is_merged_into_one_line_that_names_the_sources_of_ids() {
    let server = probed()
        .conf(
            "<Location \"/head\">\nSetHandler probe\nSessionIdSource header:X-Shop-Id\n</Location>\n\
             <Location \"/both\">\nSetHandler probe\nSessionIdSource cookie header:X-Shop-Id\n</Location>",
        )
        .start();
    let mut visitor = server.client();
    // httpd itself merges the lines, without blanks.
    let vary = |visitor: &mut Client, target: &str| rules_of(visitor, target).0.replace(", ", ",");
    assert_eq!(vary(&mut visitor, "/p?header:Vary=Accept-Encoding"), "Accept-Encoding,Cookie");
    assert_eq!(
        vary(&mut visitor, "/p?errheader:Vary=Accept;header:Vary=Accept-Language"),
        "Accept-Language,Accept,Cookie"
    );
    assert_eq!(vary(&mut visitor, "/p?header:Vary=accept%2Ccookie"), "accept,cookie");
    assert_eq!(vary(&mut visitor, "/p?header:Vary=*"), "*");
    assert_eq!(vary(&mut visitor, "/head"), "X-Shop-Id");
    assert_eq!(vary(&mut visitor, "/both"), "Cookie,X-Shop-Id");
}

#[test]
fn error_pages_not_modified_and_head_answers_carry_the_rules_too() {
    let server = probed()
        .conf("<Location \"/no\">\nProbeAccess \"get:a;status:403\"\n</Location>\nErrorDocument 410 /c?get:a")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let request = Request::get("/c?get:a;etag:x;meets_conditions").header("If-None-Match", "\"x\"");
    assert_eq!(rules(&visitor.send(&request).expect(304)), is("Cookie", "private, no-cache"));
    let request = Request::new("HEAD", "/c?get:a");
    assert_eq!(rules(&visitor.send(&request).expect(200)), is("Cookie", "private, no-cache"));
    assert_eq!(rules(&visitor.get("/no").expect(403)), is("Cookie", "private, no-cache"));
    assert_eq!(
        rules(&visitor.get("/c?header:Cache-Control=public;return:410").expect(410)),
        is("Cookie", "private, no-cache")
    );
    // The session of an include makes its page private as well, if the head has not left.
    assert_eq!(rules_of(&mut visitor, "/c?sub:/c%3Fget:a"), is("Cookie", "private, no-cache"));
}

#[test]
fn where_the_rules_are_off_an_answer_says_what_its_handler_says() {
    let server =
        probed().conf("<LocationMatch \"^/\">\nSessionCacheControl off\n</LocationMatch>").start();
    let mut visitor = server.client();
    assert_eq!(
        rules_of(&mut visitor, "/p?set:a=1;header:Cache-Control=max-age%3D5;header:Vary=Accept"),
        is("Accept", "max-age=5")
    );
    assert_eq!(rules_of(&mut visitor, "/p?get:a"), is("", ""));
}

/// A cache in front of everything, eager to keep what it may.
fn cached(rules: &str) -> Builder {
    probed().module("cache").module("cache_socache").module("socache_shmcb").module("headers").conf(
        &format!(
            "CacheEnable socache /\nCacheSocache shmcb:run/cache(512000)\nCacheHeader on\n\
             CacheIgnoreNoLastMod on\nCacheQuickHandler on\nCacheDefaultExpire 600\n{rules}"
        ),
    )
}

/// What two users and a stranger get from one address that tells who asks.
fn seen(server: &Server) -> [String; 3] {
    let target = "/p?user;header:Cache-Control=public%2C%20max-age%3D600";
    let [mut ann, mut bob] = ["ann", "bob"].map(|user| {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("/c?set_user:{user}"));
        visitor
    });
    [&mut ann, &mut bob, &mut server.client()]
        .map(|visitor| ask(visitor, target).lines().next().expect("a line").to_owned())
}

#[test]
fn a_cache_in_front_shows_nobody_the_page_of_another() {
    let server =
        cached("<Location \"/page.html\">\nHeader set Cache-Control max-age=600\n</Location>")
            .document("page.html", "page\n")
            .start();
    for _ in 0..2 {
        assert_eq!(seen(&server), ["user=SUCCESS ann", "user=SUCCESS bob", "user=SUCCESS -"]);
    }
    // It does keep what is the same for all.
    let mut visitor = server.client();
    visitor.get("/page.html").expect(200);
    let again = visitor.get("/page.html").expect(200);
    assert!(
        again.header("X-Cache").is_some_and(|word| word.starts_with("HIT")),
        "{:?}",
        again.headers
    );
}

#[test]
fn a_cache_keeps_no_cookie() {
    let server = cached("").start();
    let target = "/p?incr:n;header:Cache-Control=public%2C%20max-age%3D600";
    let cookies: Vec<String> = (0..3)
        .map(|_| {
            let answer = server.get(target).expect(200);
            assert_eq!(answer.text().lines().next(), Some("incr=SUCCESS 1"));
            answer.set_cookies().first().map(|line| (*line).to_owned()).expect("a cookie")
        })
        .collect();
    assert!(cookies[0] != cookies[1] && cookies[1] != cookies[2]);
}

#[test]
fn the_same_cache_would_mix_up_users_without_the_rules() {
    let server =
        cached("<LocationMatch \"^/p\">\nSessionCacheControl off\n</LocationMatch>").start();
    assert_eq!(seen(&server), ["user=SUCCESS ann"; 3]);
}

/// Static pages that the configuration alone shows to some visitors, by each of its words for sessions.
const GUARDED: &str = "RewriteEngine on\nRewriteMap session int:session\n\
    RewriteCond expr \"%{SESSION:role} == 'admin'\"\nRewriteRule \"^/cond.html$\" \"/secret.html\" [L]\n\
    RewriteRule \"^/map.html$\" \"/${session:page|open}.html\" [L]\n\
    <Location \"/session.html\">\nRequire session\n</Location>\n\
    <Location \"/value.html\">\nRequire session-value role admin\n</Location>\n\
    <Location \"/user.html\">\nRequire session-user ann\n</Location>\n\
    <Location \"/auth.html\">\nAuthType Session\nRequire valid-user\n</Location>\n\
    <Location \"/expr.html\">\nRequire expr \"%{SESSION:role} == 'admin'\"\n</Location>\n\
    <Location \"/if.html\">\n<If \"%{SESSION:role} != 'admin'\">\nRequire all denied\n</If>\n</Location>";

/// The pages of [`GUARDED`], with what a stranger gets.
const PAGES: [(&str, u16); 8] = [
    ("session", 403),
    ("value", 403),
    ("user", 403),
    ("auth", 401),
    ("expr", 403),
    ("if", 403),
    ("cond", 200),
    ("map", 200),
];

fn guarded(builder: Builder) -> Server {
    let builder = builder
        .module("rewrite")
        .module("authn_core")
        .module("authz_user")
        .conf(GUARDED)
        .document("secret.html", "secret\n")
        .document("open.html", "open\n");
    let builder = PAGES.iter().fold(builder, |builder, (name, status)| {
        let text = if *status == 200 { "open\n" } else { "secret\n" };
        builder.document(&format!("{name}.html"), text)
    });
    let server = builder.start();
    server.allow_log("AH0163");
    server
}

#[track_caller]
fn admin(server: &Server) -> Client {
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set_user:ann;set:role=admin;set:page=secret");
    visitor
}

#[test]
fn a_static_page_that_the_configuration_guards_by_a_session_is_private() {
    let server = guarded(probed().module("headers"));
    let mut admin = admin(&server);
    // Each by who may see it and by who may not.
    for (name, status) in PAGES {
        for (visitor, status) in [(&mut admin, 200), (&mut server.client(), status)] {
            let answer = visitor.get(&format!("/{name}.html")).expect(status);
            assert_eq!(rules(&answer), is("Cookie", "private, no-cache"), "{name} {status}");
        }
    }
}

/// What makes a cache eager: mod_headers comes behind our filter and has the last word of Cache-Control.
const PUBLIC: &str =
    "<LocationMatch \"html$\">\nHeader set Cache-Control \"public, max-age=600\"\n</LocationMatch>";

/// How many answers to a stranger had the secret of who asked before.
#[track_caller]
fn leaks(server: &Server) -> usize {
    let mut admin = admin(server);
    let mut leaks = 0;
    for (name, _) in PAGES {
        let target = format!("/{name}.html");
        for _ in 0..2 {
            assert_eq!(admin.get(&target).expect(200).text(), "secret\n", "{name}");
            leaks += usize::from(server.client().get(&target).text().contains("secret"));
        }
    }
    leaks
}

#[test]
fn a_cache_in_front_shows_no_guarded_page_to_who_may_not_see_it() {
    for quick in ["on", "off"] {
        for more in ["", PUBLIC] {
            let server = guarded(cached(&format!("CacheQuickHandler {quick}\n{more}")));
            assert_eq!(leaks(&server), 0, "{quick} {more}");
        }
    }
    // Without the rules it would.
    let off = "<LocationMatch \"html$\">\nSessionCacheControl off\n</LocationMatch>";
    let server = guarded(cached(&format!("{PUBLIC}\n{off}")));
    assert!(leaks(&server) > 0);
}
