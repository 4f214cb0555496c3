//! Tunnels: what was a request becomes a connection that may last for hours and holds nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::mpm_tests;
use crate::steps::{ask, sessions, visitor};
use crate::support::{Builder, Client, Mpm, Request, Wire};

const PROMPT: Duration = Duration::from_millis(1500);
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                           Connection: Upgrade\r\n\r\n";

mpm_tests!(
    a_websocket_by_the_http_proxy_holds_no_session,
    a_websocket_by_the_tunnel_proxy_holds_no_session,
    a_connect_tunnel_holds_no_session,
);

/// A backend that switches protocols if `greets`, then answers with what it is sent; its port. It
/// ends with the test's process.
fn backend(greets: bool) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listening");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || echo(connection, greets));
        }
    });
    port
}

/// Ends with the connection.
fn echo(mut connection: TcpStream, greets: bool) {
    let mut head = Vec::new();
    let mut byte = [0];
    while greets && !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.extend(byte);
    }
    if greets && connection.write_all(SWITCHING).is_err() {
        return;
    }
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = connection.read(&mut bytes) {
        if connection.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

/// A request that finds its session held is refused at once.
fn builder(mpm: Mpm) -> Builder {
    sessions().mpm(mpm).ready_for(8).module("proxy").conf("SessionLockTimeout 0")
}

#[track_caller]
fn is_open(tunnel: &mut Wire) {
    tunnel.send(b"ping");
    assert_eq!(tunnel.read(4), b"ping");
}

#[track_caller]
fn is_free(client: &mut Client, sum: u32) {
    let response = client.send(&ask("incr:n"));
    assert!(response.took < PROMPT, "waited {:?}", response.took);
    assert_eq!(response.expect(200).text(), format!("incr=SUCCESS {sum}\n"));
}

/// Opens a tunnel by `request`, whose fixup adds to `n`, and asks for the session beside it.
#[track_caller]
fn holds_nothing(builder: Builder, request: &Request, status: u16) {
    let server = builder.start();
    // The proxy notes that the visitor left in the middle.
    server.allow_log("AH10212");
    let mut client = visitor(&server);
    let mut tunnel = client.open(request);
    assert_eq!(tunnel.head().expect("a head").status, status);
    is_open(&mut tunnel);
    is_free(&mut client, 3);
    is_open(&mut tunnel);
    is_free(&mut client, 4);
    drop(tunnel);
    is_free(&mut client, 5);
}

fn websocket() -> Request {
    Request::get("/ws")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
}

fn counted(place: &str) -> String {
    format!("<{place}>\nProbeFixup \"incr:n\"\n</{}>", place.split(' ').next().expect("a word"))
}

fn a_websocket_by_the_http_proxy_holds_no_session(mpm: Mpm) {
    let port = backend(true);
    let conf = format!("ProxyPass \"/ws\" \"http://127.0.0.1:{port}/ws\" upgrade=websocket");
    let builder = builder(mpm).module("proxy_http").conf(&conf);
    holds_nothing(builder.conf(&counted("Location \"/ws\"")), &websocket(), 101);
}

fn a_websocket_by_the_tunnel_proxy_holds_no_session(mpm: Mpm) {
    let port = backend(true);
    let conf = format!("ProxyPass \"/ws\" \"ws://127.0.0.1:{port}/ws\"");
    let builder = builder(mpm).module("proxy_http").module("proxy_wstunnel").conf(&conf);
    holds_nothing(builder.conf(&counted("Location \"/ws\"")), &websocket(), 101);
}

fn a_connect_tunnel_holds_no_session(mpm: Mpm) {
    let port = backend(false);
    let conf = format!("ProxyRequests on\nAllowCONNECT {port}");
    let builder = builder(mpm).module("proxy_connect").conf(&conf);
    let request = Request::new("CONNECT", &format!("127.0.0.1:{port}"));
    holds_nothing(builder.conf(&counted("Proxy \"*\"")), &request, 200);
}
