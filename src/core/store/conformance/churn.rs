//! Everything that can be done to a store, at random, on records that show whether they are whole.

use super::{key, values};
use crate::core::clock::Time;
use crate::core::session::record::{Client, Kind, Record};
use crate::core::session::values::Key;
use crate::core::store::{Entry, Held, Merge, Position, Stale, Store, StoreError, StoreKey, Visit};

/// How many keys there are to meet at.
const KEYS: u8 = 24;
const SCOPE: [u8; 8] = [1; 8];

/// Numbers that look random, the same for each seed.
pub struct Dice(pub u64);

impl Dice {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next one, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Who owns the records under a key: nobody under every other one.
fn user_of(place: u8) -> Option<String> {
    (place % 2 == 1).then(|| format!("user {}", place % 3))
}

/// A record under `key(place)` whose every part says the same number; of a length that depends on it.
fn version(place: u8, incarnation: u64, number: u64) -> Record {
    let length =
        50 + (number % 97) as usize * 37 + if number.is_multiple_of(16) { 20_000 } else { 0 };
    Record {
        kind: Kind::Session,
        incarnation,
        scope: SCOPE,
        user: user_of(place),
        created: Time(number),
        accessed: Time(number % 1000),
        deadline: Time(number % 1000),
        timeout: Some(number as u32),
        client: Client::from(&number.to_string()).unwrap(),
        flags: 0,
        tokens: vec![[number as u8; 16]; (number % 4) as usize],
        values: values(&vec![number as u8; length]),
    }
}

/// Fails if parts of the record say different numbers. Visits are recorded by themselves.
fn assert_whole(place: u8, record: &Record) {
    let times = (record.accessed, record.deadline);
    let whole = version(place, record.incarnation, record.created.0);
    let whole = Record { accessed: times.0, deadline: times.1, ..whole };
    let length = record.values.get(&Key::new("value").unwrap()).map(<[u8]>::len);
    assert!(*record == whole, "parts of two records, {length:?} bytes of value");
}

/// The number that [`key`] made a key of.
fn place_of(wanted: &StoreKey) -> u8 {
    (0..KEYS).find(|place| key(*place) == *wanted).expect("a key that nobody made")
}

fn may(result: Result<(), StoreError>) {
    match result {
        // Others are at it too.
        Ok(()) | Err(StoreError::Exists | StoreError::Gone | StoreError::Overtaken) => {}
        Err(cause) => panic!("{cause}"),
    }
}

/// Does one thing, every other time the `favourite` one.
pub fn step(store: &dyn Store, dice: &mut Dice, favourite: u64) {
    const VERBS: u64 = 10;
    let place = dice.below(KEYS.into()) as u8;
    let (at, number) = (key(place), dice.next());
    let verb = if dice.below(2) == 0 { favourite } else { dice.next() };
    let abilities = store.abilities();
    match verb % VERBS {
        0 | 1 => may(store.create(&at, &version(place, dice.below(3), number))),
        2 | 3 => {
            let Some(loaded) = store.load(&at).unwrap() else { return };
            assert_whole(place, &loaded.record);
            let next = version(place, loaded.record.incarnation, number);
            may(store.update(&at, loaded.held, &next).map(drop));
        }
        4 => {
            let mut change = |record: Record| {
                assert_whole(place, &record);
                Merge::Write(Box::new(version(place, record.incarnation, number)))
            };
            may(store.merge(&at, number % 3, &mut change));
        }
        5 => {
            let visit = Visit { accessed: Time(number % 1000), deadline: Time(number % 1000) };
            may(store.touch(&at, &Held::default(), number % 3, visit));
        }
        6 => {
            let incarnation = (!number.is_multiple_of(4)).then_some(number % 3);
            store.delete(&at, incarnation).map(drop).unwrap();
        }
        7 if abilities.lists => {
            let mut left = dice.below(30);
            let from = if number.is_multiple_of(2) { at.into() } else { Position::default() };
            let stale = Stale::EndedBefore(Time(number % 300));
            let mut go_on = || {
                left = left.saturating_sub(1);
                left > 0
            };
            assert_eq!(store.purge(stale, &from, &mut go_on).unwrap().corrupt, 0);
        }
        8 if abilities.lists => drop(scanned(store)),
        9 if abilities.lists => {
            if let Some(user) = user_of(place) {
                store.of_user(SCOPE, &user).unwrap();
            }
        }
        _ => {
            if let Some(loaded) = store.load(&at).unwrap() {
                assert_whole(place, &loaded.record);
            }
        }
    }
}

fn scanned(store: &dyn Store) -> Vec<StoreKey> {
    let mut keys = Vec::new();
    let next = store.scan(&Position::default(), &mut |Entry { key, record, .. }| {
        assert_whole(place_of(&key), &record.unwrap());
        keys.push(key);
        true
    });
    assert_eq!(next.unwrap(), None);
    keys.sort_unstable();
    keys
}

/// Looks at everything that others left.
pub fn inspect(store: &dyn Store) {
    let mut found = Vec::new();
    for place in 0..KEYS {
        let Some(loaded) = store.load(&key(place)).unwrap() else { continue };
        assert_whole(place, &loaded.record);
        found.push(key(place));
    }
    found.sort_unstable();
    if store.abilities().lists {
        assert_eq!(scanned(store), found);
        for user in (0..3).filter_map(|number| user_of(2 * number + 1)) {
            let mut his = store.of_user(SCOPE, &user).unwrap();
            his.sort_unstable();
            let all = found.iter().filter(|key| user_of(place_of(key)).as_ref() == Some(&user));
            assert!(his.iter().eq(all), "the index of users is not complete");
        }
    }
}

/// Does everything once under each key, whatever others left there.
pub fn renew(store: &dyn Store) {
    for place in 0..KEYS {
        let at = key(place);
        store.delete(&at, None).unwrap();
        store.create(&at, &version(place, 7, 1)).unwrap();
        let held = store.load(&at).unwrap().unwrap().held;
        store.update(&at, held, &version(place, 7, 2)).unwrap();
        if store.abilities().compares {
            let mut change = |_| Merge::Write(Box::new(version(place, 7, 3)));
            store.merge(&at, 7, &mut change).unwrap();
        }
        let visit = Visit { accessed: Time(800), deadline: Time(900) };
        store.touch(&at, &Held::default(), 7, visit).unwrap();
    }
    if store.abilities().lists {
        let stale = Stale::EndedBefore(Time(901));
        let purged = store.purge(stale, &Position::default(), &mut || true).unwrap();
        assert_eq!((purged.removed, purged.corrupt), (KEYS.into(), 0));
        assert_eq!(scanned(store), []);
        assert_eq!(store.of_user(SCOPE, "user 1").unwrap(), []);
    }
}
