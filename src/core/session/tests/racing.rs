//! What others do to a session while one request is at it.

use super::world::{Browser, LAST, MORE, World, key, minutes, value};
use crate::core::config::Locking;
use crate::core::session::record::Kind;
use crate::core::session::{Access, Notice, Session, SessionError};
use crate::core::store::fake::Verb;

fn browser(lines: &[&str], locking: Locking) -> Browser {
    let mut browser = World::new().browser(lines);
    browser.rules.locking = locking;
    browser.put("a", "1");
    browser
}

#[test]
fn a_request_whose_lease_was_taken_over_merges_and_leaves_the_new_holder_alone() {
    let mut browser = browser(&["SessionLockHold 1m"], Locking::Request);
    let world = browser.world.clone();
    let mut slow = browser.open();
    slow.set(&key("a"), b"slow").unwrap();
    world.clock.advance(minutes(2));
    browser.put("c", "quick");
    let holder = browser.open();
    slow.save(&world.services()).unwrap();
    slow.set(&key("b"), b"slow").unwrap();
    assert_eq!(browser.finish(&mut slow, LAST).unwrap(), None);
    assert_eq!(slow.take_notices(), [Notice::LeaseLost(browser.key())]);
    let values = ["a", "b", "c"].map(|name| browser.value(name).unwrap());
    assert_eq!(values, ["slow", "slow", "quick"]);
    assert!(holder.is_leased() && world.held() == 1);
    assert!(browser.request().open(&world.services(), Access::Write).is_err());
}

/// A process that is stopped for a while between its last look at the lease and the write itself.
#[test]
fn a_request_that_was_stopped_right_before_it_wrote_merges_and_tells_so() {
    let mut browser = browser(&["SessionLockHold 1m"], Locking::Request);
    let (world, mut other) = (browser.world.clone(), browser.clone());
    let mut stopped = browser.open();
    stopped.set(&key("b"), b"stopped").unwrap();
    let clock = world.clock.clone();
    world.store.before(Verb::Update, move || {
        clock.advance(minutes(2));
        other.put("c", "quick");
    });
    assert_eq!(browser.finish(&mut stopped, LAST).unwrap(), None);
    assert_eq!(stopped.take_notices(), [Notice::LeaseLost(browser.key())]);
    let values = ["a", "b", "c"].map(|name| browser.value(name).unwrap());
    assert_eq!(values, ["1", "stopped", "quick"]);
    assert_eq!(world.held(), 0);
}

#[test]
fn what_somebody_wrote_without_a_lease_is_merged_and_nobody_is_told_of_a_lost_one() {
    let mut browser = browser(&[], Locking::Request);
    let mut other = browser.clone();
    other.rules.locking = Locking::Commit;
    let mut session = browser.open();
    session.set(&key("b"), b"held").unwrap();
    browser.world.store.before(Verb::Update, move || drop(other.put("c", "between")));
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(session.take_notices(), []);
    let values = ["a", "b", "c"].map(|name| browser.value(name).unwrap());
    assert_eq!(values, ["1", "held", "between"]);
}

#[test]
fn a_late_request_does_not_bring_back_what_the_new_holder_deleted() {
    let mut browser = browser(&["SessionLockHold 1m"], Locking::Request);
    let (mut slow, world) = (browser.open(), browser.world.clone());
    slow.set(&key("a"), b"slow").unwrap();
    world.clock.advance(minutes(2));
    browser.visit(|session| session.delete().unwrap());
    assert!(matches!(slow.save(&world.services()), Err(SessionError::Gone)));
    slow.release(&world.services());
    assert!(world.store.is_empty() && world.held() == 0);
}

#[test]
fn a_late_deletion_ends_the_session_although_the_new_holder_gave_it_another_id() {
    let mut browser = browser(&["SessionLockHold 1m"], Locking::Request);
    let (mut slow, mut session) = (browser.clone(), browser.open());
    browser.world.clock.advance(minutes(2));
    browser.visit(|session| session.regenerate().unwrap());
    session.invalidate().unwrap();
    slow.finish(&mut session, LAST).unwrap();
    assert!(browser.look().is_new() && slow.id.is_none());
}

#[test]
fn a_request_that_was_emptied_late_deletes_nothing_of_the_new_holders() {
    let mut browser = browser(&["SessionLockHold 1m"], Locking::Request);
    let mut slow = browser.open();
    browser.world.clock.advance(minutes(2));
    browser.put("b", "quick");
    slow.unset(&key("a")).unwrap();
    assert_eq!(browser.finish(&mut slow, LAST).unwrap(), None);
    assert_eq!((browser.value("a"), browser.value("b").as_deref()), (None, Some("quick")));
}

/// Requests that others may come in between: without leases, or with one that others do not heed.
fn open_to_others() -> [Browser; 2] {
    let without = browser(&[], Locking::Commit);
    let mut unheeded = browser(&[], Locking::Request);
    unheeded.rules.shared_writes = true;
    [without, unheeded]
}

/// Another request, that takes no lease.
fn other(browser: &Browser) -> Browser {
    let mut other = browser.clone();
    other.rules.locking = Locking::Commit;
    other
}

#[test]
fn what_others_wrote_before_the_session_got_its_new_id_is_kept() {
    for login in [false, true] {
        for at in [Verb::Create, Verb::Merge] {
            for mut browser in open_to_others() {
                let world = browser.world.clone();
                let mut session = browser.open();
                session.set(&key("b"), b"mine").unwrap();
                if login {
                    session.set_user(Some("ann")).unwrap();
                } else {
                    session.regenerate().unwrap();
                }
                let mut other = other(&browser);
                world.store.before(at, move || {
                    other.put("c", "theirs");
                    other.visit(|session| assert!(session.unset(&key("a")).unwrap()));
                });
                browser.finish(&mut session, LAST).unwrap();
                let values = ["a", "b", "c"].map(|name| browser.value(name));
                assert_eq!(values, [None, Some("mine".into()), Some("theirs".into())], "{at:?}");
                assert_eq!(browser.look().user(), login.then_some("ann"));
            }
        }
    }
}

#[test]
fn of_two_new_ids_at_once_the_second_finds_the_alias_and_merges() {
    for mut browser in open_to_others() {
        let (world, mut slow) = (browser.world.clone(), browser.clone());
        let mut session = browser.open();
        session.set(&key("b"), b"mine").unwrap();
        session.regenerate().unwrap();
        // The hook keeps its browser's new id where the test can see it.
        let told = std::sync::Arc::new(std::sync::Mutex::new(other(&browser)));
        let first = told.clone();
        world.store.before(Verb::Merge, move || {
            first.lock().unwrap().visit(|session| session.regenerate().unwrap());
        });
        assert_eq!(session.commit(&world.services(), MORE).unwrap(), None);
        assert_eq!(slow.finish(&mut session, LAST).unwrap(), None);
        browser.id.clone_from(&told.lock().unwrap().id);
        assert_ne!(browser.id, slow.id);
        assert_eq!(browser.value("b").as_deref(), Some("mine"));
        assert!(matches!(slow.record().unwrap().kind, Kind::Alias { .. }));
        assert_eq!((world.store.len(), world.held()), (2, 0));
    }
}

#[test]
fn a_login_that_finds_the_id_changed_meanwhile_is_refused() {
    for mut browser in open_to_others() {
        let (world, mut slow) = (browser.world.clone(), browser.clone());
        let mut session = browser.open();
        session.set_user(Some("eve")).unwrap();
        other(&browser).visit(|session| session.regenerate().unwrap());
        let refused = slow.finish(&mut session, LAST);
        assert!(matches!(refused, Err(SessionError::ThroughAlias)));
        assert_eq!((slow.look().user(), world.store.len(), world.held()), (None, 2, 0));
        browser.id = slow.id;
        assert_eq!(browser.value("a").as_deref(), Some("1"));
    }
}

#[test]
fn of_two_logins_at_once_the_first_stands_and_no_record_is_left() {
    for mut browser in open_to_others() {
        let world = browser.world.clone();
        let mut session = browser.open();
        session.set_user(Some("eve")).unwrap();
        let mut first = other(&browser);
        first.visit(|session| session.set_user(Some("ann")).unwrap());
        assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
        assert!(browser.look().is_new());
        assert_eq!((first.look().user(), world.store.len()), (Some("ann"), 1));
    }
}

#[test]
fn nobody_comes_between_a_new_id_and_its_lease() {
    let mut browser = browser(&[], Locking::Request);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.regenerate().unwrap();
    let waiting = browser.clone();
    world.store.before(Verb::Update, {
        // At this moment the new record is there and the way to it is about to be.
        let world = world.clone();
        move || assert_eq!(world.held(), 2)
    });
    browser.take(&session.save(&world.services()).unwrap());
    assert!(waiting.request().open(&world.services(), Access::Write).is_err());
    session.set(&key("a"), b"2").unwrap();
    world.store.forget_calls();
    browser.finish(&mut session, LAST).unwrap();
    // Which version the new record is was not told when it was made.
    assert_eq!((world.store.count(Verb::Update), world.store.count(Verb::Merge)), (0, 1));
    assert_eq!(session.take_notices(), []);
}

#[test]
fn where_the_lease_of_a_new_id_cannot_be_had_the_next_commit_merges() {
    let mut browser = browser(&[], Locking::Request);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.set(&key("b"), b"1").unwrap();
    session.regenerate().unwrap();
    // Every other entry of the table is taken while it is wanted.
    let mut taken = Vec::new();
    while let Ok(lease) = {
        use crate::core::lock::Leases;
        let one = crate::core::store::StoreKey::from_bytes([taken.len() as u8 + 1; 32]);
        world.leases.acquire(&one, &session.rules().wait)
    } {
        taken.push(lease);
    }
    browser.take(&session.save(&world.services()).unwrap());
    assert!(!session.is_leased());
    other(&browser).put("c", "theirs");
    session.set(&key("b"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(
        (browser.value("b").as_deref(), browser.value("c").as_deref()),
        (Some("2"), Some("theirs"))
    );
}

#[test]
fn a_holder_reads_again_before_it_writes_where_others_write_without_a_lease() {
    let mut browser = browser(&[], Locking::Request);
    browser.rules.shared_writes = true;
    let mut session = browser.open();
    session.set(&key("b"), b"mine").unwrap();
    other(&browser).put("c", "theirs");
    browser.finish(&mut session, LAST).unwrap();
    let look = browser.look();
    assert_eq!(["b", "c"].map(|name| value(&look, name).unwrap()), ["mine", "theirs"]);
}

/// A request that holds its session, and one that takes no lease although nothing says that there are such:
/// where a `.htaccess` file says so, where a request has two sessions, or on another machine.
fn holder_and_other() -> (Browser, Browser) {
    let browser = browser(&[], Locking::Request);
    let other = other(&browser);
    (browser, other)
}

#[test]
fn who_empties_a_session_deletes_nothing_that_came_without_a_lease() {
    let (mut browser, mut other) = holder_and_other();
    let mut session = browser.open();
    assert!(session.unset(&key("a")).unwrap());
    other.put("b", "theirs");
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!((browser.value("a"), browser.value("b").as_deref()), (None, Some("theirs")));
}

#[test]
fn who_logs_in_takes_along_what_came_without_a_lease() {
    for at in [Verb::Create, Verb::Merge] {
        let (mut browser, mut other) = holder_and_other();
        let world = browser.world.clone();
        let mut session = browser.open();
        session.set_user(Some("ann")).unwrap();
        world.store.before(at, move || drop(other.put("b", "theirs")));
        browser.finish(&mut session, LAST).unwrap();
        assert_eq!(browser.value("b").as_deref(), Some("theirs"), "{at:?}");
        assert_eq!((browser.look().user(), world.store.len()), (Some("ann"), 1), "{at:?}");
    }
}

#[test]
fn what_is_given_a_new_id_without_a_lease_ends_with_the_holder_that_ends_it() {
    let ends: [fn(&mut Session); 2] =
        [|session| session.invalidate().unwrap(), |session| session.delete().unwrap()];
    for end in ends {
        let (mut browser, mut other) = holder_and_other();
        let mut session = browser.open();
        other.visit(|session| session.regenerate().unwrap());
        end(&mut session);
        browser.finish(&mut session, LAST).unwrap();
        assert!(other.look().is_new(), "it lives on under its new id");
    }
}

#[test]
fn a_session_that_was_made_in_the_same_answer_is_not_left_behind_blindly() {
    let mut browser = World::new().browser(&[]);
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    let cookie = session.commit(&browser.world.services(), MORE).unwrap();
    browser.take(&cookie);
    other(&browser).put("b", "theirs");
    session.regenerate().unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("b").as_deref(), Some("theirs"));
}

#[test]
fn sums_of_a_holder_and_of_one_without_a_lease_are_of_both() {
    let (mut browser, mut other) = holder_and_other();
    let services = browser.world.clone();
    let mut session = browser.open();
    assert_eq!(session.add(&services.services(), &key("n"), 5).unwrap(), 5);
    assert_eq!(session.add(&services.services(), &key("n"), 2).unwrap(), 7);
    let world = browser.world.clone();
    other.visit(|session| {
        session.add(&world.services(), &key("n"), 10).unwrap();
    });
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("n").as_deref(), Some("17"));
}

#[test]
fn a_number_that_was_set_is_no_sum() {
    for set_first in [true, false] {
        let (mut browser, mut other) = holder_and_other();
        let world = browser.world.clone();
        let mut session = browser.open();
        let add = |session: &mut Session| session.add(&world.services(), &key("n"), 5).unwrap();
        if set_first {
            session.set(&key("n"), b"1").unwrap();
            assert_eq!(add(&mut session), 6);
        } else {
            assert_eq!(add(&mut session), 5);
            session.set(&key("n"), b"6").unwrap();
        }
        other.visit(|session| {
            add(session);
        });
        browser.finish(&mut session, LAST).unwrap();
        assert_eq!(browser.value("n").as_deref(), Some("6"), "{set_first}");
    }
}

#[test]
fn who_reads_again_or_begins_another_session_is_told_of_the_end_once() {
    for makes_another in [false, true] {
        let browser = browser(&[], Locking::Commit);
        let services = browser.world.clone();
        let mut session = browser.open();
        browser.clone().visit(|session| session.invalidate().unwrap());
        session.reload(&services.services()).unwrap();
        assert!(session.is_new());
        if makes_another {
            session.set(&key("b"), b"1").unwrap();
            session.commit(&services.services(), MORE).unwrap();
        }
        assert!(session.take(&services.services()).is_ok());
    }
    // One who has let it go and looks before taking it is told as well.
    let browser = browser(&[], Locking::Request);
    let services = browser.world.clone();
    let mut session = browser.open();
    session.let_go(&services.services());
    browser.clone().visit(|session| session.invalidate().unwrap());
    session.open(&services.services(), Access::Read).unwrap();
    assert!(matches!(session.take(&services.services()), Err(SessionError::Gone)));
    assert!(session.take(&services.services()).is_ok());
}
