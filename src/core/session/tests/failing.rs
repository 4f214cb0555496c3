use super::world::{BROKEN, LAST, World, key, minutes, value};
use crate::core::session::candidates::Reason;
use crate::core::session::{Access, Notice, SessionError};
use crate::core::store::StoreError;
use crate::core::store::fake::Verb;

#[test]
fn by_default_a_failing_store_fails_the_request_and_a_later_open_tries_again() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    for access in [Access::Read, Access::Write] {
        let mut session = browser.request();
        world.store.fail_next(1);
        let failed = session.open(&world.services(), access).unwrap_err();
        assert!(failed.is_outage() && !session.rules().goes_on_without(&failed));
        assert!(!session.is_open() && !session.is_leased());
        session.open(&world.services(), access).unwrap();
        assert_eq!(value(&session, "a").as_deref(), Some("1"));
        session.release(&world.services());
    }
}

#[test]
fn where_a_failing_store_is_ignored_there_is_no_session_and_the_cookie_stays() {
    let world = World::new();
    let mut browser = world.browser(&["SessionStoreFailure ignore", "SessionIdRefresh on"]);
    browser.put("a", "1");
    world.store.fail_next(1);
    let mut session = browser.open();
    assert!(session.is_new() && session.is_open() && !session.is_leased());
    assert!(matches!(session.take_notices()[..], [Notice::StoreAbsent(_)]));
    assert!(matches!(session.set(&key("a"), b"2"), Err(SessionError::Absent)));
    assert!(matches!(session.reload(&world.services()), Err(SessionError::Absent)));
    assert!(matches!(session.save(&world.services()), Err(SessionError::Absent)));
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert_eq!(browser.value("a").as_deref(), Some("1"));
}

#[test]
fn where_a_failing_store_is_ignored_not_even_what_a_look_found_is_handed_over() {
    let world = World::new();
    let mut browser = world.browser(&["SessionStoreFailure ignore"]);
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    let mut session = browser.look();
    assert_eq!(session.user(), Some("ann"));
    world.store.fail_next(1);
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((session.user(), session.is_new()), (None, true));
}

#[test]
fn readonly_serves_what_was_loaded_and_refuses_writes() {
    let world = World::new();
    let mut browser = world.browser(&["SessionStoreFailure readonly"]);
    browser.put("a", "1");
    let mut session = browser.look();
    world.store.fail_next(1);
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
    assert!(session.is_read_only() && !session.is_leased());
    assert!(matches!(session.take_notices()[..], [Notice::StoreAbsent(_)]));
    assert!(matches!(session.set(&key("a"), b"2"), Err(SessionError::ReadOnly)));
}

#[test]
fn readonly_fails_a_request_that_has_loaded_nothing() {
    let world = World::new();
    let mut browser = world.browser(&["SessionStoreFailure readonly"]);
    browser.put("a", "1");
    world.store.fail_next(1);
    assert!(browser.request().open(&world.services(), Access::Write).is_err());
    assert_eq!(world.held(), 0);
}

#[test]
fn a_commit_that_fails_may_be_gone_on_without_except_by_default() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    for (policy, goes_on) in [("fail", false), ("readonly", true), ("ignore", true)] {
        let mut browser = browser.at(&[&format!("SessionStoreFailure {policy}")]);
        let mut session = browser.open();
        session.set(&key("a"), b"2").unwrap();
        world.store.fail_next(1);
        let failed = browser.finish(&mut session, LAST).unwrap_err();
        assert_eq!(session.rules().goes_on_without(&failed), goes_on, "{policy}");
    }
    assert_eq!((browser.value("a").as_deref(), world.held()), (Some("1"), 0));
}

#[test]
fn a_damaged_record_makes_a_new_session_and_is_told_once() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.store.corrupt(&browser.key());
    let mut session = browser.open();
    assert_eq!((session.reason(), session.is_leased()), (Reason::Corrupt, false));
    assert_eq!(session.take_notices(), [Notice::Corrupt(browser.key())]);
    let mut session = browser.open();
    assert_eq!((session.reason(), session.take_notices().len()), (Reason::Unknown, 0));
}

#[test]
fn a_damaged_record_is_an_error_where_it_is_to_be_kept_whatever_a_failing_store_is() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.store.corrupt(&browser.key());
    for policy in ["fail", "readonly", "ignore"] {
        let policy = format!("SessionStoreFailure {policy}");
        let browser = browser.at(&["SessionInvalidateCorrupt off", &policy]);
        let failed = browser.request().open(&world.services(), Access::Write).unwrap_err();
        assert!(matches!(failed, SessionError::Store(StoreError::Corrupt)));
        assert!(!failed.is_outage());
    }
    assert_eq!((world.store.count(Verb::Quarantine), world.held()), (0, 0));
}

#[test]
fn a_record_that_is_whole_again_when_it_is_to_be_moved_aside_is_found() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let (whole, key) = (browser.record().unwrap(), browser.key());
    world.store.corrupt(&key);
    let other = world.clone();
    world.store.before(Verb::Quarantine, move || {
        use crate::core::store::Store;
        other.store.quarantine(&key).unwrap();
        other.store.create(&key, &whole).unwrap();
    });
    let mut session = browser.open();
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
    assert!(session.take_notices().is_empty() && session.is_leased());
}

#[test]
fn a_record_of_a_newer_release_is_left_alone() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let newer = browser.key();
    *world.store.newer.lock().unwrap() = Some(newer);
    let mut session = browser.open();
    assert_eq!((session.reason(), session.is_leased()), (Reason::Unknown, false));
    assert_eq!(session.take_notices(), [Notice::Newer(9)]);
    // Its visitor comes again and again: that is told once a minute.
    assert_eq!(browser.clone().open().take_notices(), []);
    world.clock.advance(minutes(1));
    assert_eq!(browser.clone().open().take_notices(), [Notice::Newer(9)]);
    session.set(&key("a"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_ne!(browser.key(), newer);
    assert!(world.store.record(&newer).is_some());
}

#[test]
fn an_answer_that_fails_keeps_nothing_that_was_not_saved() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.open();
    session.set(&key("a"), b"saved").unwrap();
    session.save(&world.services()).unwrap();
    session.set(&key("a"), b"not saved").unwrap();
    session.set_user(Some("ann")).unwrap();
    session.regenerate().unwrap();
    let id = browser.id.clone();
    browser.finish(&mut session, BROKEN).unwrap();
    assert_eq!((browser.value("a").as_deref(), browser.look().user()), (Some("saved"), None));
    assert_eq!(browser.id, id);
}

#[test]
fn an_answer_that_fails_makes_no_session() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    assert_eq!(browser.finish(&mut session, BROKEN).unwrap(), None);
    assert!(world.store.is_empty());
}

#[test]
fn an_answer_that_fails_ends_what_was_ended_and_drops_what_was_set_after() {
    let world = World::new();
    for end in ["delete", "invalidate"] {
        let mut browser = world.browser(&[]);
        browser.put("a", "1");
        let mut session = browser.open();
        if end == "delete" {
            session.delete().unwrap()
        } else {
            session.invalidate().unwrap()
        }
        session.set(&key("a"), b"2").unwrap();
        browser.finish(&mut session, BROKEN).unwrap();
        assert!(browser.id.is_none() && world.store.is_empty(), "{end}");
    }
}

#[test]
fn an_answer_that_fails_keeps_all_where_that_is_wanted() {
    let world = World::new();
    let mut browser = world.browser(&["SessionSaveOnError on"]);
    browser.put("a", "1");
    let mut session = browser.open();
    session.set(&key("a"), b"2").unwrap();
    session.set_user(Some("ann")).unwrap();
    browser.finish(&mut session, BROKEN).unwrap();
    assert_eq!((browser.value("a").as_deref(), browser.look().user()), (Some("2"), Some("ann")));
}
