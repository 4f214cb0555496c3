//! What handlers are shown of a session.

use super::faces::{Face, faced, quoted, sees, start};
use crate::face_tests;
use crate::support::probed::{ask, probed};
use crate::support::{Client, Mpm, Store, apxs};

face_tests!(
    values_and_facts_are_shown_and_cannot_end_their_line,
    keys_that_are_no_names_are_left_out_and_so_is_what_is_too_long,
);

fn values_and_facts_are_shown_and_cannot_end_their_line(face: Face) {
    let (server, _backend) = start(face, &face.export("*"));
    let mut visitor = server.client();
    let new = sees(&mut visitor, "/app");
    assert_eq!(new.get(&face.fact("New")).map(String::as_str), Some("1"), "{new:?}");
    assert_eq!(new.get(&face.fact("Reason")).map(String::as_str), Some("none"), "{new:?}");
    assert_eq!(new.len(), 2, "{new:?}");

    let odd = quoted("two, 100% gr\u{fc}n\r\nX-Evil: 1\0");
    ask(&mut visitor, "/p?set:cart=3;set_user:ann");
    ask(&mut visitor, &format!("/c?set_bytes:odd={odd}"));
    let mut seen = sees(&mut visitor, "/app");
    let mut seconds = |fact: &str, most: u32| {
        let left = seen.remove(&face.fact(fact)).expect(fact).parse().expect("a number");
        assert!((most - 60..=most).contains(&left), "{fact}: {left}");
    };
    seconds("Idle-Left", 30 * 60);
    seconds("Age-Left", 24 * 60 * 60);
    let expected = [
        (face.value("cart"), "3"),
        (face.value("odd"), "two%2C 100%25 gr%C3%BCn%0D%0AX-Evil: 1%00"),
        (face.fact("User"), "ann"),
        (face.fact("New"), "0"),
        (face.fact("Reason"), "none"),
    ];
    let expected = expected.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(seen, expected.into());
}

fn keys_that_are_no_names_are_left_out_and_so_is_what_is_too_long(face: Face) {
    let _room = Store::with_room(60_000);
    let (builder, _backend) = faced(face, &face.export("*"));
    let server = builder.start();
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:hidden%20key=a;set:gr%C3%B6%C3%9Fe=b;set:x.y=1;set:X_Y=2;set:x-y=3");
    let long = "v".repeat(4096);
    ask(&mut visitor, &format!("/c?set:overlong={long}x"));
    for number in 1..=9 {
        ask(&mut visitor, &format!("/c?set:l{number}={long}"));
    }
    ask(&mut visitor, "/c?set:last=z");
    let seen = sees(&mut visitor, "/app");
    assert_eq!(
        seen.get(&face.value("x.y").replace('.', if face.sees_headers() { "-" } else { "_" }))
            .map(String::as_str),
        Some("1")
    );
    assert!(!seen.contains_key(&face.value("overlong")));
    let lengths = (1..=9).filter_map(|n| seen.get(&face.value(&format!("l{n}")))).map(String::len);
    assert_eq!(lengths.collect::<Vec<_>>(), [4096; 7]);
    assert_eq!(seen.get(&face.value("last")).map(String::as_str), Some("z"));
    assert!(!seen.values().any(|value| ["a", "b", "2", "3"].contains(&value.as_str())));
    server.wait_for_log("7 values were not exported");
    server.assert_no_secret(&["hidden key", "overlong", "vvvv"]);
}

fn listed(face: Face) {
    let (builder, _backend) = faced(face, &face.export("Cart x.y"));
    let server = builder
        .conf("<Location \"/app/none\">\nSessionExport none\n</Location>")
        .conf("<Location \"/app/off\">\nSessionEngine off\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:cart=3;set:secret=4;set:X.Y=5");
    let seen = sees(&mut visitor, "/app");
    let values: Vec<_> =
        seen.iter().filter(|(name, _)| name.contains("VALUE") || name.contains("Value")).collect();
    assert_eq!(values.len(), 2, "{seen:?}");
    assert!(sees(&mut visitor, "/app/none").is_empty());
    let seen = sees(&mut visitor, "/app/off");
    assert!(!seen.keys().any(|name| name.to_ascii_uppercase().starts_with("SESSION")), "{seen:?}");
}

#[test]
fn only_listed_keys_are_shown_and_where_none_are_no_facts_either() {
    listed(Face::Cgi(Mpm::Event));
    listed(Face::Http);
}

/// The rules for caches in an answer.
#[track_caller]
fn vary(visitor: &mut Client, target: &str) -> Option<String> {
    visitor.get(target).expect(200).header("Vary").map(str::to_owned)
}

#[test]
fn what_is_shown_is_for_one_visitor_and_files_are_shown_nothing() {
    let (builder, _backend) = faced(Face::Http, "");
    let export =
        "<LocationMatch \"^/\">\nSessionExport env *\nSessionExport headers *\n</LocationMatch>";
    let server = builder.document("page.html", "page\n").conf(export).start();
    let mut visitor = server.client();
    // Also who has no session: the next visitor has one.
    assert_eq!(vary(&mut visitor, "/app").as_deref(), Some("Cookie"));
    ask(&mut visitor, "/p?set:a=1");
    assert_eq!(vary(&mut visitor, "/app").as_deref(), Some("Cookie"));
    assert_eq!(vary(&mut visitor, "/page.html"), None);

    let (server, _backend) = start(Face::Http, "");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    assert_eq!(vary(&mut visitor, "/app"), None);
}

#[test]
fn a_module_in_httpd_is_shown_an_environment_while_it_runs() {
    let server = probed()
        .module("log_debug")
        .conf("<LocationMatch \"^/\">\nSessionExport env *\n</LocationMatch>")
        .conf(
            "LogMessage \"env [%{ENV:SESSION_VALUE_A}] [%{ENV:SESSION_NEW}]\" hook=log_transaction",
        )
        .log_level("warn session_store:debug log_debug:info")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    for place in ["/p", "/c"] {
        assert_eq!(
            ask(&mut visitor, &format!("{place}?env:SESSION_VALUE_A;env:SESSION_NEW;get:a")),
            "env=SUCCESS 1\nenv=SUCCESS 0\nget=SUCCESS 1"
        );
    }
    // A write takes the session that was shown.
    assert_eq!(ask(&mut visitor, "/c?env:SESSION_VALUE_A;incr:a"), "env=SUCCESS 1\nincr=SUCCESS 2");
    server.stop();
    let logged = server.error_log();
    assert!(logged.contains("env [] []") && !logged.contains("env [1]"), "{logged}");
}

#[test]
fn a_page_of_mod_php_is_shown_an_environment() {
    let page = "<?php echo $_SERVER['SESSION_VALUE_A'] ?? '-', $_SERVER['SESSION_USER'] ?? '-', \
                apache_note('session:a');";
    let server = probed()
        .mpm(Mpm::Prefork)
        .load("php_module", apxs::php())
        .document("page.php", page)
        .conf(
            "<Files \"*.php\">\nSetHandler application/x-httpd-php\nSessionExport env *\n</Files>",
        )
        .start();
    let mut visitor = server.client();
    assert_eq!(visitor.get("/page.php").expect(200).text(), "--");
    ask(&mut visitor, "/p?set:a=1;set_user:ann");
    assert_eq!(visitor.get("/page.php").expect(200).text(), "1ann1");
}
