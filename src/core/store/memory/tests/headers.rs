//! What a server finds when it starts: sessions that are still good, or a reason why they are not.

use super::sim::World;
use super::*;
use crate::core::store::conformance::{key, record};

const BYTES: u64 = 16 << 10;

fn boot(digit: char) -> Option<Boot> {
    Boot::parse(&format!("{digit}1b2c3d4-0000-4000-8000-123456789abc\n"))
}

fn used() -> World {
    let world = World::new(BYTES, 2);
    create(&world, &world.layout, boot('a'));
    world.process().create(&key(1), &record(7)).unwrap();
    world
}

#[test]
fn the_next_server_finds_the_sessions() {
    let world = used();
    assert_eq!(check(&world, &world.layout, boot('a')), Ok(()));
    claim(&world, 4711);
    distrust(&world, &world.layout);
    assert_eq!(check(&world, &world.layout, boot('a')), Ok(()));
    assert_eq!(world.load(PID_WORD), 4711);
    assert_eq!(world.records().len(), 1);
    assert_eq!(read(&world, BYTES), Ok((world.layout, boot('a').unwrap())));
}

#[test]
fn what_does_not_fit_says_why() {
    let world = used();
    let layout = |bytes, shards| Layout::new(bytes, shards).unwrap();
    assert_eq!(check(&world, &world.layout, boot('b')), Err(Misfit::Boot));
    assert_eq!(check(&world, &world.layout, None), Err(Misfit::Boot));
    assert_eq!(check(&world, &layout(2 * BYTES, 2), boot('a')), Err(Misfit::Bytes(BYTES)));
    assert_eq!(check(&world, &layout(BYTES, 1), boot('a')), Err(Misfit::Shards(2)));
    let version = world.load(0);
    for (word, value, misfit) in [
        (0, version - 1, Misfit::Layout(1)),
        (0, version + 1, Misfit::Layout(version as u32 + 1)),
        (0, 0x1234_5678_0000_0001, Misfit::Damaged),
        (0, 0, Misfit::New),
        (1, 77, Misfit::Damaged),
        (3, 77, Misfit::Damaged),
        (4, 77, Misfit::Damaged),
        (5, 77, Misfit::Damaged),
    ] {
        let world = used();
        world.store(word, value);
        assert_eq!(check(&world, &world.layout, boot('a')), Err(misfit), "word {word}");
        assert!(!misfit.to_string().is_empty());
    }
}

#[test]
fn a_start_that_was_cut_short_is_no_store() {
    for stores in 0.. {
        let world = World::new(BYTES, 2);
        (0..world.len()).for_each(|word| world.store(word, 0));
        let made = world.with_fuse(stores, || create(&world, &world.layout, boot('a')));
        match check(&world, &world.layout, boot('a')) {
            Ok(()) => {
                assert!(made.is_some());
                break;
            }
            Err(misfit) => assert_eq!(misfit, Misfit::New),
        }
    }
}

#[test]
fn the_id_of_a_start_is_32_digits() {
    assert!(Boot::latest().is_some());
    let id = "0123abcd-4567-89ab-cdef-0123456789ab";
    assert_eq!(Boot::parse(id), Boot::parse(&format!(" {id}\n")));
    for text in ["", "0123", "zzzzzzzz-4567-89ab-cdef-0123456789ab", &format!("{id}0")] {
        assert_eq!(Boot::parse(text), None, "{text}");
    }
}
