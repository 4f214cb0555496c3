//! `stats`: what there is, counted by a walk, and what the store says of itself.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::sessions::{State, now, walk};
use crate::stores::Opened;

#[derive(Default, Serialize)]
struct Counts {
    store: &'static str,
    live: u64,
    logged_in: u64,
    users: u64,
    ended: u64,
    aliases: u64,
    newer: u64,
    damaged: u64,
    /// Bytes that all of them take.
    bytes: u64,
    /// Bytes of the largest.
    largest: u64,
    /// Most bytes that they may take.
    capacity: Option<u64>,
    /// What the store counts itself.
    counters: BTreeMap<&'static str, u64>,
}

pub fn run(out: &mut Output, opened: &Opened) -> Result<(), Failure> {
    let store = &*opened.store;
    let now = now();
    let mut counts = Counts { store: store.name(), ..Counts::default() };
    let mut users = HashSet::new();
    walk(store, |entry| {
        counts.bytes += entry.bytes;
        counts.largest = counts.largest.max(entry.bytes);
        let of_state = match State::of(&entry.record, now) {
            State::Live => &mut counts.live,
            State::Ended => &mut counts.ended,
            State::Alias => &mut counts.aliases,
            State::Newer => &mut counts.newer,
            State::Damaged => &mut counts.damaged,
        };
        *of_state += 1;
        let live = State::of(&entry.record, now) == State::Live;
        if let Ok(record) = entry.record
            && let (true, Some(user)) = (live, record.user)
        {
            counts.logged_in += 1;
            users.insert((record.scope, user));
        }
        Ok(())
    })?;
    counts.users = users.len() as u64;
    let known = store.stats()?;
    counts.capacity = known.capacity;
    counts.counters = known.counters.into_iter().collect();
    if out.json {
        return out.value(&counts);
    }
    for (name, count) in counts.lines() {
        out.line(&format!("{name:<20} {count:>12}"))?;
    }
    Ok(())
}

impl Counts {
    fn lines(&self) -> Vec<(String, String)> {
        let mut lines = vec![("store", self.store.to_owned())];
        lines.extend(
            [
                ("live sessions", self.live),
                ("logged in", self.logged_in),
                ("users", self.users),
                ("ended", self.ended),
                ("aliases", self.aliases),
                ("of a newer release", self.newer),
                ("damaged", self.damaged),
                ("bytes", self.bytes),
                ("bytes of the largest", self.largest),
            ]
            .map(|(name, count)| (name, count.to_string())),
        );
        lines.extend(self.capacity.map(|bytes| ("bytes at most", bytes.to_string())));
        let own =
            self.counters.iter().map(|(name, count)| (name.replace('_', " "), count.to_string()));
        lines.into_iter().map(|(name, count)| (name.to_owned(), count)).chain(own).collect()
    }
}
