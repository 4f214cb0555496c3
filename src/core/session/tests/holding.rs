//! Explicit locks, and counters that no parallel request can spoil.

use super::world::{Browser, LAST, World, key, minutes, value};
use crate::core::config::Locking;
use crate::core::session::{Access, Notice, SessionError};
use crate::core::store::fake::Verb;

/// A browser whose session has `n` = 1.
fn counting(locking: Locking) -> Browser {
    let mut browser = World::new().browser(&["SessionLockHold 1m"]);
    browser.rules.locking = locking;
    browser.put("n", "1");
    browser
}

#[test]
fn a_lock_takes_the_session_in_every_mode_but_read() {
    for locking in [Locking::Request, Locking::Commit, Locking::Off] {
        let browser = counting(locking);
        let world = browser.world.clone();
        let mut session = browser.request();
        session.lock(&world.services(), true).unwrap();
        assert!(session.is_leased() && !session.is_read_only());
        let refused = browser.request().lock(&world.services(), false);
        assert!(matches!(refused, Err(SessionError::Lease(_))), "{locking:?}");
        session.release(&world.services());
        assert_eq!(world.held(), 0);
    }
    let mut browser = counting(Locking::Request);
    browser.rules.locking = Locking::Read;
    let refused = browser.request().lock(&browser.world.services(), true);
    assert!(matches!(refused, Err(SessionError::ReadOnly)));
}

#[test]
fn locks_nest() {
    let browser = counting(Locking::Commit);
    let world = browser.world.clone();
    let mut session = browser.open();
    for _ in 0..3 {
        session.lock(&world.services(), false).unwrap();
    }
    assert_eq!([(); 3].map(|()| session.unlock()), [false, false, true]);
    // The end of a handler gives all back.
    session.lock(&world.services(), false).unwrap();
    session.lock(&world.services(), false).unwrap();
    session.release(&world.services());
    session.lock(&world.services(), false).unwrap();
    assert!(session.unlock());
}

#[test]
fn a_lock_reads_anew_and_keeps_what_was_changed() {
    let mut browser = counting(Locking::Commit);
    let (world, old) = (browser.world.clone(), browser.clone());
    let mut session = browser.open();
    session.set(&key("a"), b"mine").unwrap();
    session.set_timeout(60).unwrap();
    session.regenerate().unwrap();
    browser.clone().put("n", "2");
    session.lock(&world.services(), true).unwrap();
    let seen = ["a", "n"].map(|name| value(&session, name).unwrap());
    assert_eq!((seen, session.timeout().as_secs()), (["mine".into(), "2".into()], 60));
    browser.finish(&mut session, LAST).unwrap();
    assert_ne!(browser.id, old.id);
    assert_eq!(
        (browser.value("a").as_deref(), browser.value("n").as_deref()),
        (Some("mine"), Some("2"))
    );
}

#[test]
fn a_lock_that_fails_leaves_changes_as_they_were() {
    let mut browser = counting(Locking::Commit);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.set(&key("a"), b"mine").unwrap();
    world.store.fail_next(1);
    assert!(session.lock(&world.services(), true).is_err());
    assert_eq!(world.held(), 0);
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("a").as_deref(), Some("mine"));
}

#[test]
fn a_lock_on_what_was_deleted_meanwhile_fails_and_drops_what_was_changed() {
    for change in [false, true] {
        let mut browser = counting(Locking::Commit);
        let (world, known) = (browser.world.clone(), browser.key());
        let mut session = browser.open();
        if change {
            session.set(&key("a"), b"mine").unwrap();
        }
        browser.clone().visit(|session| session.delete().unwrap());
        assert!(matches!(session.lock(&world.services(), true), Err(SessionError::Gone)));
        assert!(session.is_new() && value(&session, "a").is_none() && !session.is_leased());
        let dropped = session.take_notices().contains(&Notice::ChangesDropped(known));
        assert_eq!((dropped, world.held()), (change, 0));
        browser.finish(&mut session, LAST).unwrap();
        assert!(world.store.is_empty());
    }
}

#[test]
fn a_lock_that_was_taken_over_is_taken_again() {
    let browser = counting(Locking::Commit);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.lock(&world.services(), false).unwrap();
    world.clock.advance(minutes(2));
    let mut other = browser.open();
    other.lock(&world.services(), false).unwrap();
    assert!(session.lock(&world.services(), false).is_err());
    assert!(session.take_notices().contains(&Notice::LeaseLost(browser.key())));
    other.release(&world.services());
    session.lock(&world.services(), false).unwrap();
    assert_eq!(world.held(), 1);
}

#[test]
fn a_lock_follows_the_session_to_its_new_id() {
    let mut browser = counting(Locking::Commit);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.lock(&world.services(), false).unwrap();
    session.regenerate().unwrap();
    browser.take(&session.save(&world.services()).unwrap());
    assert!(session.is_leased() && world.held() == 1);
    assert!(browser.request().lock(&world.services(), false).is_err());
}

#[test]
fn what_was_let_go_can_be_looked_at_and_is_taken_again_to_be_changed() {
    let browser = counting(Locking::Request);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    session.save(&world.services()).unwrap();
    session.let_go(&world.services());
    assert!(session.was_let_go() && !session.is_open() && world.held() == 0);
    browser.clone().put("a", "2");
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
    assert!(matches!(session.set(&key("a"), b"3"), Err(SessionError::ReadOnly)));
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((value(&session, "a").as_deref(), session.was_let_go()), (Some("2"), false));
}

#[test]
fn sums_of_parallel_requests_are_all_counted() {
    for (locking, lock) in [
        (Locking::Commit, false),
        (Locking::Off, false),
        (Locking::Commit, true),
        (Locking::Off, true),
    ] {
        let mut browser = counting(locking);
        // The server knows of places that take no lease.
        browser.rules.shared_writes = true;
        let world = browser.world.clone();
        let (mut first, mut second) = (browser.open(), browser.open());
        if lock {
            first.lock(&world.services(), false).unwrap();
        }
        assert_eq!(first.add(&world.services(), &key("n"), 10).unwrap(), 11);
        assert_eq!(second.add(&world.services(), &key("n"), 100).unwrap(), 111);
        first.set(&key("a"), b"mine").unwrap();
        browser.clone().finish(&mut second, LAST).unwrap();
        if locking == Locking::Commit {
            browser.finish(&mut first, LAST).unwrap();
            assert_eq!(browser.value("a").as_deref(), Some("mine"));
        }
        assert_eq!(browser.value("n").as_deref(), Some("111"), "{locking:?}");
    }
}

#[test]
fn what_the_request_set_itself_is_what_is_added_to() {
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = counting(locking);
        let world = browser.world.clone();
        browser.visit(|session| {
            session.set(&key("n"), b"5").unwrap();
            assert_eq!(session.add(&world.services(), &key("n"), 1).unwrap(), 6);
        });
        assert_eq!(browser.value("n").as_deref(), Some("6"), "{locking:?}");
    }
}

#[test]
fn a_sum_without_a_lease_is_a_visit_and_fills_a_session_kept_empty() {
    let mut browser = counting(Locking::Commit);
    let world = browser.world.clone();
    browser.visit(|session| assert!(session.unset(&key("n")).unwrap()));
    world.clock.advance(minutes(1));
    let mut session = browser.open();
    session.add(&world.services(), &key("n"), 1).unwrap();
    session.revert().unwrap();
    session.commit(&world.services(), super::world::BROKEN).unwrap();
    let record = browser.record().unwrap();
    assert_eq!(record.deadline.since(record.accessed), minutes(30));
    assert_eq!((browser.value("n").as_deref(), world.store.count(Verb::Touch)), (Some("1"), 0));
    // The request knows: its visit counts past the end that the empty session had.
    world.clock.advance(minutes(10));
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(world.store.count(Verb::Touch), 1);
}

#[test]
fn a_sum_finds_the_session_under_its_new_id_and_revives_nothing() {
    let mut browser = counting(Locking::Commit);
    let world = browser.world.clone();
    let mut moved = browser.open();
    browser.visit(|session| session.regenerate().unwrap());
    assert_eq!(moved.add(&world.services(), &key("n"), 1).unwrap(), 2);
    assert_eq!(browser.value("n").as_deref(), Some("2"));
    let (mut late, mut deleted) = (browser.open(), browser.open());
    world.clock.advance(minutes(33));
    let outcome = late.add(&world.services(), &key("n"), 1);
    assert!(matches!(outcome, Err(SessionError::Gone)) && late.is_new());
    world.store.forget_calls();
    use crate::core::store::Store;
    assert!(world.store.delete(&browser.key(), None).unwrap());
    let outcome = deleted.add(&world.services(), &key("n"), 1);
    assert!(matches!(outcome, Err(SessionError::Gone)));
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = counting(locking);
        let world = browser.world.clone();
        browser.put("text", "one");
        browser.put("most", &i64::MAX.to_string());
        browser.visit(|session| {
            let mut add = |name: &str, delta| session.add(&world.services(), &key(name), delta);
            assert!(matches!(add("text", 1), Err(SessionError::NotANumber)));
            assert!(matches!(add("most", 1), Err(SessionError::Overflow)));
            assert_eq!((add("none", -3).unwrap(), add("most", -1).unwrap()), (-3, i64::MAX - 1));
        });
        assert_eq!(browser.value("text").as_deref(), Some("one"));
    }
}
