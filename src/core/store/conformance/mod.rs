//! What every store has to do: one suite, run over each of them by [`conformance!`], by
//! [`conformance_of_lists!`] if it lists, by [`conformance_of_processes!`] if several processes open it.
//! Over stores that live inside httpd alone a debug build of the module runs it, see `module::suite`.

#[cfg(test)]
mod churn;
mod lists;
#[cfg(test)]
pub mod processes;

use std::sync::Barrier;

pub use self::lists::*;
use super::{Held, Merge, Store, StoreError, StoreKey, Visit};
use crate::core::clock::Time;
use crate::core::session::codec::RECORD_MAX;
use crate::core::session::record::Client;
use crate::core::session::record::{Kind, Record};
use crate::core::session::values::{Key, Values};

/// Makes a test of each part of the suite for a store. The argument is an expression: a pair of
/// what has to live as long as the store, and the store. With `small records:` in front, for a store that
/// has a limit of its own for their size.
#[cfg(test)]
macro_rules! conformance {
    ($make:expr) => {
        conformance!($make; records_of_every_size_come_back,);
        conformance!(small records: $make);
    };
    (small records: $make:expr) => {
        conformance!($make;
            a_created_record_is_loaded,
            create_refuses_a_key_that_is_taken,
            an_update_replaces_the_record,
            a_second_update_needs_no_load,
            an_update_without_what_the_load_held_works,
            an_update_of_a_deleted_record_is_refused,
            nothing_hits_another_incarnation,
            deletion_names_an_incarnation_or_none,
            a_merge_sees_the_record_of_now,
            a_merge_of_a_deleted_record_is_refused,
            a_merge_cannot_start_another_life,
            touches_move_times_forward_only,
            an_update_may_shorten_the_life_after_a_touch,
            a_record_past_the_limit_is_refused_and_the_old_one_stays,
            quarantine_leaves_good_records_alone,
            merges_of_many_threads_lose_nothing,
        );
    };
    ($make:expr; $($part:ident,)*) => {
        $(
            #[test]
            fn $part() {
                let (_keep, store) = $make;
                conformance::$part(&store);
            }
        )*
    };
}
#[cfg(test)]
pub(crate) use conformance;

/// The same for what a store that lists can do, [`super::Abilities::lists`].
#[cfg(test)]
macro_rules! conformance_of_lists {
    ($make:expr) => {
        conformance!($make;
            a_scan_shows_every_record_once,
            a_scan_goes_on_where_it_stopped,
            a_scan_sees_what_stays_however_others_come_and_go,
            a_purge_removes_what_ended_and_nothing_else,
            a_purge_keeps_what_was_visited_meanwhile,
            a_purge_stops_when_told_and_goes_on_there,
            a_purge_of_the_unvisited_goes_by_the_visit,
            sessions_are_found_by_their_user,
        );
    };
}
#[cfg(test)]
pub(crate) use conformance_of_lists;
#[cfg(test)]
pub(crate) use processes::conformance_of_processes;

/// A key; another one for each number.
pub fn key(number: u8) -> StoreKey {
    StoreKey::new("tests", &[number; 32])
}

/// A small session of the incarnation `incarnation`.
pub fn record(incarnation: u64) -> Record {
    Record {
        kind: Kind::Session,
        incarnation,
        scope: [1; 8],
        user: None,
        created: Time(100),
        accessed: Time(200),
        deadline: Time(300),
        timeout: None,
        client: Client::from("192.0.2.1").unwrap(),
        flags: 0,
        tokens: Vec::new(),
        values: values(b"first"),
    }
}

/// One key with `value`.
pub fn values(value: &[u8]) -> Values {
    let mut values = Values::default();
    values.set(&Key::new("value").unwrap(), value);
    values
}

/// The session of [`record`] with `value` in it.
pub fn record_with(incarnation: u64, value: &[u8]) -> Record {
    Record { values: values(value), ..record(incarnation) }
}

/// What is stored under `key`.
pub fn stored(store: &dyn Store, key: &StoreKey) -> Option<Record> {
    store.load(key).unwrap().map(|loaded| loaded.record)
}

fn held(store: &dyn Store, key: &StoreKey) -> Held {
    store.load(key).unwrap().unwrap().held
}

fn visit(accessed: u64, deadline: u64) -> Visit {
    Visit { accessed: Time(accessed), deadline: Time(deadline) }
}

fn is_gone<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Gone))
}

pub fn a_created_record_is_loaded(store: &dyn Store) {
    assert!(stored(store, &key(1)).is_none());
    store.create(&key(1), &record(7)).unwrap();
    assert_eq!(stored(store, &key(1)), Some(record(7)));
    assert!(stored(store, &key(2)).is_none());
}

pub fn create_refuses_a_key_that_is_taken(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    assert!(matches!(store.create(&key(1), &record(8)), Err(StoreError::Exists)));
    assert_eq!(stored(store, &key(1)), Some(record(7)));
}

pub fn an_update_replaces_the_record(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    store.update(&key(1), held(store, &key(1)), &record_with(7, b"second")).unwrap();
    assert_eq!(stored(store, &key(1)), Some(record_with(7, b"second")));
}

pub fn a_second_update_needs_no_load(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    let mut kept = held(store, &key(1));
    for round in 0..5 {
        kept = store.update(&key(1), kept, &record_with(7, &[round])).unwrap();
        assert_eq!(stored(store, &key(1)), Some(record_with(7, &[round])));
    }
}

/// Not for one whose leases other machines have to respect: there a token in the record decides.
pub fn an_update_of_what_was_written_since_is_refused(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    let late = held(store, &key(1));
    store.update(&key(1), held(store, &key(1)), &record_with(7, b"theirs")).unwrap();
    let refused = store.update(&key(1), late, &record_with(7, b"late"));
    assert!(matches!(refused, Err(StoreError::Overtaken)));
    assert_eq!(stored(store, &key(1)), Some(record_with(7, b"theirs")));
}

pub fn an_update_without_what_the_load_held_works(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    store.update(&key(1), Held::default(), &record_with(7, b"second")).unwrap();
    assert_eq!(stored(store, &key(1)), Some(record_with(7, b"second")));
}

pub fn an_update_of_a_deleted_record_is_refused(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    let kept = held(store, &key(1));
    assert!(store.delete(&key(1), None).unwrap());
    assert!(is_gone(store.touch(&key(1), &kept, 7, visit(900, 900))));
    assert!(is_gone(store.update(&key(1), kept, &record(7))));
    assert!(is_gone(store.update(&key(1), Held::default(), &record(7))));
    assert!(stored(store, &key(1)).is_none());
}

pub fn nothing_hits_another_incarnation(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    let (first, second) = (held(store, &key(1)), held(store, &key(1)));
    store.delete(&key(1), None).unwrap();
    store.create(&key(1), &record(8)).unwrap();
    assert!(is_gone(store.touch(&key(1), &first, 7, visit(900, 900))));
    assert!(is_gone(store.touch(&key(1), &Held::default(), 7, visit(900, 900))));
    assert!(is_gone(store.update(&key(1), first, &record(7))));
    assert!(is_gone(store.update(&key(1), second, &record(7))));
    assert!(is_gone(store.update(&key(1), held(store, &key(1)), &record(7))));
    let mut untouched = |_| panic!("another life is not shown");
    assert!(is_gone(store.merge(&key(1), 7, &mut untouched)));
    assert!(!store.delete(&key(1), Some(7)).unwrap());
    assert_eq!(stored(store, &key(1)), Some(record(8)));
}

pub fn deletion_names_an_incarnation_or_none(store: &dyn Store) {
    assert!(!store.delete(&key(1), None).unwrap());
    assert!(!store.delete(&key(1), Some(7)).unwrap());
    store.create(&key(1), &record(7)).unwrap();
    assert!(store.delete(&key(1), Some(7)).unwrap());
    assert!(stored(store, &key(1)).is_none());
    assert!(!store.delete(&key(1), Some(7)).unwrap());
}

pub fn a_merge_sees_the_record_of_now(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    store.update(&key(1), held(store, &key(1)), &record_with(7, b"second")).unwrap();
    store.touch(&key(1), &Held::default(), 7, visit(250, 400)).unwrap();
    let now = Record { accessed: Time(250), deadline: Time(400), ..record_with(7, b"second") };
    let mut seen = None;
    let mut keep = |record| {
        seen = Some(record);
        Merge::Keep
    };
    store.merge(&key(1), 7, &mut keep).unwrap();
    assert_eq!(seen, Some(now.clone()));
    assert_eq!(stored(store, &key(1)), Some(now));
    let mut write = |_| Merge::Write(Box::new(record_with(7, b"third")));
    store.merge(&key(1), 7, &mut write).unwrap();
    assert_eq!(stored(store, &key(1)), Some(record_with(7, b"third")));
}

pub fn a_merge_of_a_deleted_record_is_refused(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    store.delete(&key(1), Some(7)).unwrap();
    assert!(is_gone(store.merge(&key(1), 7, &mut |record| Merge::Write(Box::new(record)))));
    assert!(stored(store, &key(1)).is_none());
}

pub fn a_merge_cannot_start_another_life(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    assert!(is_gone(store.merge(&key(1), 7, &mut |_| Merge::Write(Box::new(record(8))))));
    assert_eq!(stored(store, &key(1)), Some(record(7)));
}

pub fn touches_move_times_forward_only(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    let kept = held(store, &key(1));
    let cases = [
        (visit(210, 310), (210, 310)),
        (visit(205, 320), (210, 320)),
        (visit(220, 305), (220, 320)),
        (visit(1, 1), (220, 320)),
        (visit(230, 330), (230, 330)),
    ];
    for (visit, (accessed, deadline)) in cases {
        store.touch(&key(1), &kept, 7, visit).unwrap();
        let times = Record { accessed: Time(accessed), deadline: Time(deadline), ..record(7) };
        assert_eq!(stored(store, &key(1)), Some(times));
    }
}

pub fn an_update_may_shorten_the_life_after_a_touch(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    store.touch(&key(1), &held(store, &key(1)), 7, visit(210, 900)).unwrap();
    let shorter = Record { accessed: Time(220), deadline: Time(400), ..record(7) };
    store.update(&key(1), held(store, &key(1)), &shorter).unwrap();
    assert_eq!(stored(store, &key(1)), Some(shorter));
}

pub fn records_of_every_size_come_back(store: &dyn Store) {
    store.create(&key(1), &record(7)).unwrap();
    let stale = held(store, &key(1));
    let mut kept = held(store, &key(1));
    for size in [0, 700, 1000, 1500, 3000, 5000, 70_000, 10, 300_000, 1] {
        let sized = record_with(7, &vec![b's'; size]);
        kept = store.update(&key(1), kept, &sized).unwrap();
        assert!(stored(store, &key(1)) == Some(sized), "{size} bytes");
    }
    // What was kept open leads to the record of now.
    store.touch(&key(1), &stale, 7, visit(210, 310)).unwrap();
    let visited = Record { accessed: Time(210), deadline: Time(310), ..record_with(7, b"s") };
    assert_eq!(stored(store, &key(1)), Some(visited));
    let large = record_with(8, &[b'l'; 20_000]);
    store.create(&key(2), &large).unwrap();
    assert!(stored(store, &key(2)) == Some(large));
}

pub fn a_record_past_the_limit_is_refused_and_the_old_one_stays(store: &dyn Store) {
    let huge = record_with(7, &vec![0; RECORD_MAX]);
    assert!(matches!(store.create(&key(1), &huge), Err(StoreError::TooLarge(RECORD_MAX))));
    assert!(stored(store, &key(1)).is_none());
    store.create(&key(1), &record(7)).unwrap();
    let refused = store.update(&key(1), held(store, &key(1)), &huge).map(drop);
    assert!(matches!(refused, Err(StoreError::TooLarge(RECORD_MAX))));
    assert_eq!(stored(store, &key(1)), Some(record(7)));
}

pub fn quarantine_leaves_good_records_alone(store: &dyn Store) {
    assert!(!store.quarantine(&key(1)).unwrap());
    store.create(&key(1), &record(7)).unwrap();
    assert!(!store.quarantine(&key(1)).unwrap());
    assert_eq!(stored(store, &key(1)), Some(record(7)));
}

pub fn merges_of_many_threads_lose_nothing(store: &dyn Store) {
    const THREADS: usize = 4;
    const EACH: usize = 50;
    store.create(&key(1), &record_with(7, &0u64.to_le_bytes())).unwrap();
    let counted = |record: &Record| {
        let value = record.values.get(&Key::new("value").unwrap()).unwrap();
        u64::from_le_bytes(value.try_into().unwrap())
    };
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..EACH {
                    let mut add = |record: Record| {
                        let sum = counted(&record) + 1;
                        Merge::Write(Box::new(record_with(7, &sum.to_le_bytes())))
                    };
                    store.merge(&key(1), 7, &mut add).unwrap();
                }
            });
        }
    });
    assert_eq!(counted(&stored(store, &key(1)).unwrap()), (THREADS * EACH) as u64);
}
