//! Memory that somebody overwrote: nothing comes out of it that was not put in, and every verb ends.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::layout::{BLOCK_WORDS, Field};
use super::sim::World;
use super::*;
use crate::core::lock::host::Words as _;
use crate::core::store::conformance::{key, record_with};

fn written(number: u8) -> Record {
    let user = number.is_multiple_of(3).then(|| "alice".to_owned());
    Record { user, ..record_with(7, &vec![number; 20 * usize::from(number)]) }
}

fn filled() -> (World, BTreeMap<StoreKey, Record>) {
    let world = World::new(16 << 10, 1);
    let records: BTreeMap<_, _> = (0..12).map(|number| (key(number), written(number))).collect();
    for (key, record) in &records {
        world.process().create(key, record).unwrap();
    }
    (world, records)
}

/// Everything except when it was visited, which no sum guards.
fn timeless(mut record: Record) -> Record {
    let times = written(0);
    (record.accessed, record.deadline) = (times.accessed, times.deadline);
    record
}

proptest! {
    #[test]
    fn overwritten_words_give_errors_and_no_other_records(
        words in prop::collection::vec((0usize..2048, any::<u64>(), 0u32..3), 1..12)
    ) {
        let (world, records) = filled();
        for (at, value, kind) in words {
            let word = 64 + at % (world.len() - 64);
            let value = match kind {
                0 => value,
                // Nonsense that looks like sense: links and lengths are small numbers.
                1 => (value % 250) | ((value >> 32) % 250) << 32,
                _ => world.load(64 + value as usize % (world.len() - 64)),
            };
            world.store(word, value);
        }
        let store = world.process();
        let snapshot = Snapshot::open(world.clone(), world.layout.bytes()).unwrap();
        let same = |key: &StoreKey, found: Record| {
            records.get(key).is_none_or(|record| timeless(record.clone()) == timeless(found))
        };
        for key in records.keys() {
            for loaded in [snapshot.load(key), store.load(key)] {
                match loaded {
                    Ok(Some(loaded)) => prop_assert!(same(key, loaded.record)),
                    Ok(None) | Err(StoreError::Corrupt) => {}
                    Err(cause) => prop_assert!(false, "{}", cause),
                }
            }
        }
        let _ = snapshot.scan(&Position::default(), &mut |_| true);
        let _ = store.of_user([1; 8], "alice");
        let purged = store.purge(Stale::EndedBefore(crate::core::clock::Time(1)), &Position::default(), &mut || true);
        prop_assert!(purged.is_ok(), "{:?}", purged);
        for number in 20..60 {
            let _ = store.create(&key(number), &written(number));
            let _ = store.update(&key(number - 15), Held::default(), &written(number));
        }
        // Put in order it is as good as new, except for records that are damaged inside.
        distrust(&world, &world.layout);
        for key in records.keys() {
            let _ = store.quarantine(key);
        }
        for index in 0..world.layout.shards() {
            let shard = world.shard(index);
            prop_assert_eq!(shard.part(Part::Busy), 0);
        }
    }
}

/// An entry whose word became that of another one led to the other's version, which was whole: one
/// session's values came out under another one's id, wherever both had one incarnation.
#[test]
fn an_entry_with_a_word_of_another_one_shows_no_record_of_the_other() {
    let (_, records) = filled();
    for word in 0..BLOCK_WORDS {
        let mut seen_as_corrupt = 0;
        for (ours, theirs) in (0..12).flat_map(|a| (0..12).map(move |b| (a, b))) {
            let (world, _) = filled();
            let shard = world.shard(0);
            let entry = |number| shard.find(&key(number)).unwrap().unwrap().entry;
            shard.set_word(entry(ours), word, shard.word(entry(theirs), word));
            for (key, record) in &records {
                match world.process().load(key) {
                    Ok(Some(loaded)) => {
                        assert_eq!(timeless(loaded.record), timeless(record.clone()), "{word}");
                    }
                    Ok(None) => {}
                    Err(StoreError::Corrupt) => seen_as_corrupt += 1,
                    Err(cause) => panic!("word {word}: {cause}"),
                }
            }
        }
        if word == Field::Version as usize {
            assert!(seen_as_corrupt > 100, "{seen_as_corrupt}");
        }
    }
}

#[test]
fn a_damaged_record_is_found_and_goes_alone() {
    let (world, records) = filled();
    let shard = world.shard(0);
    let place = shard.find(&key(5)).unwrap().unwrap();
    let version = shard.version(place.entry).unwrap();
    shard.set_word(version.first, 4, shard.word(version.first, 4) ^ 0x40);
    let store = world.process();
    assert!(matches!(store.load(&key(5)), Err(StoreError::Corrupt)));
    let mut unreadable = 0;
    store
        .scan(&Position::default(), &mut |entry| {
            unreadable += usize::from(matches!(entry.record, Err(StoreError::Corrupt)));
            true
        })
        .unwrap();
    assert_eq!(unreadable, 1);
    assert!(store.quarantine(&key(5)).unwrap());
    assert!(!store.quarantine(&key(5)).unwrap());
    assert!(store.load(&key(5)).unwrap().is_none());
    assert_eq!(world.records().len(), records.len() - 1);
    world.assert_whole();
}

#[test]
fn a_purge_drops_what_is_damaged() {
    let (world, _) = filled();
    let shard = world.shard(0);
    let place = shard.find(&key(5)).unwrap().unwrap();
    shard.set_word(shard.version(place.entry).unwrap().first, 0, 1);
    let stale = Stale::EndedBefore(crate::core::clock::Time(1));
    let purged = world.process().purge(stale, &Position::default(), &mut || true).unwrap();
    assert_eq!((purged.seen, purged.removed, purged.corrupt, purged.next), (12, 0, 1, None));
    world.assert_whole();
}

#[test]
fn a_record_of_a_newer_release_is_left_alone() {
    let (world, _) = filled();
    let shard = world.shard(0);
    let place = shard.find(&key(5)).unwrap().unwrap();
    let first = shard.version(place.entry).unwrap().first;
    let payload = shard.word(first, 3);
    shard.set_word(first, 3, (payload & !0xffff) | 2);
    let bytes = shard.copy(place.entry).unwrap();
    shard.set_word(first, 0, bytes.sum());
    let store = world.process();
    assert!(matches!(store.load(&key(5)), Err(StoreError::Newer(2))));
    assert!(!store.quarantine(&key(5)).unwrap());
    assert!(matches!(store.load(&key(5)), Err(StoreError::Newer(2))));
}
