//! A store that is full: who goes, who stays, who is refused.

use super::sim::{SimStore, World};
use super::*;
use crate::core::clock::Time;
use crate::core::session::record::Client;
use crate::core::store::conformance::{record, record_with, stored, values};

const BYTES: u64 = 16 << 10;

fn key(number: u32) -> StoreKey {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    StoreKey::new("full", &id)
}

/// A session that ends long after the clock's 1000 s.
fn anonymous() -> Record {
    Record { deadline: Time::from_secs(3000), ..record(7) }
}

fn of_user(user: &str) -> Record {
    Record { user: Some(user.to_owned()), ..anonymous() }
}

fn counter(store: &impl Store, name: &str) -> u64 {
    let counters = store.stats().unwrap().counters;
    counters.iter().find(|(counter, _)| *counter == name).unwrap().1
}

/// Creates records from `first` on until nothing new fits; how many fitted.
fn fill(store: &impl Store, first: u32, record: &Record) -> u32 {
    let dropped = |store| counter(store, "evicted") + counter(store, "ended dropped");
    let before = dropped(store);
    for count in 0.. {
        match store.create(&key(first + count), record) {
            Ok(()) if dropped(store) == before => {}
            Ok(()) | Err(StoreError::Full(_)) => return count,
            Err(cause) => panic!("{cause}"),
        }
    }
    unreachable!()
}

fn present(store: &impl Store, numbers: std::ops::Range<u32>) -> usize {
    numbers.filter(|number| stored(store, &key(*number)).is_some()).count()
}

fn is_full<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Full("SessionMemorySize")))
}

#[test]
fn a_flood_of_strangers_evicts_strangers_and_no_user() {
    let world = World::new(BYTES, 2);
    let store = world.process();
    for number in 0..20 {
        store.create(&key(number), &of_user("alice")).unwrap();
    }
    for number in 100..1100 {
        store.create(&key(number), &anonymous()).unwrap();
    }
    assert_eq!(present(&store, 0..20), 20);
    let there = present(&store, 100..1100);
    assert!(there > 10, "{there}");
    assert_eq!(counter(&store, "evicted"), 1000 - there as u64);
    assert_eq!(counter(&store, "refused"), 0);
    world.assert_whole();
}

#[test]
fn what_has_ended_goes_first_even_if_it_has_a_user() {
    let world = World::new(BYTES, 1);
    let store = world.process();
    let ended = Record { deadline: Time::from_secs(1500), ..of_user("alice") };
    for number in 0..5 {
        store.create(&key(number), &ended).unwrap();
    }
    fill(&store, 100, &anonymous());
    let evicted = counter(&store, "evicted");
    assert_eq!(counter(&store, "ended dropped"), 0);
    world.advance(600);
    for number in 300..303 {
        store.create(&key(number), &anonymous()).unwrap();
    }
    assert_eq!(counter(&store, "ended dropped"), 5);
    assert_eq!((counter(&store, "evicted"), present(&store, 300..303)), (evicted, 3));
    world.assert_whole();
}

#[test]
fn what_was_visited_after_it_seemed_to_end_stays() {
    let world = World::new(BYTES, 1);
    let store = world.process();
    let short = Record { deadline: Time::from_secs(1500), ..of_user("alice") };
    store.create(&key(0), &short).unwrap();
    store.create(&key(1), &short).unwrap();
    let visit = Visit { accessed: Time::from_secs(1400), deadline: Time::from_secs(2400) };
    store.touch(&key(0), &Held::default(), 7, visit).unwrap();
    fill(&store, 100, &anonymous());
    world.advance(600);
    store.create(&key(300), &anonymous()).unwrap();
    assert!(stored(&store, &key(0)).is_some());
    assert!(stored(&store, &key(1)).is_none());
}

#[test]
fn who_came_back_stays_longer_than_who_did_not() {
    let world = World::new(BYTES, 1);
    let store = world.process();
    let count = fill(&store, 0, &anonymous());
    // Whoever is asked for counts as used.
    let regulars = |store: &SimStore| present(store, 0..10);
    let there = regulars(&store);
    assert!(there >= 9, "{there}");
    for number in 1000..1000 + 3 * count {
        store.create(&key(number), &anonymous()).unwrap();
        assert_eq!(regulars(&store), there, "after {number}");
    }
    assert_eq!(present(&store, 10..count), 0);
}

#[test]
fn a_store_full_of_users_refuses_newcomers_and_serves_those_it_has() {
    let world = World::new(BYTES, 1);
    let store = world.process();
    let count = fill(&store, 0, &of_user("alice"));
    assert!(is_full(store.create(&key(1000), &anonymous())));
    assert!(is_full(store.create(&key(1000), &of_user("bob"))));
    assert_eq!(counter(&store, "refused"), 3);
    for number in 0..count {
        let other = Record { values: values(b"other"), ..of_user("alice") };
        store.update(&key(number), Held::default(), &other).unwrap();
        let seen = |record| Merge::Write(Box::new(record));
        store.merge(&key(number), 7, &mut { seen }).unwrap();
    }
    let much = Record { values: values(&[1; 2000]), ..of_user("alice") };
    assert!(is_full(store.update(&key(0), Held::default(), &much)));
    assert_eq!(present(&store, 0..count), count as usize);
    assert!(store.delete(&key(3), None).unwrap());
    store.create(&key(1000), &of_user("bob")).unwrap();
    assert!(is_full(store.create(&key(1001), &of_user("bob"))));
    world.advance(2001);
    store.create(&key(1001), &of_user("bob")).unwrap();
    world.assert_whole();
}

#[test]
fn who_is_to_go_is_not_gone_for_nothing() {
    let world = World::new(BYTES, 1);
    let store = world.process();
    fill(&store, 0, &of_user("alice"));
    for number in 0..4 {
        store.delete(&key(number), None).unwrap();
    }
    let strangers = fill(&store, 500, &anonymous());
    let there = present(&store, 500..500 + strangers);
    let much = Record { values: values(&[1; 5000]), ..anonymous() };
    assert!(is_full(store.create(&key(1000), &much)));
    assert_eq!(present(&store, 500..500 + strangers), there);
}

#[test]
fn the_largest_record_is_kept_updated_and_no_larger_one() {
    let world = World::new(64 << 10, 1);
    let store = world.process();
    let around = record_with(7, b"").values.bytes() + 200;
    let most = world.layout.record_max();
    let mut size = most - around;
    while store.create(&key(0), &record_with(7, &vec![1; size])).is_ok() {
        store.delete(&key(0), None).unwrap();
        size += 1;
    }
    let refused = store.create(&key(0), &record_with(7, &vec![1; size]));
    assert!(matches!(refused, Err(StoreError::TooLarge(limit)) if limit == most));
    let largest = record_with(7, &vec![1; size - 1]);
    store.create(&key(0), &largest).unwrap();
    store.update(&key(0), Held::default(), &largest).unwrap();
    assert!(stored(&store, &key(0)) == Some(largest));
    world.assert_whole();
}

/// `SessionMemorySize` by default, and what is said of it.
#[test]
fn a_hundred_thousand_sessions_of_300_bytes_fit_in_64_megabytes() {
    let store = local(64 << 20);
    let mut session = Record { client: Client::from("203.0.113.101").unwrap(), ..anonymous() };
    session.values = Default::default();
    for (name, size) in [("user", 40), ("cart", 200), ("csrf-token", 60)] {
        let name = crate::core::session::values::Key::new(name).unwrap();
        session.values.set(&name, &vec![b'x'; size]);
    }
    session.deadline = Time(u64::MAX);
    for number in 0..100_000 {
        store.create(&key(number), &session).unwrap();
    }
    let stats = store.stats().unwrap();
    assert_eq!(stats.records, Some(100_000));
    assert_eq!((counter(&store, "evicted"), counter(&store, "refused")), (0, 0));
    assert!(stats.bytes < stats.capacity && stats.capacity <= Some(64 << 20), "{stats:?}");
    session.values.set(&crate::core::session::values::Key::new("cart").unwrap(), &[b'y'; 200]);
    for number in (0..100_000).step_by(10) {
        store.update(&key(number), Held::default(), &session).unwrap();
    }
    assert_eq!((counter(&store, "evicted"), counter(&store, "refused")), (0, 0));
}
