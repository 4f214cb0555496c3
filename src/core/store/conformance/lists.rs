//! The part of the suite for stores that list: scan, purge, the sessions of a user.

use super::{held, key, record, record_with, stored, visit};
use crate::core::clock::Time;
use crate::core::session::record::Record;
use crate::core::store::{Entry, Held, Position, Purged, Stale, Store, StoreKey};

/// Records under the keys of `numbers`, with an end of 300 each.
fn fill(store: &dyn Store, numbers: std::ops::Range<u8>) {
    for number in numbers {
        store.create(&key(number), &record_with(7, &[number])).unwrap();
    }
}

/// Walks from `from` and stops after `most` records.
fn walk(store: &dyn Store, from: &Position, most: usize) -> (Vec<Entry>, Option<Position>) {
    let mut seen = Vec::new();
    let next = store.scan(from, &mut |entry| {
        seen.push(entry);
        seen.len() < most
    });
    (seen, next.unwrap())
}

fn keys_of(mut entries: Vec<Entry>) -> Vec<StoreKey> {
    entries.sort_by_key(|entry| entry.key);
    entries.into_iter().map(|entry| entry.key).collect()
}

fn sorted(numbers: impl Iterator<Item = u8>) -> Vec<StoreKey> {
    let mut keys: Vec<StoreKey> = numbers.map(key).collect();
    keys.sort_unstable();
    keys
}

pub fn a_scan_shows_every_record_once(store: &dyn Store) {
    assert_eq!(walk(store, &Position::default(), 1000).0.len(), 0);
    fill(store, 0..50);
    let (entries, next) = walk(store, &Position::default(), 1000);
    assert_eq!(next, None);
    for entry in &entries {
        assert_eq!(stored(store, &entry.key).as_ref(), entry.record.as_ref().ok());
        assert!(entry.bytes > 0);
    }
    assert_eq!(keys_of(entries), sorted(0..50));
}

pub fn a_scan_goes_on_where_it_stopped(store: &dyn Store) {
    fill(store, 0..50);
    let (mut all, mut from) = (Vec::new(), Position::default());
    for round in 0.. {
        assert!(round < 60, "no end");
        let (entries, next) = walk(store, &from, 7);
        all.extend(entries);
        match next {
            Some(next) => from = Position::new(next.bytes()),
            None => break,
        }
    }
    // Shown twice is allowed where a store can remember no more than a place that others move.
    let mut keys = keys_of(all);
    keys.dedup();
    assert_eq!(keys, sorted(0..50));
}

pub fn a_scan_sees_what_stays_however_others_come_and_go(store: &dyn Store) {
    fill(store, 0..60);
    let (mut seen, mut from, mut round) = (Vec::new(), Position::default(), 0);
    loop {
        let (entries, next) = walk(store, &from, 5);
        seen.extend(entries);
        store.delete(&key(30 + round), None).unwrap();
        store.create(&key(100 + round), &record(7)).unwrap();
        round = (round + 1).min(29);
        match next {
            Some(next) => from = next,
            None => break,
        }
        if round == 29 {
            seen.extend(walk(store, &from, 1000).0);
            break;
        }
    }
    let seen = keys_of(seen);
    assert!(sorted(0..30).iter().all(|key| seen.contains(key)));
}

fn purge_all(store: &dyn Store, stale: Stale) -> Purged {
    store.purge(stale, &Position::default(), &mut || true).unwrap()
}

pub fn a_purge_removes_what_ended_and_nothing_else(store: &dyn Store) {
    fill(store, 0..20);
    for number in 0..10 {
        store.touch(&key(number), &Held::default(), 7, visit(210, 500)).unwrap();
    }
    assert_eq!(purge_all(store, Stale::EndedBefore(Time(300))).removed, 0);
    let purged = purge_all(store, Stale::EndedBefore(Time(301)));
    assert_eq!((purged.seen, purged.removed, purged.next), (20, 10, None));
    for number in 0..20 {
        assert_eq!(stored(store, &key(number)).is_some(), number < 10);
    }
    assert_eq!(purge_all(store, Stale::EndedBefore(Time(301))).seen, 10);
}

pub fn a_purge_keeps_what_was_visited_meanwhile(store: &dyn Store) {
    fill(store, 0..5);
    let mut first = true;
    let mut go_on = || {
        // Between the look at a record and its removal nothing can be done from here; before it, all.
        if std::mem::take(&mut first) {
            for number in 0..5 {
                store.touch(&key(number), &Held::default(), 7, visit(210, 900)).unwrap();
            }
        }
        true
    };
    let purged = store.purge(Stale::EndedBefore(Time(400)), &Position::default(), &mut go_on);
    assert_eq!(purged.unwrap().removed, 0);
    assert!((0..5).all(|number| stored(store, &key(number)).is_some()));
}

/// Most records that a store may still remove after it was told to stop: Redis finishes what one look at
/// its keys found; its own tests stop a purge of more.
fn batch(store: &dyn Store) -> u64 {
    if store.name() == "redis" { 500 } else { 0 }
}

pub fn a_purge_stops_when_told_and_goes_on_there(store: &dyn Store) {
    const ALLOWED: u64 = 4;
    fill(store, 0..40);
    let (mut removed, mut from) = (0, Position::default());
    for round in 0.. {
        assert!(round < 60, "no end");
        let mut asked = 0;
        let mut go_on = || {
            asked += 1;
            asked <= ALLOWED
        };
        let purged = store.purge(Stale::EndedBefore(Time(301)), &from, &mut go_on).unwrap();
        let most = ALLOWED + batch(store);
        assert!(purged.removed <= most, "{} removed, {most} allowed", purged.removed);
        removed += purged.removed;
        match purged.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(removed, 40);
}

pub fn a_purge_of_the_unvisited_goes_by_the_visit(store: &dyn Store) {
    fill(store, 0..4);
    store.touch(&key(0), &Held::default(), 7, visit(280, 900)).unwrap();
    let purged = purge_all(store, Stale::NotVisitedSince(Time(250)));
    assert_eq!(purged.removed, 3);
    assert!(stored(store, &key(0)).is_some());
}

pub fn sessions_are_found_by_their_user(store: &dyn Store) {
    let of = |user: &str| Record { user: Some(user.to_owned()), ..record(7) };
    store.create(&key(1), &of("alice")).unwrap();
    store.create(&key(2), &of("alice")).unwrap();
    store.create(&key(3), &of("bob")).unwrap();
    store.create(&key(4), &record(7)).unwrap();
    store.create(&key(5), &Record { scope: [2; 8], ..of("alice") }).unwrap();
    let find = |scope, user: &str| {
        let mut keys = store.of_user(scope, user).unwrap();
        keys.sort_unstable();
        keys
    };
    assert_eq!(find([1; 8], "alice"), sorted(1..3));
    assert_eq!(find([2; 8], "alice"), sorted(5..6));
    assert_eq!(find([1; 8], "carol"), []);
    store.delete(&key(1), None).unwrap();
    store.delete(&key(2), Some(7)).unwrap();
    assert_eq!(find([1; 8], "alice"), []);
    // The old id of a session that got a new one is nobody's any more.
    store.update(&key(3), held(store, &key(3)), &record(7)).unwrap();
    assert_eq!(find([1; 8], "bob"), []);
    store.create(&key(6), &of("bob")).unwrap();
    assert_eq!(purge_all(store, Stale::EndedBefore(Time(301))).removed, 4);
    assert_eq!(find([1; 8], "bob"), []);
}
