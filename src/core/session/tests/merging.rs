//! Requests that do not have the session for themselves.

use super::world::{Browser, LAST, MORE, World, key};
use crate::core::config::Locking;
use crate::core::session::{Notice, Session, SessionError};
use crate::core::store::fake::Verb;

/// A browser without leases, whose session has `a` and `b`.
fn shared(locking: Locking) -> Browser {
    let mut browser = World::new().browser(&[]);
    browser.rules.locking = locking;
    browser.visit(|session| {
        session.set(&key("a"), b"1").unwrap();
        session.set(&key("b"), b"1").unwrap();
    });
    browser
}

fn values(browser: &Browser) -> [Option<String>; 3] {
    ["a", "b", "c"].map(|name| browser.value(name))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn set(session: &mut Session, name: &str, value: &str) {
    session.set(&key(name), value.as_bytes()).unwrap();
}

fn is_dropped(session: &mut Session) -> bool {
    session.take_notices().iter().any(|notice| matches!(notice, Notice::ChangesDropped(_)))
}

#[test]
fn nobody_waits_and_no_lease_is_taken() {
    for locking in [Locking::Commit, Locking::Off] {
        let mut browser = shared(locking);
        let (first, second) = (browser.open(), browser.open());
        assert!(!first.is_leased() && !second.is_leased());
        browser.put("a", "2");
        assert_eq!((browser.world.leases.statistics().leases, browser.world.held()), (0, 0));
    }
}

#[test]
fn different_keys_both_win_and_of_the_same_key_the_last() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    set(&mut session, "a", "mine");
    set(&mut session, "c", "mine");
    browser.clone().visit(|session| {
        set(session, "b", "theirs");
        set(session, "c", "theirs");
    });
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(values(&browser), [some("mine"), some("theirs"), some("mine")]);
}

#[test]
fn removed_keys_go_and_those_of_others_stay() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    session.unset(&key("a")).unwrap();
    browser.put("c", "theirs");
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(values(&browser), [None, some("1"), some("theirs")]);
}

#[test]
fn a_key_that_was_set_back_is_no_change() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    set(&mut session, "a", "2");
    set(&mut session, "a", "1");
    set(&mut session, "b", "mine");
    browser.put("a", "theirs");
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(values(&browser), [some("theirs"), some("mine"), None]);
}

#[test]
fn after_a_merge_the_request_sees_what_others_did() {
    let mut browser = shared(Locking::Commit);
    let world = browser.world.clone();
    let mut session = browser.open();
    set(&mut session, "a", "mine");
    browser.put("b", "theirs");
    session.save(&world.services()).unwrap();
    assert_eq!(session.get(&key("b")), Some(b"theirs".as_slice()));
    // And does not take it back with its next commit.
    browser.put("b", "theirs again");
    set(&mut session, "c", "mine");
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(values(&browser), [some("mine"), some("theirs again"), some("mine")]);
}

#[test]
fn with_locking_off_the_last_whole_record_wins() {
    let mut browser = shared(Locking::Off);
    let mut session = browser.open();
    set(&mut session, "a", "mine");
    browser.clone().visit(|session| {
        set(session, "b", "theirs");
        set(session, "c", "theirs");
    });
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(values(&browser), [some("mine"), some("1"), None]);
}

#[test]
fn the_last_item_of_one_request_does_not_take_the_first_of_another_with_it() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    session.unset(&key("a")).unwrap();
    session.unset(&key("b")).unwrap();
    browser.put("c", "theirs");
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert_eq!(values(&browser), [None, None, some("theirs")]);
    let record = browser.record().unwrap();
    assert_eq!(record.deadline.since(record.accessed).as_secs(), 1800);
}

#[test]
fn deleted_meanwhile_changes_are_dropped_and_nothing_is_revived() {
    for locking in [Locking::Commit, Locking::Off] {
        for recreate in [false, true] {
            let mut browser = shared(locking);
            let mut session = browser.open();
            set(&mut session, "a", "mine");
            browser.clone().visit(|session| {
                session.delete().unwrap();
                if recreate {
                    set(session, "c", "theirs");
                }
            });
            assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
            assert!(is_dropped(&mut session));
            assert_eq!(values(&browser), [None, None, recreate.then(|| "theirs".to_owned())]);
            assert_eq!(browser.world.store.len(), usize::from(recreate));
        }
    }
}

#[test]
fn an_explicit_save_of_what_was_deleted_says_so() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    set(&mut session, "a", "mine");
    browser.visit(|session| session.delete().unwrap());
    assert!(matches!(session.save(&browser.world.services()), Err(SessionError::Gone)));
    assert!(session.is_new() && session.get(&key("a")).is_none());
    session.save(&browser.world.services()).unwrap();
}

#[test]
fn deleted_by_two_and_made_again_by_one_the_new_one_stands() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    session.delete().unwrap();
    set(&mut session, "a", "mine");
    let mut other = browser.clone();
    other.visit(|session| {
        session.delete().unwrap();
        set(session, "c", "theirs");
    });
    assert_eq!(session.commit(&browser.world.services(), MORE).unwrap(), None);
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert!(is_dropped(&mut session));
    assert_eq!(values(&browser), [None, None, some("theirs")]);
}

#[test]
fn a_late_commit_under_the_old_id_goes_into_the_session_under_its_new_one() {
    for locking in [Locking::Commit, Locking::Off] {
        let mut browser = shared(locking);
        let (mut slow, mut session) = (browser.clone(), browser.open());
        set(&mut session, "a", "mine");
        (0..2).for_each(|_| drop(browser.visit(|session| session.regenerate().unwrap())));
        browser.world.clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(slow.finish(&mut session, LAST).unwrap(), None);
        assert_eq!(browser.value("a").as_deref(), Some("mine"), "{locking:?}");
        assert!(!is_dropped(&mut session));
    }
}

#[test]
fn a_late_commit_does_not_reach_the_session_of_another_user() {
    let mut browser = shared(Locking::Commit);
    let (mut slow, mut session) = (browser.clone(), browser.open());
    set(&mut session, "a", "mine");
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    slow.finish(&mut session, LAST).unwrap();
    assert!(is_dropped(&mut session));
    assert_eq!(browser.value("a").as_deref(), Some("1"));
}

#[test]
fn a_late_deletion_finds_the_session_under_its_new_id() {
    for end in [Session::delete, Session::invalidate] {
        let mut browser = shared(Locking::Commit);
        let (mut slow, mut session) = (browser.clone(), browser.open());
        end(&mut session).unwrap();
        browser.visit(|session| session.regenerate().unwrap());
        slow.finish(&mut session, LAST).unwrap();
        assert!(slow.id.is_none() && browser.look().is_new() && slow.look().is_new());
    }
}

#[test]
fn a_late_deletion_follows_many_new_ids() {
    let mut browser = shared(Locking::Commit);
    let (mut slow, mut session) = (browser.clone(), browser.open());
    session.invalidate().unwrap();
    for _ in 0..10 {
        browser.visit(|session| session.regenerate().unwrap());
    }
    slow.finish(&mut session, LAST).unwrap();
    assert!(slow.id.is_none() && browser.look().is_new());
}

#[test]
fn what_is_met_of_others_is_counted_be_it_a_value_or_a_timeout() {
    let mut browser = shared(Locking::Commit);
    let merged = |browser: &Browser| browser.world.leases.statistics().merged;
    let late = |browser: &mut Browser, value: &str, between: &dyn Fn(&mut Session)| {
        let (mut slow, mut session) = (browser.clone(), browser.open());
        set(&mut session, "a", value);
        browser.visit(between);
        slow.finish(&mut session, LAST).unwrap();
    };
    let theirs = |session: &mut Session| set(session, "c", "theirs");
    late(&mut browser, "2", &theirs);
    assert_eq!(merged(&browser), 1);
    late(&mut browser, "3", &|session| session.set_timeout(90).unwrap());
    assert_eq!(merged(&browser), 2);
    late(&mut browser, "4", &|_| {});
    assert_eq!(merged(&browser), 2);
}

#[test]
fn a_late_deletion_does_not_hit_what_took_the_place_of_the_session() {
    let mut browser = shared(Locking::Commit);
    let (mut slow, mut session) = (browser.clone(), browser.open());
    session.delete().unwrap();
    browser.visit(|session| {
        session.delete().unwrap();
        set(session, "c", "theirs");
    });
    slow.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("c").as_deref(), Some("theirs"));
}

#[test]
fn a_session_is_not_moved_away_from_under_its_deletion() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    session.delete().unwrap();
    let mut other = browser.clone();
    browser.world.store.before(Verb::Delete, move || {
        other.visit(|session| drop(session.regenerate()));
    });
    browser.finish(&mut session, LAST).unwrap();
    assert!(browser.world.store.is_empty());
}

#[test]
fn a_timeout_of_its_own_is_merged_as_well() {
    let mut browser = shared(Locking::Commit);
    let mut session = browser.open();
    session.set_timeout(60).unwrap();
    browser.put("a", "theirs");
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.record().unwrap().timeout, Some(60));
    let mut session = browser.open();
    set(&mut session, "b", "mine");
    browser.visit(|session| session.set_timeout(90).unwrap());
    browser.finish(&mut session, LAST).unwrap();
    let record = browser.record().unwrap();
    assert_eq!((record.timeout, record.deadline.since(record.accessed).as_secs()), (Some(90), 90));
}
