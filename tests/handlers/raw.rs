//! Heads that httpd passes on as bytes: interim ones, switched protocols, scripts with heads of their
//! own; and trailers.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::faces::{Backend, Face, faced, start};
use crate::mpm_tests;
use crate::support::probed::{ask, probed, records};
use crate::support::{Builder, Mpm, Request, wait_value};

const PATIENCE: Duration = Duration::from_secs(10);

const ALL: &str = "SessionExport headers *\nSessionBackendHeaders all";

mpm_tests!(
    a_switched_protocol_does_what_its_head_orders_and_holds_no_session,
    a_tunnel_does_what_its_head_orders_and_holds_no_session,
    a_script_with_a_head_of_its_own_shows_nothing_of_ours,
);

/// Everything that comes until the connection ends.
fn everything(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("reading");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[track_caller]
fn has_nothing_of_ours(text: &str) {
    let head = text.split("X-Session-Age-Left=").next().unwrap_or(text);
    assert!(!head.to_ascii_lowercase().contains("x-session"), "{text}");
}

#[test]
fn interim_answers_and_trailers_carry_nothing_of_ours_and_order_nothing() {
    let (server, _backend) = start(Face::Http, ALL);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let target =
        "/app?early=X-Session-Set:a%3D2&trailer=X-Session-Set:a%3D3&head=X-Session-Set:b%3D1";
    let wire = visitor.open(&Request::get(target).close());
    let text = everything(&mut wire.stream());
    assert!(text.starts_with("HTTP/1.1 103"), "{text}");
    assert!(text.contains("HTTP/1.1 200"), "{text}");
    has_nothing_of_ours(&text);
    assert_eq!(ask(&mut visitor, "/c?get:a;get:b"), "get=SUCCESS 1\nget=SUCCESS 1");
    // The connection is used for other requests afterwards.
    for target in [target, "/app?early=Link:a", "/index.html", target] {
        let answer = visitor.get(target).expect(200);
        assert!(answer.headers_all("X-Session-Set").is_empty());
    }
}

#[test]
fn streams_of_http2_carry_nothing_of_ours() {
    let (builder, _backend) = faced(Face::Http, ALL);
    let server = builder
        .module("http2")
        .conf("Protocols h2c http/1.1\nH2Direct on\nH2EarlyHints on")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let cookie = visitor.jar.header().expect("a cookie");
    let target =
        "/app?early=X-Session-Set:a%3D2&trailer=X-Session-Set:a%3D3&head=X-Session-Set:b%3D1";
    let output = Command::new("curl")
        .args(["-q", "--silent", "--noproxy", "*", "--http2-prior-knowledge", "--include"])
        .args(["--header", &format!("Cookie: {cookie}"), "--header", "X-Session-User: admin"])
        .arg(server.url(target))
        .stdin(Stdio::null())
        .output()
        .expect("running curl");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("HTTP/2 200") && text.contains("X-Session-Value-a=1"), "{text}");
    assert!(!text.contains("admin"), "{text}");
    has_nothing_of_ours(&text);
    assert_eq!(ask(&mut visitor, "/c?get:a;get:b"), "get=SUCCESS 1\nget=SUCCESS 1");
}

/// A backend that switches protocols with this head and answers with what it is sent; its port. It ends
/// with the test's process.
fn switching(head: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listening");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || echo(connection, head));
        }
    });
    port
}

/// Ends with the connection. The head comes in two pieces.
fn echo(mut connection: TcpStream, answer: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.extend(byte);
    }
    let (first, second) = answer.split_at(answer.len() - 20);
    for part in [first, second] {
        if connection.write_all(part.as_bytes()).and_then(|()| connection.flush()).is_err() {
            return;
        }
    }
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = connection.read(&mut bytes) {
        if connection.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                        X-Session-Set: n=5\r\nX_Session_Set: n=7\r\nConnection: Upgrade\r\n\
                        X-Session-Append: n=6\r\nX-Other: kept\r\n\r\n";

fn websocket() -> Request {
    Request::get("/ws")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
}

fn holds_nothing(builder: Builder) {
    let server = builder.conf(&format!("<Location \"/ws\">\n{ALL}\n</Location>")).start();
    // The proxy notes that the visitor left in the middle.
    server.allow_log("AH10212");
    server.expect_log("1 session headers of a backend make no sense");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=1");
    let mut tunnel = visitor.open(&websocket());
    let head = tunnel.head().expect("a head");
    assert_eq!((head.status, head.header("X-Other")), (101, Some("kept")));
    super::faces::assert_stripped(&head);
    for count in 0..3 {
        tunnel.send(b"ping");
        assert_eq!(tunnel.read(4), b"ping");
        assert_eq!(ask(&mut visitor, "/p?incr:n"), format!("incr=SUCCESS {}", 57 + count));
    }
    drop(tunnel);
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 59");
}

fn a_switched_protocol_does_what_its_head_orders_and_holds_no_session(mpm: Mpm) {
    let conf = format!(
        "ProxyPass \"/ws\" \"http://127.0.0.1:{}/ws\" upgrade=websocket",
        switching(SWITCHED)
    );
    holds_nothing(probed().mpm(mpm).ready_for(4).module("proxy").module("proxy_http").conf(&conf));
}

fn a_tunnel_does_what_its_head_orders_and_holds_no_session(mpm: Mpm) {
    let conf = format!(
        "ProxyWebsocketFallbackToProxyHttp off\nProxyPass \"/ws\" \"ws://127.0.0.1:{}/ws\"",
        switching(SWITCHED)
    );
    holds_nothing(
        probed().mpm(mpm).ready_for(4).module("proxy").module("proxy_wstunnel").conf(&conf),
    );
}

const NPH: &str = "#!/bin/sh\nprintf 'HTTP/1.1 100 Continue\\r\\nX-Session-Set: n=2\\r\\n\\r\\n'\n\
                   printf 'HTTP/1.1 200 OK\\r\\nX-Session-Set: n=2\\r\\nX-Sess'\nsleep 0.1\n\
                   printf 'ion-Do: delete\\r\\nConnection: close\\r\\n\\r\\n'\n\
                   printf '%s|%s\\nX-Session-Set: body' \"$SESSION_VALUE_N\" \"$HTTP_COOKIE\"\n";

fn a_script_with_a_head_of_its_own_shows_nothing_of_ours(mpm: Mpm) {
    let (builder, _) = faced(Face::Cgi(mpm), "");
    let server = builder
        .script("nph-own.sh", NPH)
        .conf("ScriptAlias \"/nph\" \"${DOCS}/nph-own.sh\"")
        .conf("<Location \"/nph\">\nSessionExport env *\nSessionBackendHeaders all\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=1");
    let wire = visitor.open(&Request::get("/nph"));
    assert_eq!(
        everything(&mut wire.stream()),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n1|\nX-Session-Set: body"
    );
    assert_eq!((ask(&mut visitor, "/p?get:n").as_str(), records(&server)), ("get=SUCCESS 1", 1));
}

/// What removes them is a filter, and this handler throws it away: a log would show them.
#[test]
fn headers_of_ours_are_gone_although_a_handler_threw_all_filters_away() {
    let server = probed()
        .conf("CustomLog logs/told.log \"%{X-Session-Set}o %{X-Session-Do}o %{X-Other}o\"")
        .start();
    let orders = "errheader:X-Session-Do=delete;header:X-Session-Set=n%3D2;header:X-Other=1";
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=0");
    // The first handler has nothing to do with the session, the second has.
    for target in [format!("/c?nph;{orders}"), format!("/c?nph;set:a=1;{orders}")] {
        everything(&mut visitor.open(&Request::get(&target)).stream());
    }
    let log = server.root().join("logs/told.log");
    // Those of other requests have no such header.
    let told = || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.lines().filter(|line| line.ends_with('1')).map(str::to_owned).collect::<Vec<_>>()
    };
    let two = wait_value("two lines", PATIENCE, told, |told| told.len() == 2);
    assert_eq!(two, ["- - 1", "- - 1"]);
}

#[test]
fn an_answer_without_a_head_passes_as_it_is() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listening");
    let port = listener.local_addr().expect("its address").port();
    let backend = thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        let mut bytes = [0; 1024];
        let _ = connection.read(&mut bytes);
        connection.write_all(b"raw bytes\n").expect("writing");
    });
    let (builder, _backend): (_, Backend) = faced(Face::Http, "");
    let server = builder
        .conf(&format!("ProxyPass \"/old\" \"http://127.0.0.1:{port}/\"\n<Location \"/old\">\n{ALL}\n</Location>"))
        .start();
    assert_eq!(server.get("/old").expect(200).text().trim_end(), "raw bytes");
    backend.join().expect("the backend");
}
