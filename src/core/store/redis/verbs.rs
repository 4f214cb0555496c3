//! The verbs of a store, one command each.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::layout::{self, DIGITS, Found, alias_mark, incarnation, index_of, time};
use super::scripts::Run;
use super::{RedisStore, Shared, bad};
use crate::core::clock::Clock;
use crate::core::session::codec;
use crate::core::session::record::Record;
use crate::core::store::{
    Abilities, Claims, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats, Store,
    StoreError, StoreKey, Visit,
};

/// Longest time for which others may get in between reading a record and writing it.
const MERGE_PATIENCE: Duration = Duration::from_secs(5);

/// What an update asks besides the incarnation; what is none is not asked.
#[derive(Default)]
pub(super) struct Expected<'a> {
    /// The word of a claim that has to be the one in force.
    pub token: Option<&'a str>,
    /// The word of the latest write.
    pub version: Option<&'a [u8]>,
    /// The times.
    pub times: Option<&'a [Vec<u8>; 2]>,
}

/// What became of an update.
pub(super) enum Updated {
    /// It is done; this is its word.
    Done(String),
    /// Something else is there.
    Other(Option<Box<Found>>),
}

/// A record in the words of scripts.
struct Words {
    incarnation: String,
    accessed: String,
    deadline: String,
    life: String,
    index: Option<[u8; DIGITS]>,
    alias: &'static [u8],
    encoded: Vec<u8>,
}

impl Words {
    fn index(&self) -> &[u8] {
        self.index.as_ref().map_or(b"", |index| index)
    }
}

impl Shared {
    fn words_of(&self, record: &Record) -> Result<Words, StoreError> {
        Ok(Words {
            incarnation: incarnation(record.incarnation),
            accessed: time(record.accessed),
            deadline: time(record.deadline),
            life: self.life(record.deadline),
            index: index_of(record),
            alias: alias_mark(record),
            encoded: codec::encode(record)?,
        })
    }

    /// Writes a new record; with a token it is held from the start. The index comes first: who looks for
    /// a user's sessions asks whether each is there.
    pub(super) fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        token: &str,
        lease: Duration,
    ) -> Result<String, StoreError> {
        let said = self.words_of(record)?;
        if let Some(index) = &said.index {
            self.add_to_index(index, key)?;
        }
        let (name, word) = (self.names.session(key), self.new_word());
        let lease = lease.as_millis().to_string();
        let words = [
            said.incarnation.as_bytes(),
            word.as_bytes(),
            said.accessed.as_bytes(),
            said.deadline.as_bytes(),
            said.life.as_bytes(),
            said.index(),
            said.alias,
            token.as_bytes(),
            lease.as_bytes(),
            &said.encoded,
        ];
        match self.run("creating a record", &Run::new(&self.scripts.create, &name, &words))? {
            Value::Int(1) => {}
            Value::Int(0) => return Err(StoreError::Exists),
            _ => return Err(bad("the answer to a creation")),
        }
        if let Some(index) = &said.index {
            // The session is there. Should this fail, it was in the index before.
            let _ = self.add_to_index(index, key);
        }
        Ok(word)
    }

    pub(super) fn load(&self, key: &StoreKey) -> Result<Option<Found>, StoreError> {
        layout::read(&self.fields(key)?)
    }

    fn fields(&self, key: &StoreKey) -> Result<Vec<Value>, StoreError> {
        let name = self.names.session(key);
        match self.ask("reading a record", &name, &fields(&name))? {
            Value::Array(values) => Ok(values),
            _ => Err(bad("the answer to a read")),
        }
    }

    /// Replaces a record; [`StoreError::Gone`] if it is not there, or another incarnation.
    pub(super) fn update(
        &self,
        key: &StoreKey,
        record: &Record,
        expected: &Expected<'_>,
        last: bool,
    ) -> Result<Updated, StoreError> {
        let said = self.words_of(record)?;
        let (name, word) = (self.names.session(key), self.new_word());
        let [accessed, deadline] = match expected.times {
            Some([accessed, deadline]) => [accessed.as_slice(), deadline],
            None => [b"".as_slice(); 2],
        };
        let words = [
            said.incarnation.as_bytes(),
            expected.token.unwrap_or_default().as_bytes(),
            expected.version.unwrap_or_default(),
            accessed,
            deadline,
            word.as_bytes(),
            said.accessed.as_bytes(),
            said.deadline.as_bytes(),
            said.life.as_bytes(),
            said.index(),
            said.alias,
            if last { b"1" } else { b"" },
            &said.encoded,
        ];
        match self.run("writing a record", &Run::new(&self.scripts.update, &name, &words))? {
            Value::Int(1) => Ok(Updated::Done(word)),
            Value::Int(0) => Err(StoreError::Gone),
            Value::Array(values) => Ok(Updated::Other(layout::read(&values)?.map(Box::new))),
            _ => Err(bad("the answer to a write")),
        }
    }
}

/// The command that reads what [`layout::read`] takes.
pub(super) fn fields(name: &[u8]) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(name).arg(&["r", "i", "v", "a", "d"]);
    command
}

impl Store for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn abilities(&self) -> Abilities {
        Abilities { survives_kill: true, lists: true, compares: true }
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        self.shared.create(key, record, "", Duration::ZERO).map(drop)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let found = self.shared.load(key)?;
        Ok(found.map(|found| Loaded { record: found.record, held: Held::default() }))
    }

    fn update(&self, key: &StoreKey, _: Held, record: &Record) -> Result<Held, StoreError> {
        match self.shared.update(key, record, &Expected::default(), false)? {
            Updated::Done(_) => Ok(Held::default()),
            Updated::Other(_) => Err(bad("a write that nothing was asked of")),
        }
    }

    /// Reads, changes and writes if nothing changed meanwhile; else again, with what is there then.
    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        let end = Instant::now() + MERGE_PATIENCE;
        let mut found = self.shared.load(key)?.map(Box::new);
        for round in 0.. {
            let Some(now) = found.filter(|now| now.record.incarnation == incarnation) else {
                return Err(StoreError::Gone);
            };
            let Merge::Write(record) = change(now.record) else { return Ok(()) };
            if record.incarnation != incarnation {
                return Err(StoreError::Gone);
            }
            let expected =
                Expected { token: None, version: Some(&now.version), times: Some(&now.times) };
            found = match self.shared.update(key, &record, &expected, false)? {
                Updated::Done(_) => return Ok(()),
                Updated::Other(found) => found,
            };
            if Instant::now() > end {
                break;
            }
            if round > 0 {
                thread::sleep(self.shared.jitter(Duration::from_millis(1 << (round - 1).min(4))));
                found = self.shared.load(key)?.map(Box::new);
            }
        }
        let cause = std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "other requests wrote it again and again",
        );
        Err(StoreError::Io { doing: "merging a record", cause })
    }

    fn touch(
        &self,
        key: &StoreKey,
        _: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        let shared = &*self.shared;
        let name = shared.names.session(key);
        let words = [
            layout::incarnation(incarnation),
            time(visit.accessed),
            time(visit.deadline),
            shared.life(visit.deadline),
        ];
        let words = words.each_ref().map(String::as_bytes);
        match shared.run("recording a visit", &Run::new(&shared.scripts.touch, &name, &words))? {
            Value::Int(1) => Ok(()),
            Value::Int(0) => Err(StoreError::Gone),
            _ => Err(bad("the answer to a visit")),
        }
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        let shared = &*self.shared;
        let name = shared.names.session(key);
        let named = incarnation.map(layout::incarnation).unwrap_or_default();
        let words = [named.as_bytes()];
        let run = Run::new(&shared.scripts.delete, &name, &words);
        let answer = shared.run("deleting a record", &run)?;
        shared.removed(key, &answer)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let values = match self.shared.fields(key) {
            Err(StoreError::Corrupt) => Vec::new(),
            other => other?,
        };
        let seen = values.first().and_then(layout::bytes).unwrap_or_default();
        match if values.is_empty() { Err(StoreError::Corrupt) } else { layout::read(&values) } {
            Err(StoreError::Corrupt) => self.shared.set_aside(key, seen),
            Ok(_) => Ok(false),
            Err(cause) => Err(cause),
        }
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.shared.scan(from, see)
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        self.shared.purge(stale, from, go_on)
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        self.shared.of_user(&layout::index(scope, user))
    }

    fn claims(&self) -> Option<&dyn Claims> {
        Some(self)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.shared.stats()
    }
}

impl Shared {
    /// What a script that removes says: whether there was something, which leaves its index too.
    pub(super) fn removed(&self, key: &StoreKey, answer: &Value) -> Result<bool, StoreError> {
        match answer {
            Value::Int(0) => return Ok(false),
            Value::Int(1) => {}
            Value::BulkString(index) => self.leave_index(index, key),
            _ => return Err(bad("the answer to a deletion")),
        }
        Ok(true)
    }

    /// Moves what lies under a session's name to where nobody looks for a session, for a week, if it is
    /// still what was seen: the bytes of its record, or none.
    pub(super) fn set_aside(&self, key: &StoreKey, seen: &[u8]) -> Result<bool, StoreError> {
        const WEEK: &[u8] = b"604800";
        let name = self.names.session(key);
        let aside = self.names.corrupt(&name);
        let words = [seen, WEEK];
        let run = Run::new(&self.scripts.set_aside, &name, &words).and_key(&aside);
        match self.run("setting a record aside", &run)? {
            Value::Int(done) => Ok(done == 1),
            _ => Err(bad("the answer to a move")),
        }
    }

    /// A time between half of `most` and `most`, another one each time.
    pub(super) fn jitter(&self, most: Duration) -> Duration {
        // A number, mixed with the time: no more is needed to keep processes apart.
        let number = self.words.fetch_add(1, Ordering::Relaxed);
        let mixed = (self.clock.now().0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        most.mul_f64(0.5 + mixed as f64 / f64::from(1u32 << 25))
    }
}
