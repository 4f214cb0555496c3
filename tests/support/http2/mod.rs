//! A small HTTP/2 visitor: its requests are streams of one connection, begun at once and by prior
//! knowledge. It is patient with nothing that a sound server does not send.

mod connection;
mod hpack;

use std::io;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

pub use self::connection::{Answer, Connection};
use super::client::Client;

/// Longest silence it bears: beyond the longest wait for a session.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the streams of a connection were answered.
#[derive(Debug, Default)]
pub struct Answers {
    /// Status of each that was answered, and whether it said when to come again.
    pub heads: Vec<(u16, bool)>,
    /// What `incr` answered, in the order of numbers.
    pub sums: Vec<u32>,
}

/// What the visitor gets for `paths`, streams of one connection; each has to be answered.
#[track_caller]
pub fn streams(client: &Client, paths: &[String]) -> Answers {
    counted_streams(client, paths, &AtomicUsize::new(0))
}

/// As [`streams`]; each answer is added to `answered` when it comes.
#[track_caller]
pub fn counted_streams(client: &Client, paths: &[String], answered: &AtomicUsize) -> Answers {
    let (answers, end) = run(client, paths, answered);
    assert_eq!(answers.heads.len(), paths.len(), "{answers:?}, {end:?}");
    answers
}

/// As [`streams`], for connections that may break: what was answered until then, and how it ended.
pub fn try_streams(client: &Client, paths: &[String]) -> (Answers, io::Result<()>) {
    run(client, paths, &AtomicUsize::new(0))
}

fn run(client: &Client, paths: &[String], answered: &AtomicUsize) -> (Answers, io::Result<()>) {
    match Connection::new(client) {
        Ok(mut connection) => {
            let begun =
                paths.iter().map(|path| connection.get(path)).collect::<io::Result<Vec<_>>>();
            let end = begun.and_then(|begun| connection.collect(&begun, answered));
            (connection.answers(), end)
        }
        Err(cause) => (Answers::default(), Err(cause)),
    }
}

impl Connection {
    /// What the streams that ended were answered.
    fn answers(self) -> Answers {
        let whole = self.streams.into_values().filter(|stream| stream.ended);
        let (heads, bodies): (Vec<_>, Vec<_>) =
            whole.map(|stream| (stream.head, stream.body)).unzip();
        let text = String::from_utf8_lossy(&bodies.concat()).into_owned();
        let number = |line: &str| line.strip_prefix("incr=SUCCESS ")?.parse().ok();
        let mut sums: Vec<u32> = text.lines().filter_map(number).collect();
        sums.sort_unstable();
        Answers { heads, sums }
    }
}
