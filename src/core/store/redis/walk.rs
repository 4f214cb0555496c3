//! Walking over all that is there: listing, removing, counting.
//!
//! Redis walks by a cursor, a batch of keys at a time; a key that is there all the time is shown, maybe
//! twice. Where a walk stops within a batch its position says how many of the batch were shown, with a
//! hash of the batch: if it is another one by then, it is shown from its start.

use std::sync::Arc;

use redis::{Pipeline, Value};
use sha2::{Digest, Sha256};

use super::connection::{Node, ask_node};
use super::layout::{self, DIGITS, Name, bytes};
use super::scripts::Run;
use super::verbs::fields;
use super::{Shared, bad};
use crate::core::clock::{Clock, Time};
use crate::core::store::{Entry, Position, Purged, Stale, Stats, StoreError, StoreKey};

/// About how many keys Redis looks at for a batch: some tenths of a millisecond.
const COUNT: u32 = 500;

/// Where a walk is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Place {
    /// The number of the server.
    server: u16,
    /// The cursor of the batch.
    cursor: u64,
    /// How many of the batch were shown; in a purge, how many members of an index were looked at.
    shown: u32,
    /// What the batch was; in a purge, by what it begins, which index of the batch it stopped in. None,
    /// and zero: it begins with the batch.
    batch: u64,
}

impl Place {
    fn of(position: &Position) -> Place {
        let bytes = position.bytes();
        let part = |from: usize, length: usize| {
            let part = bytes.get(from..from + length).unwrap_or_default();
            part.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        if bytes.len() != 22 {
            return Place::default();
        }
        Place {
            server: part(0, 2) as u16,
            cursor: part(2, 8),
            shown: part(10, 4) as u32,
            batch: part(14, 8),
        }
    }

    fn position(self) -> Position {
        let mut bytes = Vec::with_capacity(22);
        bytes.extend(self.server.to_le_bytes());
        bytes.extend(self.cursor.to_le_bytes());
        bytes.extend(self.shown.to_le_bytes());
        bytes.extend(self.batch.to_le_bytes());
        Position::new(&bytes)
    }
}

/// Some keys and where the walk goes on behind them; nowhere on this server if the cursor is 0.
struct Batch {
    names: Vec<Vec<u8>>,
    next: u64,
}

impl Batch {
    fn hash(&self) -> u64 {
        let mut hash = Sha256::new();
        self.names.iter().for_each(|name| hash.update(name));
        let hash: [u8; 32] = hash.finalize().into();
        hash.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// Has a batch of one server, and says where to stop if it is to.
type See<'a> = dyn FnMut(&Arc<Node>, Place, &Batch) -> Result<Option<Place>, StoreError> + 'a;

impl Shared {
    /// Walks from `from` on, until `see` says where to stop.
    fn walk(
        &self,
        (doing, pattern): (&'static str, &[u8]),
        from: &Position,
        see: &mut See<'_>,
    ) -> Result<Option<Position>, StoreError> {
        let mut place = Place::of(from);
        for (server, node) in self.connections.servers(doing)? {
            if server < place.server {
                continue;
            }
            if server > place.server {
                place = Place { server, ..Place::default() };
            }
            loop {
                let batch = batch(doing, &node, place.cursor, pattern)?;
                if let Some(stop) = see(&node, place, &batch)? {
                    return Ok(Some(stop.position()));
                }
                place = Place { server, cursor: batch.next, ..Place::default() };
                if batch.next == 0 {
                    break;
                }
            }
            place = Place { server: server.saturating_add(1), ..Place::default() };
        }
        Ok(None)
    }

    pub(super) fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        const DOING: &str = "listing records";
        let all = self.names.all();
        self.walk((DOING, &all), from, &mut |node, place, batch| {
            let hash = batch.hash();
            let skip = if place.batch == hash { place.shown as usize } else { 0 };
            let rest = batch.names.iter().enumerate().skip(skip);
            let rest: Vec<_> =
                rest.filter_map(|(at, name)| Some((at, name, self.session_of(name)?))).collect();
            let mut questions = Pipeline::with_capacity(rest.len());
            for (_, name, _) in &rest {
                questions.add_command(fields(name));
            }
            let answers = match rest.is_empty() {
                true => Vec::new(),
                false => ask_node(DOING, node, &questions)?,
            };
            for ((at, _, key), answer) in rest.into_iter().zip(answers) {
                let Some(entry) = entry(key, &answer)? else { continue };
                if !see(entry) {
                    let shown = u32::try_from(at + 1).unwrap_or(0);
                    return Ok(Some(Place { shown, batch: hash, ..place }));
                }
            }
            Ok(None)
        })
    }

    /// Looks into records only for what Redis does not remove by itself, and else counts them; sweeps
    /// indexes always. Finishes the records of the batch it is in; may stop in any of its indexes, which
    /// come after them.
    pub(super) fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let by_itself = match stale {
            Stale::EndedBefore(time) => time.after(self.grace) <= self.clock.now(),
            Stale::NotVisitedSince(_) => false,
        };
        let pattern = self.names.all();
        let mut purged = Purged::default();
        let next = self.walk(("removing records", &pattern), from, &mut |_, place, batch| {
            let (mut on, mut indexes) = (true, Vec::new());
            for name in &batch.names {
                match self.names.read(name) {
                    Some(Name::Index(index)) => indexes.push(index),
                    Some(Name::Session(_)) if place.batch != 0 => {}
                    Some(Name::Session(key)) => {
                        on &= go_on();
                        purged.seen += 1;
                        if !by_itself {
                            self.purge_one(&key, stale, &mut purged)?;
                        }
                    }
                    None => {}
                }
            }
            for index in indexes.iter().filter(|index| start_of(index) >= place.batch) {
                let here = Place { batch: start_of(index), ..place };
                let from = if here == place { place.shown } else { 0 };
                if !on {
                    return Ok(Some(Place { shown: from, ..here }));
                }
                on = go_on();
                if let Some(shown) = self.sweep_index(index, from, go_on)? {
                    return Ok(Some(Place { shown, ..here }));
                }
            }
            let after = Place { cursor: batch.next, shown: 0, batch: 0, ..place };
            let after = match batch.next {
                0 => Place { server: place.server.saturating_add(1), ..Place::default() },
                _ => after,
            };
            Ok((!on).then_some(after))
        })?;
        purged.next = next;
        Ok(purged)
    }

    fn purge_one(
        &self,
        key: &StoreKey,
        stale: Stale,
        purged: &mut Purged,
    ) -> Result<(), StoreError> {
        let (time, by_visit): (Time, &[u8]) = match stale {
            Stale::EndedBefore(time) => (time, b""),
            Stale::NotVisitedSince(time) => (time, b"1"),
        };
        let (name, time) = (self.names.session(key), layout::time(time));
        let words = [time.as_bytes(), by_visit];
        let run = Run::new(&self.scripts.purge, &name, &words);
        match self.run("removing a record", &run)? {
            Value::Int(2) => {
                if self.set_aside(key, b"")? {
                    purged.corrupt += 1;
                }
            }
            answer => purged.removed += u64::from(self.removed(key, &answer)?),
        }
        Ok(())
    }

    /// Counts keys of the whole database, ours or not, and tells what memory Redis has.
    pub(super) fn stats(&self) -> Result<Stats, StoreError> {
        const DOING: &str = "asking Redis about itself";
        let (mut keys, mut used, mut most) = (0, 0, 0);
        for (_, node) in self.connections.servers(DOING)? {
            if let Value::Int(count) = ask_node(DOING, &node, &redis::cmd("DBSIZE"))? {
                keys += u64::try_from(count).unwrap_or(0);
            }
            let mut question = redis::cmd("INFO");
            question.arg("memory");
            let answer = ask_node(DOING, &node, &question)?;
            let text = bytes(&answer).map(String::from_utf8_lossy).unwrap_or_default();
            let figure = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.and_then(|figure| figure.trim().parse::<u64>().ok()).unwrap_or(0)
            };
            used += figure("used_memory");
            most += figure("maxmemory");
        }
        Ok(Stats {
            records: None,
            bytes: Some(used),
            capacity: Some(most).filter(|most| *most > 0),
            counters: vec![("keys of the database", keys)],
        })
    }

    fn session_of(&self, name: &[u8]) -> Option<StoreKey> {
        match self.names.read(name)? {
            Name::Session(key) => Some(key),
            Name::Index(_) => None,
        }
    }
}

/// By what the digits of an index begin, in the order that a batch has.
fn start_of(index: &[u8; DIGITS]) -> u64 {
    index.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn batch(
    doing: &'static str,
    node: &Node,
    cursor: u64,
    pattern: &[u8],
) -> Result<Batch, StoreError> {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(COUNT);
    let answer = ask_node(doing, node, &scan)?;
    let Value::Array(parts) = &answer else { return Err(bad("the answer to a walk")) };
    let [next, Value::Array(names)] = parts.as_slice() else {
        return Err(bad("the answer to a walk"));
    };
    let next = bytes(next).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let mut names: Vec<Vec<u8>> = names.iter().filter_map(bytes).map(<[u8]>::to_vec).collect();
    names.sort_unstable();
    names.dedup();
    Ok(Batch { names, next: next.ok_or(bad("the cursor of a walk"))? })
}

/// What is under a key by the answer to [`fields`]; none if it is gone, or on another server by now.
fn entry(key: StoreKey, answer: &Value) -> Result<Option<Entry>, StoreError> {
    let Value::Array(values) = answer else {
        let foreign = matches!(answer, Value::ServerError(error) if error.code() == "WRONGTYPE");
        return Ok(foreign.then_some(Entry { key, record: Err(StoreError::Corrupt), bytes: 0 }));
    };
    let bytes = values.iter().filter_map(bytes).map(|field| field.len() as u64).sum();
    Ok(match layout::read(values) {
        Ok(None) => None,
        Ok(Some(found)) => Some(Entry { key, record: Ok(found.record), bytes }),
        Err(cause @ (StoreError::Corrupt | StoreError::Newer(_))) => {
            Some(Entry { key, record: Err(cause), bytes })
        }
        Err(cause) => return Err(cause),
    })
}
