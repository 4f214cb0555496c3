//! What takes long without the session: the same user's other requests do not wait for it.

use std::time::Duration;

use crate::mpm_tests;
use crate::steps::{Signals, answer, ask, count, run, sessions, visitor, with_lua};
use crate::support::{Builder, Client, Mpm, Request, Server, Wire};

/// Well below the seconds that what is under way takes, and well above a request on a busy machine.
const PROMPT: Duration = Duration::from_millis(1500);
/// More than sockets of a slow reader take.
const LARGE: usize = 24 << 20;
/// Bytes of an upload.
const LENGTH: usize = 100_000;

fn builder(mpm: Mpm) -> Builder {
    sessions().mpm(mpm).ready_for(8)
}

/// The session is free: a request that needs it is answered promptly.
#[track_caller]
fn is_free(client: &mut Client, sum: u32) {
    let response = client.send(&ask("incr:n"));
    assert!(response.took < PROMPT, "waited {:?}", response.took);
    assert_eq!(response.expect(200).text(), format!("incr=SUCCESS {sum}\n"));
}

/// The head of a large answer was read and no more, so that its sender is stuck.
#[track_caller]
fn stuck(client: &mut Client, path: &str) -> Wire {
    let mut wire = client.open_narrow(&Request::get(path));
    assert_eq!(wire.head().expect("a head").status, 200);
    wire.read(1000);
    wire
}

mpm_tests!(
    a_download_that_is_read_slowly_holds_no_session,
    a_page_of_a_backend_that_is_read_slowly_holds_no_session,
    a_long_poll_of_a_backend_holds_no_session,
    a_page_that_unlocks_and_is_read_slowly_holds_no_session,
    a_script_that_unlocks_while_it_streams_lets_others_in,
    a_slow_upload_holds_its_session_once_it_is_used_and_no_other,
);

pub fn a_download_that_is_read_slowly_holds_no_session(mpm: Mpm) {
    let server = builder(mpm).document("large.bin", vec![b'x'; LARGE]).start();
    let mut client = visitor(&server);
    let download = stuck(&mut client, "/large.bin");
    is_free(&mut client, 2);
    download.abort();
}

fn backend(mpm: Mpm) -> Server {
    let places = "<Location \"/slow\">\nSetHandler harness\n</Location>";
    Server::builder()
        .without_session_store()
        .mpm(mpm)
        .ready_for(4)
        .probe("harness")
        .conf(places)
        .start()
}

/// The fixup opens the session for writing in every request of the backend's place.
fn front(mpm: Mpm, backend: &Server) -> Server {
    let port = backend.port();
    let conf = format!(
        "ProxyPass \"/slow\" \"http://127.0.0.1:{port}/slow\"\n\
         ProxyPass \"/used\" \"http://127.0.0.1:{port}/slow\"\n\
         <Location \"/used\">\nProbeFixup \"incr:n\"\n</Location>"
    );
    builder(mpm).module("proxy").module("proxy_http").conf(&conf).start()
}

fn a_page_of_a_backend_that_is_read_slowly_holds_no_session(mpm: Mpm) {
    let backend = backend(mpm);
    let server = front(mpm, &backend);
    // Both sides complain when the reader leaves in the middle.
    server.allow_log("AH01");
    let mut client = visitor(&server);
    let page = stuck(&mut client, &format!("/slow?stream={LARGE}"));
    is_free(&mut client, 2);
    page.abort();
    let page = stuck(&mut client, &format!("/used?stream={LARGE}"));
    is_free(&mut client, 4);
    page.abort();
}

fn a_long_poll_of_a_backend_holds_no_session(mpm: Mpm) {
    let backend = backend(mpm);
    let server = front(mpm, &backend);
    let mut client = visitor(&server);
    let mut poll = client.open(&Request::get("/slow?hold=3000"));
    is_free(&mut client, 2);
    let mut used = client.open(&Request::get("/used?hold=3000"));
    assert!(!used.stirs(Duration::from_millis(300)));
    is_free(&mut client, 4);
    assert!(!poll.stirs(Duration::from_millis(10)), "the poll ended");
    answer(poll).expect(200);
    let used = answer(used).expect(200);
    assert_eq!(used.header("X-Probe"), Some("fixup incr=SUCCESS 3"));
    assert_eq!(count(&mut client), 4);
}

pub fn a_page_that_unlocks_and_is_read_slowly_holds_no_session(mpm: Mpm) {
    let server = builder(mpm).start();
    let mut client = visitor(&server);
    let ops = format!("incr:n;setnote:session-store.do=unlock;flush;write:{LARGE}");
    let page = stuck(&mut client, &format!("/probe?{ops}"));
    is_free(&mut client, 3);
    page.abort();
}

const UNLOCKING: &str = "function handle(r)\n\
                           r.notes['session:n'] = string.format('%d', r.notes['session:n'] + 1)\n\
                           r.notes['session-store.do'] = 'unlock'\n\
                           r:puts('first\\n')\n\
                           r:flush()\n\
                           for _ = 1, 2000 do\n\
                             local file = io.open(r.args)\n\
                             if file then file:close(); break end\n\
                             r.usleep(10000)\n\
                           end\n\
                           r:puts('last\\n')\n\
                           return apache2.OK\n\
                         end\n";

pub fn a_script_that_unlocks_while_it_streams_lets_others_in(mpm: Mpm) {
    let server = with_lua(builder(mpm)).script("unlocking.lua", UNLOCKING).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let end = signals.file("end");
    let mut stream = client.open(&Request::get(&format!("/unlocking.lua?{}", end.display())));
    let head = stream.head().expect("a head").expect(200);
    let mut body = Vec::new();
    assert!(stream.chunk(&mut body).expect("a first chunk"));
    is_free(&mut client, 3);
    signals.raise("end");
    body.extend(stream.body(&head).expect("the rest"));
    assert_eq!(String::from_utf8_lossy(&body), "first\nlast\n");
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 3"]);
}

pub fn a_slow_upload_holds_its_session_once_it_is_used_and_no_other(mpm: Mpm) {
    let plain = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>";
    let server = builder(mpm).locks(1).conf(plain).conf("SessionLockTimeout 0").start();
    server.expect_log("a request was refused its session");
    let signals = Signals::of(&server);
    let (mut client, mut stranger) = (visitor(&server), visitor(&server));
    let upload = |client: &mut Client, ops: &str, begun: &str| {
        let mut upload = client.open(&Request::new("POST", ops).body_follows(LENGTH));
        signals.wait(begun);
        upload.send(b"a little");
        upload
    };
    let rest = [b'x'; LENGTH - 8];

    let ops = format!("/plain?{};body;incr:n", signals.give("unused"));
    let mut unused = upload(&mut client, &ops, "unused");
    is_free(&mut client, 2);
    is_free(&mut stranger, 2);
    unused.send(&rest);
    let text = unused.response("POST").expect("an answer").expect(200).text();
    assert!(text.ends_with("body=SUCCESS 100000\nincr=SUCCESS 3\n"), "{text}");

    let ops = format!("/plain?incr:n;{};body", signals.give("used"));
    let mut used = upload(&mut client, &ops, "used");
    client.send(&ask("incr:n")).expect(503);
    is_free(&mut stranger, 3);
    used.send(&rest);
    used.response("POST").expect("an answer").expect(200);
    is_free(&mut client, 5);
}

#[test]
fn snapshots_and_places_without_notes_wait_for_nobody() {
    let places = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>\n\
                  <Location \"/read\">\nSetHandler probe\nSessionLocking read\n</Location>";
    let server = builder(Mpm::Event).conf(places).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    for path in ["/plain", "/plain?open:read;get:n", "/read?get:n;set:n=9", "/"] {
        let response = client.send(&Request::get(path).close()).expect(200);
        assert!(response.took < PROMPT, "{path} waited {:?}", response.took);
        assert!(!response.text().contains("SUCCESS 2"), "{path}");
    }
    let read = client.send(&Request::get("/read?get:n;set:n=9")).text();
    assert_eq!(read, "get=SUCCESS 1\nset=EACCES\n");
    signals.raise("end");
    answer(holder).expect(200);
    assert_eq!(count(&mut client), 2);
}
