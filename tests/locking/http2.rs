//! HTTP/2: the requests of one session are streams of one connection, and a stream may stall alone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::steps::{Signals, answer, ask, count, run, sessions, visitor};
use crate::support::{Builder, Client, Mpm, Server, parallel, wait_value};

const PROMPT: Duration = Duration::from_millis(1500);
/// A place where the session is taken by the C interface alone: a handler says first that it begins.
const PLAIN: &str = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>";
/// Streams of a new connection that mod_http2 works on at once.
const AT_ONCE: usize = 6;
/// Requests that may wait for one session if nothing is said.
const WAITERS: usize = 16;

/// Prefork runs one stream of a process at a time, and mod_http2 warns of it.
macro_rules! threaded_tests {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::support::Mpm;

            #[test]
            fn worker() {
                super::$name(Mpm::Worker);
            }

            #[test]
            fn event() {
                super::$name(Mpm::Event);
            }
        }
    )+};
}

threaded_tests!(
    thirty_streams_that_increment_lose_none,
    streams_that_wait_for_their_session_do_not_stall_a_stranger,
    a_stalled_stream_holds_no_session_once_it_unlocked,
    a_stalled_stream_holds_no_session_once_its_handler_ended,
    streams_beyond_the_waiters_get_503_at_once_and_the_others_are_served,
);

fn builder(mpm: Mpm) -> Builder {
    let builder = sessions().mpm(mpm).threads(64).ready_for(64).module("http2");
    builder.conf("Protocols h2c http/1.1\nH2Direct on").conf(PLAIN)
}

/// What curl got on the streams of a connection.
#[derive(Debug)]
struct Answers {
    /// Status and `Retry-After` of each.
    heads: Vec<(u16, String)>,
    /// What `incr` answered, in the order of numbers.
    sums: Vec<u32>,
}

/// What the visitor gets for `paths`, streams of one connection. It begins by an upgrade: curl 7.88
/// fails to multiplex what it begins by prior knowledge.
#[track_caller]
fn streams(client: &Client, server: &Server, paths: &[String]) -> Answers {
    let cookie = format!("Cookie: {}", client.jar.header().expect("a session"));
    let written = "\\n|%{http_version}|%{http_code}|%header{retry-after}\\n";
    let output = Command::new("curl")
        .args(["-q", "--silent", "--globoff", "--noproxy", "*", "--http2"])
        .args(["--parallel", "--parallel-max", "64"])
        .args(["--max-time", "40", "--header", &cookie, "--write-out", written])
        .args(paths.iter().map(|path| server.url(path)))
        .stdin(Stdio::null())
        .output()
        .expect("running curl");
    let text = String::from_utf8_lossy(&output.stdout);
    let heads: Vec<(u16, String)> = text.lines().filter_map(head).collect();
    assert_eq!(heads.len(), paths.len(), "{text}");
    let number = |line: &str| line.strip_prefix("incr=SUCCESS ")?.parse().ok();
    let mut sums: Vec<u32> = text.lines().filter_map(number).collect();
    sums.sort_unstable();
    Answers { heads, sums }
}

/// `|2|STATUS|RETRY-AFTER`.
fn head(line: &str) -> Option<(u16, String)> {
    let (status, retry_after) = line.strip_prefix("|2|")?.split_once('|')?;
    Some((status.parse().ok()?, retry_after.to_owned()))
}

fn thirty_streams_that_increment_lose_none(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockWaiters 64 100%").start();
    let mut client = visitor(&server);
    let answers = streams(&client, &server, &vec!["/probe?incr:n".to_owned(); 30]);
    assert_eq!(answers.sums, (2..=31).collect::<Vec<u32>>());
    assert_eq!(count(&mut client), 31);
}

fn streams_that_wait_for_their_session_do_not_stall_a_stranger(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockWaiters 64 100%").start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let begins: Vec<String> = (0..20).map(|index| format!("begins{index}")).collect();
    let begun = || begins.iter().filter(|name| signals.file(name).exists()).count();
    let paths: Vec<String> =
        begins.iter().map(|name| format!("/plain?{};incr:n", signals.give(name))).collect();

    let tab = client.clone();
    let answers = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| streams(&tab, &server, &paths));
        let patience = Duration::from_secs(20);
        wait_value("streams under way", patience, begun, |count| *count >= AT_ONCE);
        let response = server.client().send(&ask("incr:n")).expect(200);
        let stranger = visitor(&server);
        let start = std::time::Instant::now();
        let by_stream = streams(&stranger, &server, &["/probe?incr:n".to_owned()]);
        let took = start.elapsed();
        let early = waiting.is_finished();
        signals.raise("end");
        assert!(response.took < PROMPT, "{:?}", response.took);
        assert!(took < PROMPT, "{took:?}");
        assert_eq!(by_stream.sums, [2]);
        assert!(!early, "nobody waited");
        waiting.join().expect("the streams")
    });
    answer(holder).expect(200);
    assert_eq!(answers.sums, (3..=22).collect::<Vec<u32>>(), "{answers:?}");
    assert_eq!(count(&mut client), 22);
}

/// A stream whose window takes 100 bytes and is never widened.
struct Stalled {
    connection: TcpStream,
}

impl Stalled {
    /// Asks for `path` and waits for the first data of the answer: no more follows.
    fn new(client: &Client, server: &Server, path: &str) -> Stalled {
        let mut connection = TcpStream::connect(server.address()).expect("connecting");
        connection.set_read_timeout(Some(Duration::from_secs(20))).expect("setting a timeout");
        // Indexed fields of HPACK's static table: GET, http.
        let mut fields = vec![0x82, 0x86];
        let cookie = client.jar.header().expect("a session");
        for (name, value) in [(":path", path), (":authority", "localhost"), ("cookie", &cookie)] {
            fields.push(0);
            hpack_string(&mut fields, name);
            hpack_string(&mut fields, value);
        }
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS: the initial window (4) of streams. HEADERS, the last of the request (1 | 4).
        frame(&mut bytes, [4, 0], 0, &[0, 4, 0, 0, 0, 100]);
        frame(&mut bytes, [1, 5], 1, &fields);
        connection.write_all(&bytes).expect("asking");
        let mut stalled = Stalled { connection };
        while stalled.frame_type() != 0 {}
        stalled
    }

    /// Reads a frame.
    fn frame_type(&mut self) -> u8 {
        let mut head = [0; 9];
        self.connection.read_exact(&mut head).expect("a frame");
        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
        let mut payload = vec![0; length];
        self.connection.read_exact(&mut payload).expect("its payload");
        assert!(head[0] != 3 && head[0] != 7, "reset or closed: {payload:?}");
        head[3]
    }
}

/// A frame of the type and flags `kind`.
fn frame(bytes: &mut Vec<u8>, kind: [u8; 2], stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a small frame");
    bytes.extend(&length.to_be_bytes()[1..]);
    bytes.extend(kind);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
}

/// A string as it is, shorter than 255 bytes: its length is a number with a prefix of seven bits.
fn hpack_string(bytes: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..127 => bytes.push(u8::try_from(length).expect("seven bits")),
        length => bytes.extend([127, u8::try_from(length - 127).expect("a short string")]),
    }
    bytes.extend(text.as_bytes());
}

#[track_caller]
fn is_free_while_stalled(mpm: Mpm, ops: &str) {
    let server = builder(mpm).conf("SessionLockTimeout 5s").start();
    let mut client = visitor(&server);
    let mut stalled = Stalled::new(&client, &server, &format!("/probe?{ops}"));
    let response = client.send(&ask("incr:n"));
    assert!(response.took < PROMPT, "waited {:?}", response.took);
    assert_eq!(response.expect(200).text(), "incr=SUCCESS 3\n");
    let by_stream = streams(&client, &server, &["/probe?incr:n".to_owned()]);
    assert_eq!(by_stream.sums, [4]);
    // The window was used up and the stream did not end.
    stalled.connection.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert!(stalled.connection.read(&mut [0]).is_err(), "the stream went on");
}

fn a_stalled_stream_holds_no_session_once_it_unlocked(mpm: Mpm) {
    is_free_while_stalled(mpm, "incr:n;setnote:session-store.do=unlock;flush;write:2000000");
}

fn a_stalled_stream_holds_no_session_once_its_handler_ended(mpm: Mpm) {
    is_free_while_stalled(mpm, "incr:n;write:8000");
}

fn streams_beyond_the_waiters_get_503_at_once_and_the_others_are_served(mpm: Mpm) {
    let server = builder(mpm).start();
    server.expect_log("a request was refused its session");
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let log = server.root().join("logs/access-0.log");
    let refused = || fs::read_to_string(&log).expect("its log").matches(" 503 ").count();
    let paths = vec!["/probe?incr:n".to_owned(); 5];
    let tab = client.clone();
    let answers: Vec<Answers> = std::thread::scope(|scope| {
        let tabs = scope.spawn(|| parallel(12, |_| streams(&tab, &server, &paths)));
        wait_value("refusals", Duration::from_secs(10), refused, |count| *count == 60 - WAITERS);
        assert!(!tabs.is_finished(), "nobody waited");
        signals.raise("end");
        tabs.join().expect("the streams")
    });
    answer(holder).expect(200);
    let heads = answers.into_iter().flat_map(|tab| tab.heads);
    let (served, surplus): (Vec<_>, Vec<_>) = heads.partition(|(status, _)| *status == 200);
    assert_eq!((served.len(), surplus.len()), (WAITERS, 60 - WAITERS), "{surplus:?}");
    let told = |(status, retry_after): &(u16, String)| *status == 503 && !retry_after.is_empty();
    assert!(surplus.iter().all(told), "{surplus:?}");
    assert_eq!(run(&mut client, "get:n"), [format!("get=SUCCESS {}", 2 + WAITERS)]);
}
