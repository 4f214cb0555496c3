//! A small HTTP/2 visitor: its requests are streams of one connection, begun at once and by prior
//! knowledge. It is patient with nothing that a sound server does not send.

mod hpack;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::client::Client;
use super::server::Server;

/// Longest silence it bears: beyond the longest wait for a session.
const PATIENCE: Duration = Duration::from_secs(40);
/// Bytes that a stream takes, and all streams together, unless it is to stall.
const WINDOW: u16 = 0xFFFF;
/// Bytes that a stalled stream takes.
const NARROW: u16 = 100;

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// Flags of frames.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Settings: the size of HPACK's dynamic table, the window of streams.
const TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW: u16 = 4;

/// What the streams of a connection were answered.
#[derive(Debug)]
pub struct Answers {
    /// Status of each that was answered, and whether it said when to come again.
    pub heads: Vec<(u16, bool)>,
    /// What `incr` answered, in the order of numbers.
    pub sums: Vec<u32>,
}

/// What the visitor gets for `paths`, streams of one connection; each has to be answered.
#[track_caller]
pub fn streams(client: &Client, server: &Server, paths: &[String]) -> Answers {
    counted_streams(client, server, paths, &AtomicUsize::new(0))
}

/// As [`streams`]; each answer is added to `answered` when it comes.
#[track_caller]
pub fn counted_streams(
    client: &Client,
    server: &Server,
    paths: &[String],
    answered: &AtomicUsize,
) -> Answers {
    let (answers, end) = run(client, server, paths, answered);
    assert_eq!(answers.heads.len(), paths.len(), "{answers:?}, {end:?}");
    answers
}

/// As [`streams`], for connections that may break: what was answered until then, and how it ended.
pub fn try_streams(
    client: &Client,
    server: &Server,
    paths: &[String],
) -> (Answers, io::Result<()>) {
    run(client, server, paths, &AtomicUsize::new(0))
}

fn run(
    client: &Client,
    server: &Server,
    paths: &[String],
    answered: &AtomicUsize,
) -> (Answers, io::Result<()>) {
    let mut streams = BTreeMap::new();
    let end = Connection::new(client, server, WINDOW).and_then(|mut connection| {
        paths.iter().try_for_each(|path| connection.ask(path))?;
        connection.collect(paths.len(), &mut streams, answered)
    });
    let whole = streams.into_values().filter(|stream: &Stream| stream.ended);
    let (heads, bodies): (Vec<_>, Vec<_>) = whole.map(|stream| (stream.head, stream.body)).unzip();
    let text = String::from_utf8_lossy(&bodies.concat()).into_owned();
    let number = |line: &str| line.strip_prefix("incr=SUCCESS ")?.parse().ok();
    let mut sums: Vec<u32> = text.lines().filter_map(number).collect();
    sums.sort_unstable();
    (Answers { heads, sums }, end)
}

/// A stream whose window is used up and never widened.
pub struct Stalled {
    connection: Connection,
}

impl Stalled {
    /// Asks for `path` and waits until the answer has filled the window.
    #[track_caller]
    pub fn new(client: &Client, server: &Server, path: &str) -> Stalled {
        let mut connection = Connection::new(client, server, NARROW).expect("connecting");
        connection.ask(path).expect("asking");
        let mut room = usize::from(NARROW);
        while room > 0 {
            let frame = connection.frame().expect("a frame");
            assert!(frame.kind != RESET && frame.kind != GOAWAY, "{frame:?}");
            if frame.kind == DATA {
                room -= frame.payload.len();
            }
        }
        Stalled { connection }
    }

    /// Fails if more data comes, or an end.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        let patience = Some(Duration::from_millis(100));
        self.connection.wire.set_read_timeout(patience).expect("setting a timeout");
        let mut byte = [0];
        assert!(self.connection.wire.read(&mut byte).is_err(), "the stream went on");
    }
}

/// An answer, as far as it came.
#[derive(Debug, Default)]
struct Stream {
    head: (u16, bool),
    body: Vec<u8>,
    ended: bool,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Connection {
    wire: TcpStream,
    cookie: String,
    /// The number of the next stream.
    next: u32,
}

impl Connection {
    fn new(client: &Client, server: &Server, window: u16) -> io::Result<Connection> {
        let wire = TcpStream::connect(server.address())?;
        wire.set_read_timeout(Some(PATIENCE))?;
        wire.set_nodelay(true)?;
        let cookie = client.jar.header().expect("a session");
        let mut connection = Connection { wire, cookie, next: 1 };
        connection.wire.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let setting = |name: u16, value: u16| {
            [&name.to_be_bytes()[..], &u32::from(value).to_be_bytes()].concat()
        };
        let settings = [setting(TABLE_SIZE, 0), setting(INITIAL_WINDOW, window)].concat();
        connection.send(SETTINGS, 0, 0, &settings)?;
        Ok(connection)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a small frame");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.wire.write_all(&bytes)
    }

    fn ask(&mut self, path: &str) -> io::Result<()> {
        let fields = hpack::request(path, &self.cookie);
        self.send(HEADERS, END_STREAM | END_HEADERS, self.next, &fields)?;
        self.next += 2;
        Ok(())
    }

    fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.wire.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.wire.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads until `count` streams have ended, and adds each that does to `answered`.
    fn collect(
        &mut self,
        count: usize,
        streams: &mut BTreeMap<u32, Stream>,
        answered: &AtomicUsize,
    ) -> io::Result<()> {
        let mut ended = 0;
        while ended < count {
            let frame = self.frame()?;
            match frame.kind {
                HEADERS => {
                    assert_eq!(
                        frame.flags & !END_STREAM,
                        END_HEADERS,
                        "a head in parts, or padded"
                    );
                    let stream = streams.entry(frame.stream).or_default();
                    stream.head = hpack::head(&frame.payload);
                }
                DATA => {
                    let stream = streams.entry(frame.stream).or_default();
                    stream.body.extend(frame.payload);
                }
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[])?,
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload)?,
                RESET => return Err(io::Error::new(ErrorKind::ConnectionReset, "a stream")),
                // What was begun before goes on; others get no answer, and the connection ends.
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                streams.entry(frame.stream).or_default().ended = true;
                ended += 1;
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
