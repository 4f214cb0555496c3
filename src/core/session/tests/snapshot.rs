use super::world::{LAST, World, key, minutes, value};
use crate::core::session::Access;
use crate::core::session::candidates::Reason;
use crate::core::session::record::Kind;

#[test]
fn taking_the_lease_after_a_look_reads_again() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.look();
    browser.put("a", "2");
    assert_eq!(value(&session, "a").as_deref(), Some("1"));
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!(value(&session, "a").as_deref(), Some("2"));
    assert!(session.is_leased() && !session.is_new());
}

#[test]
fn a_session_that_vanished_after_a_look_is_not_handed_over() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    let (mut session, old) = (browser.look(), browser.id.clone());
    browser.visit(|session| session.delete().unwrap());
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((session.user(), session.is_new()), (None, true));
    assert_eq!((session.reason(), session.is_leased()), (Reason::Unknown, false));
    session.set(&key("a"), b"1").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_ne!(browser.id, old);
}

#[test]
fn a_session_that_expired_after_a_look_says_so() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.look();
    world.clock.advance(minutes(31));
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((session.reason(), session.is_leased()), (Reason::Expired, false));
}

#[test]
fn a_session_whose_user_changed_after_a_look_is_not_handed_over() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.look();
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    session.open(&world.services(), Access::Write).unwrap();
    assert!(session.is_new() && !session.is_leased());
    assert_eq!((session.user(), value(&session, "a")), (None, None));
}

#[test]
fn a_record_whose_user_was_replaced_in_its_place_is_not_handed_over() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    let mut session = browser.look();
    let mut record = browser.record().unwrap();
    record.user = Some("bob".to_owned());
    let store: &dyn crate::core::store::Store = &world.store;
    store.update(&browser.key(), Default::default(), &record).unwrap();
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((session.user(), session.is_new(), world.held()), (None, true, 0));
}

#[test]
fn a_session_that_got_a_new_id_after_a_look_is_found_through_it() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let (mut session, old) = (browser.look(), browser.clone());
    browser.visit(|session| session.regenerate().unwrap());
    session.open(&world.services(), Access::Write).unwrap();
    assert!(session.is_leased() && session.regenerate().is_err());
    session.set(&key("a"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("a").as_deref(), Some("2"));
    assert!(matches!(old.record().unwrap().kind, Kind::Alias { .. }));
}

#[test]
fn reading_again_takes_everything_back_that_was_not_saved() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let id = browser.id.clone();
    browser.visit(|session| {
        session.set(&key("a"), b"2").unwrap();
        session.regenerate().unwrap();
        session.reload(&world.services()).unwrap();
        assert_eq!(value(session, "a").as_deref(), Some("1"));
    });
    browser.visit(|session| {
        session.invalidate().unwrap();
        session.reload(&world.services()).unwrap();
        assert!(!session.is_new());
    });
    assert_eq!((browser.value("a").as_deref(), &browser.id), (Some("1"), &id));
}

#[test]
fn reading_again_what_was_deleted_meanwhile_finds_nothing() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.look();
    browser.visit(|session| session.delete().unwrap());
    session.reload(&world.services()).unwrap();
    assert_eq!((session.is_new(), value(&session, "a")), (true, None));
}

#[test]
fn a_reload_that_fails_leaves_what_was_loaded() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.open();
    world.store.fail_next(1);
    assert!(session.reload(&world.services()).is_err());
    assert!(session.is_leased() && !session.is_new());
    session.set(&key("a"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("a").as_deref(), Some("2"));
}
