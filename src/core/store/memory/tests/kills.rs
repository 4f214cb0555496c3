//! A process is killed before each single store of each verb. Whoever comes next finds every record as
//! it was or as it was to be, and no block is lost.

use std::collections::BTreeMap;

use super::sim::{SimStore, World};
use super::*;
use crate::core::clock::Time;
use crate::core::store::conformance::{key, record_with};

/// A small shard: some 90 blocks.
const BYTES: u64 = 8 << 10;

/// A session whose end is far and whose values take `size` bytes.
fn session(size: usize) -> Record {
    let deadline = Time::from_secs(5000);
    Record { deadline, accessed: Time::from_secs(900), ..record_with(7, &vec![b'v'; size]) }
}

fn of_user(size: usize, user: &str) -> Record {
    Record { user: Some(user.to_owned()), ..session(size) }
}

fn ended(size: usize) -> Record {
    Record { deadline: Time::from_secs(990), ..session(size) }
}

/// Three bystanders: without a user, with one, and a larger one of the same user.
fn some(store: &SimStore) {
    store.create(&key(50), &session(10)).unwrap();
    store.create(&key(51), &of_user(10, "alice")).unwrap();
    store.create(&key(52), &of_user(300, "alice")).unwrap();
}

fn with_one(store: &SimStore) {
    some(store);
    store.create(&key(1), &session(150)).unwrap();
    store.create(&key(53), &session(20)).unwrap();
}

fn with_alice(store: &SimStore) {
    some(store);
    store.create(&key(1), &of_user(150, "alice")).unwrap();
    store.create(&key(53), &of_user(20, "alice")).unwrap();
}

/// Fills the rest with small sessions without a user.
fn full(store: &SimStore) {
    with_one(store);
    let before = store.stats().unwrap();
    for number in 100.. {
        store.create(&key(number), &session(10)).unwrap();
        let now = store.stats().unwrap();
        if now.counters != before.counters {
            break;
        }
    }
}

/// The same with some that have ended, and users.
fn full_of_ended(store: &SimStore) {
    with_alice(store);
    for number in 60..66 {
        store.create(&key(number), &ended(10)).unwrap();
    }
    store
        .create(&key(66), &Record { deadline: Time::from_secs(990), ..of_user(9, "bob") })
        .unwrap();
    let mut number = 100;
    while store.layout.blocks() > 0 && free(store) >= 6 {
        store.create(&key(number), &session(10)).unwrap();
        number += 1;
    }
}

fn free(store: &SimStore) -> u64 {
    let stats = store.stats().unwrap();
    (stats.capacity.unwrap() - stats.bytes.unwrap()) / 64
}

fn writes(store: &SimStore, record: Record) {
    let _ = store.update(&key(1), Held::default(), &record).map(drop);
}

fn merges(store: &SimStore) {
    let mut change = |_: Record| Merge::Write(Box::new(session(77)));
    store.merge(&key(1), 7, &mut change).unwrap();
}

fn touches(store: &SimStore) {
    let visit = Visit { accessed: Time::from_secs(1000), deadline: Time::from_secs(6000) };
    store.touch(&key(1), &Held::default(), 7, visit).unwrap();
}

fn purges(store: &SimStore) {
    let stale = Stale::EndedBefore(Time::from_secs(995));
    store.purge(stale, &Position::default(), &mut || true).unwrap();
}

type Act = fn(&SimStore);

/// A name, what there is before, and what the victim does.
fn scenarios() -> Vec<(&'static str, Act, Act)> {
    vec![
        ("the first of all", |_| {}, |s| s.create(&key(1), &session(10)).unwrap()),
        ("creates", some, |s| s.create(&key(1), &session(200)).unwrap()),
        ("creates for a user", some, |s| s.create(&key(1), &of_user(200, "alice")).unwrap()),
        ("is refused to create", with_one, |s| {
            assert!(s.create(&key(1), &session(1)).is_err());
        }),
        ("loads", with_one, |s| assert!(s.load(&key(1)).unwrap().is_some())),
        ("updates", with_one, |s| writes(s, session(140))),
        ("updates and grows", with_one, |s| writes(s, session(500))),
        ("updates and shrinks", with_one, |s| writes(s, session(0))),
        ("updates a user's", with_alice, |s| writes(s, of_user(160, "alice"))),
        ("leaves nobody's behind", with_alice, |s| writes(s, session(0))),
        ("gives it to a user", with_one, |s| writes(s, of_user(150, "bob"))),
        ("gives it to another user", with_alice, |s| writes(s, of_user(150, "bob"))),
        ("merges", with_one, merges),
        ("touches", with_one, touches),
        ("deletes", with_one, |s| assert!(s.delete(&key(1), Some(7)).unwrap())),
        ("deletes a user's", with_alice, |s| assert!(s.delete(&key(1), None).unwrap())),
        ("purges", full_of_ended, purges),
        ("creates where it is full", full, |s| s.create(&key(2), &session(10)).unwrap()),
        ("creates much where it is full", full, |s| s.create(&key(2), &session(900)).unwrap()),
        ("grows where it is full", full, |s| writes(s, session(900))),
        ("creates where some have ended", full_of_ended, |s| {
            s.create(&key(2), &session(300)).unwrap();
        }),
        (
            "puts it in order first",
            |s| {
                with_alice(s);
                distrust(&s.words, &s.layout);
            },
            |s| writes(s, of_user(160, "alice")),
        ),
    ]
}

type Records = BTreeMap<StoreKey, Record>;

/// What a scene ends with if nobody is killed, and what it began with.
fn undisturbed(build: Act, act: Act) -> (Records, Records) {
    let world = World::new(BYTES, 1);
    build(&world.process());
    let before = world.records();
    act(&world.process());
    world.assert_whole();
    (before, world.records())
}

/// A visit cut in two: it lives as long as the visit asked for, and shows the one before.
fn half_visited(found: &Record, before: Option<&Record>, after: Option<&Record>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    *found == Record { deadline: after.deadline, ..before.clone() }
}

fn check(world: &World, (before, after): &(Records, Records)) {
    let found = world.records();
    let mut keys: Vec<&StoreKey> = before.keys().chain(after.keys()).chain(found.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (one, other, now) = (before.get(key), after.get(key), found.get(key));
        let torn = now.is_some_and(|now| half_visited(now, one, other));
        assert!(now == one || now == other || torn, "{key:?}: neither as before nor as after");
    }
    world.assert_whole();
    // There is room for as much as there is room for, and it can be used.
    let store = world.process();
    let left = free(&store);
    store.create(&key(99), &of_user(10, "carol")).unwrap();
    assert!(store.delete(&key(99), None).unwrap());
    assert!(free(&store) >= left);
    world.assert_whole();
}

#[test]
fn a_kill_before_any_store_damages_nothing_that_was_committed() {
    for (name, build, act) in scenarios() {
        let expected = undisturbed(build, act);
        for stores in 0.. {
            println!("{name}, {stores} stores");
            let world = World::new(BYTES, 1);
            build(&world.process());
            let victim = world.process();
            let lived = world.with_fuse(stores, || act(&victim)).is_some();
            check(&world, &expected);
            if lived {
                break;
            }
        }
    }
}

#[test]
fn a_rescuer_that_is_killed_too_is_rescued() {
    for (name, build, act) in scenarios() {
        let expected = undisturbed(build, act);
        let world = World::new(BYTES, 1);
        build(&world.process());
        let victim = world.process();
        let all = world.stores_of(|| act(&victim));
        // Repairs take hundreds of stores: not each of them after each of the victim's.
        for stores in 0..all {
            for rescue in (stores % 17..).step_by(17) {
                println!("{name}, {stores} stores, then {rescue}");
                let world = World::new(BYTES, 1);
                build(&world.process());
                let (victim, rescuer) = (world.process(), world.process());
                assert!(world.with_fuse(stores, || act(&victim)).is_none());
                let looked = world.with_fuse(rescue, || rescuer.load(&key(1)).unwrap().is_some());
                check(&world, &expected);
                if looked.is_some() {
                    break;
                }
            }
        }
    }
}

#[test]
fn repairs_are_counted_and_first_uses_are_not() {
    let world = World::new(BYTES, 1);
    with_one(&world.process());
    let repaired = |world: &World| world.shard(0).counted(Count::Repaired);
    assert_eq!(repaired(&world), 0);
    let victim = world.process();
    assert!(world.with_fuse(5, || writes(&victim, session(10))).is_none());
    assert!(world.process().load(&key(1)).unwrap().is_some());
    assert!(world.process().load(&key(1)).unwrap().is_some());
    assert_eq!(repaired(&world), 1);
}

#[test]
fn a_verb_takes_few_stores() {
    let world = World::new(BYTES, 1);
    with_one(&world.process());
    let store = world.process();
    assert_eq!(world.stores_of(|| drop(store.load(&key(1)).unwrap())), 0);
    // Five blocks of eight words; mark, free list twice, facts, version, the end of the chain, two
    // counts, mark.
    assert_eq!(world.stores_of(|| writes(&store, session(150))), 5 * 8 + 9);
}
