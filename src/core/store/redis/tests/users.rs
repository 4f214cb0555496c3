use super::fresh;
use crate::core::clock::Time;
use crate::core::store::conformance::record;
use crate::core::store::redis::layout;
use crate::core::store::redis::users::STEP;
use crate::core::store::{Position, Stale, Store, StoreKey};

/// One process deletes a session: first the record, then the entry in its user's index. In between another
/// one made a session of the same key: it entered the index before, and lost that entry. Whoever ended all
/// sessions of the user did not end this one.
#[test]
fn a_session_made_anew_while_the_one_before_it_goes_stays_in_the_index() {
    let (_redis, store) = fresh();
    let (at, mut record) = (StoreKey::from_bytes([1; 32]), record(1));
    record.user = Some("ann".to_owned());
    store.create(&at, &record).unwrap();
    store.shared.leave_index(&layout::index(record.scope, "ann"), &at);
    assert_eq!(store.of_user(record.scope, "ann").unwrap(), [at]);
    store.delete(&at, None).unwrap();
    assert_eq!(store.of_user(record.scope, "ann").unwrap(), [] as [StoreKey; 0]);
}

/// One user's script logs in a hundred thousand times and never out. The sweep of that index looked each of
/// them up alone, and asked only after the whole batch whether there was time left.
#[test]
fn an_index_of_many_sessions_is_swept_in_steps_and_gone_on_with_where_it_stopped() {
    const GONE: u32 = 4 * STEP + STEP / 2;
    let (redis, store) = fresh();
    let (at, mut record) = (StoreKey::from_bytes([0xff; 32]), record(1));
    record.user = Some("ann".to_owned());
    store.create(&at, &record).unwrap();
    let name = store.shared.names.index(&layout::index(record.scope, "ann"));
    let mut enter = redis::cmd("ZADD");
    enter.arg(&name).arg(1).arg(at.digits().as_slice());
    for number in 0..GONE {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        enter.arg(1).arg(StoreKey::from_bytes(key).digits().as_slice());
    }
    store.shared.ask("making an index", &name, &enter).unwrap();
    let name = String::from_utf8(name).unwrap();
    let members = || redis.cli(&["ZCARD", &name]).parse::<u32>().unwrap();
    let mut asked = 0;
    let mut purge = |from: &Position, enough: u32| {
        let start = asked;
        let mut go_on = || {
            asked += 1;
            asked - start < enough
        };
        store.purge(Stale::EndedBefore(Time(0)), from, &mut go_on).unwrap()
    };
    // Time is over with the one record there is.
    let first = purge(&Position::default(), 1);
    assert_eq!((first.seen, members()), (1, GONE + 1));
    let second = purge(&first.next.unwrap(), 1);
    assert_eq!((second.seen, members()), (0, GONE + 1 - STEP));
    let third = purge(&second.next.unwrap(), 2 * STEP);
    assert_eq!((third.seen, members()), (0, GONE + 1 - 3 * STEP));
    // What is there stays, and the walk comes to an end.
    let last = purge(&third.next.unwrap(), u32::MAX);
    assert!(last.next.is_none());
    assert_eq!((last.seen, members()), (0, 1));
    assert_eq!(store.of_user(record.scope, "ann").unwrap(), [at]);
    assert!(asked > GONE, "once for each");
}
