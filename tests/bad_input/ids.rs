//! Ids that are none, and ids of nobody.

use super::listing;
use crate::steps::{COOKIE, ask, lines, run, sessions, visitor};
use crate::support::{Client, Request, Server};

const UNKNOWN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA";

/// No cleanup writes while somebody looks whether requests do.
const NOBODY_ELSE: &str = "SessionCleanupInterval 0";

/// Texts in the place of an id, and the reason for the new session that their bearer gets.
fn texts() -> Vec<(String, &'static str)> {
    let bad = |text: &str| (text.to_owned(), "malformed");
    let mut texts: Vec<(String, &str)> = [
        "x",
        &UNKNOWN[1..],
        &format!("{UNKNOWN}A"),
        &format!("{}=", &UNKNOWN[1..]),
        &format!("{}+", &UNKNOWN[1..]),
        &format!("{}/", &UNKNOWN[1..]),
        &format!("{} x", &UNKNOWN[2..]),
        &format!("{}%41", &UNKNOWN[3..]),
        &format!("{UNKNOWN}.{}", &UNKNOWN[..22]),
        "../../../../../../../../etc/passwd_____________",
        "../corrupt/../.lock",
        "/etc/passwd",
        ".lock",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%00%0d%0aSet-Cookie:%20a=b",
        "{{7*7}}' OR 1=1 --",
        "größe-größe-größe-größe-größe-größe-größe!!",
        &"a".repeat(7000),
    ]
    .into_iter()
    .map(bad)
    .collect();
    texts.push((UNKNOWN.to_owned(), "unknown"));
    texts.push((String::new(), "none"));
    texts
}

fn with(server: &Server, id: &str) -> Client {
    let mut client = server.client();
    client.jar.set(COOKIE, id);
    client
}

#[test]
fn what_is_no_id_or_nobodys_gets_a_new_session_and_leaves_the_store_untouched() {
    let server = sessions().conf(NOBODY_ELSE).start();
    visitor(&server);
    let before = listing(&server);
    for (text, reason) in texts() {
        let answer = with(&server, &text).send(&ask("is_new;reason;get:n;keys;user")).expect(200);
        let told = format!("reason=SUCCESS {reason}");
        let new = ["is_new=SUCCESS 1", &told, "get=NOTFOUND", "keys=SUCCESS ", "user=SUCCESS -"];
        assert_eq!(lines(&answer), new, "{text:?}");
        assert_eq!(answer.set_cookies().len(), 0, "{text:?}");
        assert_eq!(listing(&server), before, "{text:?}");
        for ops in ["delete", "invalidate", "regenerate", "save", "set_user", "unset:n", "reload"] {
            with(&server, &text).send(&ask(ops)).expect(200);
        }
        assert_eq!(listing(&server), before, "{text:?}");
    }
    for (text, _) in texts() {
        let mut client = with(&server, &text);
        assert_eq!(run(&mut client, "set:a=1"), ["set=SUCCESS"]);
        assert_ne!(client.jar.get(COOKIE), Some(text.as_str()));
        assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS a"]);
    }
    server.assert_no_secret(&[UNKNOWN, "etc/passwd", "größe"]);
}

#[test]
fn ids_in_headers_and_queries_are_judged_alike() {
    let place = "<Location \"/any\">\nSetHandler probe\n\
                 SessionIdSource cookie header:X-Session-Id query:sid\n</Location>";
    let server = sessions().conf(place).conf(NOBODY_ELSE).start();
    let before = listing(&server);
    for (text, _) in texts() {
        let header = Request::get("/any?is_new").header("X-Session-Id", &text).close();
        assert_eq!(server.client().send(&header).expect(200).text(), "is_new=SUCCESS 1\n");
    }
    for text in ["", "x", UNKNOWN, "%00", "..%2f..", &"a".repeat(5000)] {
        let answer = server.get(&format!("/any?sid={text};is_new")).expect(200).text();
        assert!(answer.ends_with("is_new=SUCCESS 1\n"), "{answer}");
    }
    assert_eq!(listing(&server), before);
}

/// A `Cookie` header of `count` invented ids with `known` behind them.
fn crowd(count: usize, known: &str) -> String {
    let name = |number: usize| format!("{COOKIE}={number:0>42}A; ");
    (0..count).map(name).collect::<String>() + &format!("{COOKIE}={known}")
}

#[test]
fn of_ninety_ids_in_one_request_three_are_looked_for() {
    let server = sessions().start();
    let client = visitor(&server);
    let known = client.jar.get(COOKIE).expect("a cookie");
    let found = |header: String| {
        let request = ask("get:n;exists").header("Cookie", &header);
        lines(&server.client().send(&request).expect(200))
    };
    assert_eq!(found(crowd(2, known)), ["get=SUCCESS 1", "exists=SUCCESS 1"]);
    assert_eq!(found(crowd(3, known)), ["get=NOTFOUND", "exists=SUCCESS 1"]);
    let most = crowd(130, known);
    assert!(most.len() > 7500);
    assert_eq!(found(most), ["get=NOTFOUND", "exists=SUCCESS 1"]);
    let malformed = format!("{}{COOKIE}={known}", format!("{COOKIE}=x; ").repeat(90));
    assert_eq!(found(malformed), ["get=SUCCESS 1", "exists=SUCCESS 1"]);
}
