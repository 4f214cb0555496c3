//! Any sequence of verbs by processes that may be killed agrees with a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::sim::{SimStore, World};
use super::*;
use crate::core::clock::Time;
use crate::core::store::conformance::{key, record_with};

#[derive(Debug, Clone)]
enum Verb {
    Create(u8, Option<u8>, usize),
    Update(u8, Option<u8>, usize),
    Merge(u8, usize),
    Touch(u8, u64),
    Delete(u8),
    Purge(u64),
}

fn verb() -> impl Strategy<Value = Verb> {
    let (key, user, size) = (0u8..8, prop::option::of(0u8..3), 0usize..400);
    prop_oneof![
        (key.clone(), user.clone(), size.clone()).prop_map(|(k, u, s)| Verb::Create(k, u, s)),
        (key.clone(), user, size.clone()).prop_map(|(k, u, s)| Verb::Update(k, u, s)),
        (key.clone(), size).prop_map(|(k, s)| Verb::Merge(k, s)),
        (key.clone(), 0u64..60).prop_map(|(k, t)| Verb::Touch(k, t)),
        key.prop_map(Verb::Delete),
        (0u64..40).prop_map(Verb::Purge),
    ]
}

fn session(user: Option<u8>, size: usize) -> Record {
    let user = user.map(|user| format!("user{user}"));
    let times = Record { accessed: Time(10), deadline: Time(20), ..record_with(7, &vec![1; size]) };
    Record { user, ..times }
}

type Model = BTreeMap<StoreKey, Record>;

/// What a verb makes of the model; each record it may change.
fn expect(model: &Model, verb: &Verb) -> Model {
    let mut after = model.clone();
    match *verb {
        Verb::Create(at, user, size) => {
            after.entry(key(at)).or_insert_with(|| session(user, size));
        }
        Verb::Update(at, user, size) => {
            after.entry(key(at)).and_modify(|record| *record = session(user, size));
        }
        Verb::Merge(at, size) => {
            after.entry(key(at)).and_modify(|record| record.values = session(None, size).values);
        }
        Verb::Touch(at, time) => {
            after.entry(key(at)).and_modify(|record| {
                record.accessed = record.accessed.max(Time(time));
                record.deadline = record.deadline.max(Time(2 * time));
            });
        }
        Verb::Delete(at) => drop(after.remove(&key(at))),
        Verb::Purge(time) => after.retain(|_, record| record.deadline >= Time(time)),
    }
    after
}

fn act(store: &SimStore, model: &Model, verb: &Verb) {
    let is_there = |at| model.contains_key(&key(at));
    match *verb {
        Verb::Create(at, user, size) => {
            assert_eq!(store.create(&key(at), &session(user, size)).is_ok(), !is_there(at));
        }
        Verb::Update(at, user, size) => {
            let updated = store.update(&key(at), Held::default(), &session(user, size));
            assert_eq!(updated.is_ok(), is_there(at));
        }
        Verb::Merge(at, size) => {
            let mut change = |record| {
                let values = session(None, size).values;
                Merge::Write(Box::new(Record { values, ..record }))
            };
            assert_eq!(store.merge(&key(at), 7, &mut change).is_ok(), is_there(at));
        }
        Verb::Touch(at, time) => {
            let visit = Visit { accessed: Time(time), deadline: Time(2 * time) };
            assert_eq!(store.touch(&key(at), &Held::default(), 7, visit).is_ok(), is_there(at));
        }
        Verb::Delete(at) => assert_eq!(store.delete(&key(at), None).unwrap(), is_there(at)),
        Verb::Purge(time) => {
            let stale = Stale::EndedBefore(Time(time));
            store.purge(stale, &Position::default(), &mut || true).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn verbs_of_mortal_processes_agree_with_a_map(
        steps in prop::collection::vec((verb(), prop::option::of(0usize..150)), 1..40)
    ) {
        let world = World::new(24 << 10, 2);
        let mut model = Model::new();
        for (verb, life) in steps {
            let store = world.process();
            let after = expect(&model, &verb);
            world.with_fuse(life.unwrap_or(usize::MAX), || act(&store, &model, &verb));
            let found = world.records();
            for number in 0..8 {
                let at = key(number);
                let (one, other, now) = (model.get(&at), after.get(&at), found.get(&at));
                let torn = match (one, other, now) {
                    (Some(one), Some(other), Some(now)) if matches!(verb, Verb::Touch(..)) => {
                        *now == Record { deadline: other.deadline, ..one.clone() }
                    }
                    _ => false,
                };
                prop_assert!(now == one || now == other || torn, "{:?} {:?}", verb, life);
                prop_assert!(life.is_some() || now == other, "{:?}", verb);
            }
            world.assert_whole();
            for user in ["user0", "user1", "user2"] {
                let mut his = world.process().of_user([1; 8], user).unwrap();
                his.sort_unstable();
                let is_his = |(_, record): &(_, &Record)| record.user.as_deref() == Some(user);
                let expected: Vec<_> = found.iter().filter(is_his).map(|(key, _)| *key).collect();
                prop_assert_eq!(his, expected);
            }
            model = found;
        }
    }
}
