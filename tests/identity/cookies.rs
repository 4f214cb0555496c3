//! The cookie: its attributes, when it is sent, when it is sent again, when it is cleared.

use super::{id_set, is_id};
use crate::steps::{ask, run, sessions};
use crate::support::{Request, Server};

/// Directives of a place, and the cookie it sets: `ID` stands for the id.
const ROWS: &[(&str, &str)] = &[
    ("", "session_store=ID; Path=/; HttpOnly; SameSite=Lax"),
    ("SessionIdName sid", "sid=ID; Path=/; HttpOnly; SameSite=Lax"),
    ("SessionIdPath /shop", "session_store=ID; Path=/shop; HttpOnly; SameSite=Lax"),
    (
        "SessionIdDomain .Example.ORG",
        "session_store=ID; Path=/; Domain=example.org; HttpOnly; SameSite=Lax",
    ),
    ("SessionIdSameSite strict", "session_store=ID; Path=/; HttpOnly; SameSite=Strict"),
    (
        "SessionIdSameSite None\nSessionIdSecure on",
        "session_store=ID; Path=/; Secure; HttpOnly; SameSite=None",
    ),
    ("SessionIdSecure off", "session_store=ID; Path=/; HttpOnly; SameSite=Lax"),
    ("SessionIdHttpOnly off", "session_store=ID; Path=/; SameSite=Lax"),
    (
        "SessionIdPartitioned on\nSessionIdSecure on",
        "session_store=ID; Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned",
    ),
    (
        "SessionIdMaxAge timeout\nSessionTimeout 5m",
        "session_store=ID; Path=/; Max-Age=300; HttpOnly; SameSite=Lax",
    ),
    (
        "SessionIdMaxAge 7d\nSessionMaxLifetime 0",
        "session_store=ID; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax",
    ),
    (
        "SessionIdName __Host-sid\nSessionIdSecure on",
        "__Host-sid=ID; Path=/; Secure; HttpOnly; SameSite=Lax",
    ),
];

fn places() -> Server {
    let place = |(number, (lines, _)): (usize, &(&str, &str))| {
        format!("<Location \"/row{number}\">\nSetHandler probe\n{lines}\n</Location>\n")
    };
    sessions().conf(&ROWS.iter().enumerate().map(place).collect::<String>()).start()
}

#[test]
fn each_attribute_is_set_and_cleared_as_its_directive_says() {
    let server = places();
    for (number, (lines, expected)) in ROWS.iter().enumerate() {
        let mut client = server.client();
        let made = client.get(&format!("/row{number}?set:a=1")).expect(200);
        let id = id_set(&made).unwrap_or_else(|| panic!("no cookie: {lines}"));
        assert!(is_id(&id), "{lines}");
        assert_eq!(made.set_cookies(), [expected.replace("ID", &id)], "{lines}");

        let kept = client.get(&format!("/row{number}?get:a")).expect(200);
        assert_eq!((kept.text().as_str(), id_set(&kept)), ("get=SUCCESS 1\n", None), "{lines}");

        let cleared = client.get(&format!("/row{number}?delete")).expect(200);
        let line = cleared.set_cookies().concat();
        let (name, attributes) = expected.split_once("=ID").expect("a row with ID");
        assert!(line.starts_with(&format!("{name}=; ")), "{line}");
        assert!(line.contains("; Max-Age=0") && line.contains("01 Jan 1970"), "{line}");
        for attribute in attributes.split("; ").filter(|part| !part.starts_with("Max-Age")) {
            assert!(line.contains(attribute), "{attribute} is missing in {line}");
        }
        assert!(client.jar.is_empty(), "{lines}");
    }
}

#[test]
fn no_cookie_is_set_before_something_is_stored_and_none_again_after_it() {
    let server = sessions().start();
    let mut client = server.client();
    for ops in ["", "get:a", "keys;user;reason;is_new", "id", "set_timeout:60000000", "unset:a"] {
        assert_eq!(id_set(&client.send(&ask(ops)).expect(200)), None, "{ops}");
    }
    assert_eq!(id_set(&client.get("/").expect(200)), None);
    assert!(id_set(&client.send(&ask("set:a=1")).expect(200)).is_some());
    for ops in ["set:a=2", "get:a", "set:b=", "set_timeout:60000000"] {
        assert_eq!(id_set(&client.send(&ask(ops)).expect(200)), None, "{ops}");
    }
}

#[test]
fn a_cookie_is_sent_again_where_that_is_asked_for() {
    let server = sessions()
        .conf(
            "<Location \"/refresh\">\nSetHandler probe\nSessionIdRefresh on\n</Location>\n\
             <Location \"/aging\">\nSetHandler probe\nSessionIdMaxAge timeout\n\
             SessionTouchInterval 0\n</Location>",
        )
        .start();
    let mut client = server.client();
    run(&mut client, "set:a=1");
    let id = client.jar.get("session_store").expect("a cookie").to_owned();
    for path in ["/refresh?get:a", "/refresh?set:a=2", "/aging?get:a", "/aging?set:a=3"] {
        let again = client.get(path).expect(200);
        assert_eq!(id_set(&again), Some(id.clone()), "{path}");
        let aging = path.starts_with("/aging");
        assert_eq!(again.set_cookies()[0].contains("Max-Age=1800"), aging, "{path}");
    }
    // What is not there is not refreshed, and not cleared either.
    run(&mut client, "get:a");
    let mut stranger = server.client();
    stranger.jar.set("session_store", &"A".repeat(43));
    assert_eq!(id_set(&stranger.get("/refresh?get:a").expect(200)), None);
    assert!(stranger.jar.get("session_store").is_some());
}

#[test]
fn the_first_known_one_of_several_cookies_of_one_name_counts() {
    let server = sessions().start();
    let session = |value: &str| {
        let mut client = server.client();
        run(&mut client, &format!("set:who={value}"));
        client.jar.get("session_store").expect("a cookie").to_owned()
    };
    let (one, two, unknown) = (session("one"), session("two"), "A".repeat(43));
    let who = |headers: &[String]| {
        let add = |request: Request, line: &String| request.header("Cookie", line);
        let response = server.client().send(&headers.iter().fold(ask("get:who"), add));
        (response.clone().expect(200).text(), id_set(&response))
    };
    let pair = |id: &str| format!("session_store={id}");
    let found = |value: &str| (format!("get=SUCCESS {value}\n"), None);
    let joined =
        |ids: &[&str], by: &str| ids.iter().map(|id| pair(id)).collect::<Vec<_>>().join(by);

    for by in ["; ", ", ", ";", " ; x=y; "] {
        assert_eq!(who(&[joined(&[&one, &two], by)]), found("one"));
        assert_eq!(who(&[joined(&[&two, &one], by)]), found("two"));
        assert_eq!(who(&[joined(&[&unknown, "malformed", "", &two], by)]), found("two"));
    }
    assert_eq!(who(&[pair(&unknown), pair(&one)]), found("one"));
    assert_eq!(who(&[format!("session_store=\"{two}\"")]), found("two"));
    assert_eq!(who(&[format!("Session_Store={one}; xsession_store={one}")]).0, "get=NOTFOUND\n");
    // The same one again is one, not four.
    assert_eq!(who(&[joined(&[&unknown, &unknown, &unknown, &unknown, &two], "; ")]), found("two"));
}
