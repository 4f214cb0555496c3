//! What clients send that only the server may say.

use super::faces::{Face, faced, send, shown, start};
use crate::face_tests;
use crate::support::probed::ask;
use crate::support::{Client, Mpm};

/// Ours, however a backend may fold it.
const LOOKALIKES: [(&str, &str); 9] = [
    ("X-Session-User", "admin"),
    ("X_Session_User", "admin"),
    ("X.Session.User", "admin"),
    ("x-session_USER", "admin"),
    ("X-Session-Value-Cart", "admin"),
    ("X_SESSION_VALUE_CART", "admin"),
    ("X-Session-Set", "cart=admin"),
    ("X-Session-Do", "invalidate"),
    ("X-Session-New", "admin"),
];

face_tests!(a_client_cannot_say_what_the_server_says);

#[track_caller]
fn nothing_of_the_client(visitor: &mut Client, face: Face, target: &str) {
    let seen = shown(&send(visitor, target, &LOOKALIKES).expect(200));
    assert!(!seen.values().any(|value| value.contains("admin")), "{face:?} {seen:?}");
    let names = LOOKALIKES.map(|(name, _)| name).join(", ");
    for connection in
        ["X-Session-User", "x_session.value-CART", &names, "keep-alive, X-Session-User"]
    {
        let seen = shown(&send(visitor, target, &[("Connection", connection)]).expect(200));
        assert_eq!(
            seen.get(&face.fact("User")).map(String::as_str),
            Some("ann"),
            "{face:?} {seen:?}"
        );
        assert_eq!(seen.get(&face.value("cart")).map(String::as_str), Some("3"), "{face:?}");
    }
}

fn a_client_cannot_say_what_the_server_says(face: Face) {
    let (server, _backend) = start(face, &face.export("*"));
    let mut visitor = server.client();
    // Who has no session is nobody.
    let seen = shown(&send(&mut visitor, "/app", &LOOKALIKES).expect(200));
    assert_eq!(seen.len(), 2, "{seen:?}");
    ask(&mut visitor, "/p?set:cart=3;set_user:ann");
    nothing_of_the_client(&mut visitor, face, "/app");
    let kept = [("X-Session-Token", "kept"), ("Connection", "X-Other, keep-alive")];
    let seen = shown(&send(&mut visitor, "/app", &kept).expect(200));
    assert_eq!(seen.get(&face.header("X-Session-Token")).map(String::as_str), Some("kept"));
}

#[test]
fn lookalikes_are_dropped_where_no_session_exists_and_in_every_request_of_a_tree() {
    let (builder, _backend) = faced(Face::Http, "SessionEngine off");
    let server =
        builder.conf("<Location \"/q\">\nSetHandler probe\nSessionEngine off\n</Location>").start();
    let mut visitor = server.client();
    assert!(shown(&send(&mut visitor, "/app", &LOOKALIKES).expect(200)).is_empty());
    for place in ["/p", "/c", "/q"] {
        for target in [
            format!(
                "{place}?reqheader:X-Session-User;reqheader:X_Session_User;reqheader:Connection"
            ),
            format!("{place}?redirect:/q%3Freqheader%3AX-Session-User"),
            format!("{place}?sub:/c%3Freqheader%3AX-Session-User"),
        ] {
            let connection = [("Connection", "X-Session-User")];
            let sent = [&LOOKALIKES[..], &connection].concat();
            let text = send(&mut visitor, &target, &sent).expect(200).text();
            assert!(!text.contains("admin") && !text.contains("X-Session"), "{target}: {text}");
        }
    }
}

/// httpd refuses such a request before any module has seen it.
#[test]
fn lookalikes_are_dropped_from_the_page_of_an_early_error() {
    let (builder, _backend) = faced(Face::Http, &Face::Http.export("*"));
    let server = builder
        .conf("ErrorDocument 417 /c?reqheader:X-Session-User;reqheader:X_Session_User;reqheader:Connection")
        .start();
    let mut visitor = server.client();
    let early = [("Expect", "nonsense"), ("Connection", "X-Session-User")];
    let text = send(&mut visitor, "/p", &[&LOOKALIKES[..], &early].concat()).expect(417).text();
    assert!(text.contains("reqheader="), "{text}");
    assert!(!text.contains("admin") && !text.contains("X-Session"), "{text}");
}

#[test]
fn lookalikes_stay_on_a_server_without_sessions() {
    let (builder, _backend) = faced(Face::Http, "");
    let server = builder.conf("SessionEngine off").start();
    let seen = shown(&send(&mut server.client(), "/app", &LOOKALIKES[..1]).expect(200));
    assert_eq!(seen.get("X-Session-User").map(String::as_str), Some("admin"));
}

#[test]
fn lookalikes_among_trailers_reach_nobody() {
    let body = "5\r\nhello\r\n0\r\nX-Session-User: admin\r\nX-Other: kept\r\n\r\n";
    for merged in ["on", "off"] {
        let (builder, _backend) = faced(Face::Cgi(Mpm::Event), "SessionExport env *");
        let server = builder.conf(&format!("MergeTrailers {merged}")).start();
        let head = "Transfer-Encoding: chunked\r\nTrailer: X-Session-User";
        for target in
            ["/c?body;reqheader:X-Session-User", "/p?body;reqheader:X-Session-User", "/app"]
        {
            let mut wire = server.client().connect().expect("connecting");
            let request =
                format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n{body}");
            wire.send(request.as_bytes());
            let response = wire.response("POST").expect("an answer").expect(200);
            assert!(!response.text().contains("admin"), "{target} {}", response.text());
        }
    }
}
