//! A connection, frame by frame.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::hpack;
use crate::support::client::{Client, Wire};

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
/// Flags of frames.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Settings: the size of HPACK's dynamic table, the window of streams.
const TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW: u16 = 4;
/// Why a stream is reset: its answer is wanted no more.
const CANCEL: u32 = 8;

/// Streams of one visitor, which a test begins and ends one by one.
pub struct Connection {
    wire: Wire,
    cookie: String,
    /// The number of the next stream.
    next: u32,
    pub(super) streams: BTreeMap<u32, Stream>,
}

/// An answer, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) head: (u16, bool),
    pub(super) body: Vec<u8>,
    pub(super) ended: bool,
    reset: bool,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Whether it said when to come again.
    pub retry_after: bool,
    pub text: String,
    /// Since it was asked for, or since it was waited for.
    pub took: Duration,
}

impl Answer {
    /// Fails the test if the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The lines of its body.
    pub fn lines(&self) -> Vec<String> {
        self.text.lines().map(str::to_owned).collect()
    }
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Connection {
    /// One whose streams have room for all that tests ask for.
    pub fn new(client: &Client) -> io::Result<Connection> {
        Connection::with_window(client, WINDOW)
    }

    /// One whose streams soon stall.
    pub fn narrow(client: &Client) -> io::Result<Connection> {
        Connection::with_window(client, NARROW)
    }

    fn with_window(client: &Client, window: u16) -> io::Result<Connection> {
        let wire = client.connect()?;
        let cookie = client.jar.header().expect("a session");
        let mut connection = Connection { wire, cookie, next: 1, streams: BTreeMap::new() };
        connection.wire.stream().set_read_timeout(Some(super::PATIENCE))?;
        connection.wire.try_send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let setting = |name: u16, value: u16| {
            [&name.to_be_bytes()[..], &u32::from(value).to_be_bytes()].concat()
        };
        let settings = [setting(TABLE_SIZE, 0), setting(INITIAL_WINDOW, window)].concat();
        connection.send(SETTINGS, 0, 0, &settings)?;
        Ok(connection)
    }

    /// Begins a stream that asks for `path`; its number.
    pub fn get(&mut self, path: &str) -> io::Result<u32> {
        self.get_as(&self.cookie.clone(), path)
    }

    /// As [`Connection::get`], by who has another cookie.
    pub fn get_as(&mut self, cookie: &str, path: &str) -> io::Result<u32> {
        let fields = hpack::request("GET", path, &[("cookie", cookie)]);
        self.begin(END_STREAM, &fields)
    }

    /// Begins a stream whose body of `length` bytes follows; its number.
    #[track_caller]
    pub fn post(&mut self, path: &str, length: usize) -> u32 {
        let (length, cookie) = (length.to_string(), &self.cookie);
        let fields = [("cookie", cookie.as_str()), ("content-length", &length)];
        let fields = hpack::request("POST", path, &fields);
        self.begin(0, &fields).expect("asking")
    }

    fn begin(&mut self, flags: u8, fields: &[u8]) -> io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        self.send(HEADERS, flags | END_HEADERS, stream, fields)?;
        Ok(stream)
    }

    /// Sends a part of a body, the last one if `ends`. Windows are not looked at: all of a connection's
    /// bodies have to be smaller.
    #[track_caller]
    pub fn upload(&mut self, stream: u32, part: &[u8], ends: bool) {
        let flags = if ends { END_STREAM } else { 0 };
        self.send(DATA, flags, stream, part).expect("sending");
    }

    /// Leaves a stream.
    #[track_caller]
    pub fn reset(&mut self, stream: u32) {
        self.send(RESET, 0, stream, &CANCEL.to_be_bytes()).expect("sending");
    }

    /// What a new stream gets for `path`.
    #[track_caller]
    pub fn ask(&mut self, path: &str) -> Answer {
        let start = Instant::now();
        let stream = self.get(path).expect("asking");
        let answer = self.answer(stream).expect("an answer");
        Answer { took: start.elapsed(), ..answer }
    }

    /// The whole answer to a stream; an error if there will be none.
    pub fn answer(&mut self, stream: u32) -> io::Result<Answer> {
        let start = Instant::now();
        while !self.stream(stream)?.ended {
            self.advance()?;
        }
        let Stream { head: (status, retry_after), body, .. } =
            self.streams.remove(&stream).unwrap_or_default();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status, retry_after, text, took: start.elapsed() })
    }

    /// Whether something of the answer to a stream, or an end, comes within `patience` and was not
    /// there before.
    pub fn stirs(&mut self, stream: u32, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let seen = self.seen(stream);
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if !self.wire.stirs(rest.max(Duration::from_millis(1))) {
                return false;
            }
            if self.advance().is_err() || self.seen(stream) != seen {
                return true;
            }
        }
    }

    fn seen(&self, stream: u32) -> (bool, usize) {
        let seen = self.streams.get(&stream);
        seen.map_or((false, 0), |stream| (true, stream.body.len()))
    }

    /// Waits until the answer to a stream has filled its window, which is narrow.
    #[track_caller]
    pub fn fill(&mut self, stream: u32) {
        while self.seen(stream).1 < usize::from(NARROW) {
            self.advance().expect("a frame");
            assert!(!self.stream(stream).expect("a stream").ended, "the stream ended");
        }
    }

    /// What is known of a stream; an error if it was reset before it ended.
    fn stream(&mut self, stream: u32) -> io::Result<&Stream> {
        let stream = self.streams.entry(stream).or_default();
        let broken = stream.reset && !stream.ended;
        if broken {
            Err(io::Error::new(ErrorKind::ConnectionReset, "a stream"))
        } else {
            Ok(stream)
        }
    }

    /// Reads until all of `streams` have ended, and adds each that does to `answered`.
    pub(super) fn collect(&mut self, streams: &[u32], answered: &AtomicUsize) -> io::Result<()> {
        let mut ended = 0;
        while ended < streams.len() {
            self.advance()?;
            let mut now = 0;
            for stream in streams {
                now += usize::from(self.stream(*stream)?.ended);
            }
            answered.fetch_add(now - ended, Ordering::Relaxed);
            ended = now;
        }
        Ok(())
    }

    /// Reads a frame.
    fn advance(&mut self) -> io::Result<()> {
        let Frame { kind, flags, stream, payload } = self.frame()?;
        match kind {
            HEADERS => {
                assert_eq!(flags & !END_STREAM, END_HEADERS, "a head in parts, or padded");
                self.streams.entry(stream).or_default().head = hpack::head(&payload);
            }
            DATA => self.streams.entry(stream).or_default().body.extend(payload),
            RESET => self.streams.entry(stream).or_default().reset = true,
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[])?,
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload)?,
            // What was begun before goes on; others get no answer, and the connection ends.
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            self.streams.entry(stream).or_default().ended = true;
        }
        Ok(())
    }

    fn frame(&mut self) -> io::Result<Frame> {
        let head = self.wire.try_read(9)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let payload = self.wire.try_read(number(&head[..3]) as usize)?;
        Ok(Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload })
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a small frame");
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.wire.try_send(&bytes)
    }
}
