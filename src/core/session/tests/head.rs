//! What becomes of changes made when the head of the answer has left: no cookie can say an id any
//! more.

use super::world::{Browser, LAST, MORE, World, key};
use crate::core::session::candidates::Source;
use crate::core::session::{Session, SessionError};

fn with_a_value(lines: &[&str]) -> Browser {
    let mut browser = World::new().browser(lines);
    browser.put("a", "1");
    browser
}

/// A session whose answer's head has left, after a commit.
fn headless(browser: &mut Browser) -> Session {
    let mut session = browser.open();
    browser.take(&session.commit(&browser.world.services(), MORE).unwrap());
    session.head_is_sent();
    session
}

fn is_late<T>(outcome: Result<T, SessionError>) -> bool {
    matches!(outcome, Err(SessionError::HeadSent))
}

#[test]
fn no_session_is_made_any_more() {
    let mut browser = World::new().browser(&[]);
    let mut session = headless(&mut browser);
    assert!(is_late(session.set(&key("a"), b"1")));
    assert!(is_late(session.set_user(Some("ann"))));
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert!(browser.world.store.is_empty());
}

#[test]
fn what_was_set_before_and_not_committed_makes_no_orphan() {
    let mut browser = World::new().browser(&[]);
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    session.head_is_sent();
    assert!(is_late(browser.finish(&mut session, LAST)));
    assert!(browser.world.store.is_empty() && browser.world.held() == 0);
}

#[test]
fn values_of_a_session_that_is_known_are_kept() {
    let mut browser = with_a_value(&["SessionIdRefresh on"]);
    let mut session = headless(&mut browser);
    session.set(&key("a"), b"2").unwrap();
    session.set(&key("b"), b"3").unwrap();
    session.save(&browser.world.services()).unwrap();
    // Nothing is looked up for a cookie that cannot be sent.
    browser.world.store.forget_calls();
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert!(browser.world.store.calls().is_empty());
    assert_eq!(browser.value("a").as_deref(), Some("2"));
}

#[test]
fn values_of_a_session_whose_cookie_left_with_the_head_are_kept() {
    let mut browser = World::new().browser(&[]);
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    browser.take(&session.commit(&browser.world.services(), MORE).unwrap());
    session.head_is_sent();
    session.set(&key("b"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("b").as_deref(), Some("2"));
    assert_eq!(browser.world.store.len(), 1);
}

#[test]
fn neither_id_nor_user_changes_any_more() {
    let mut browser = with_a_value(&[]);
    let id = browser.id.clone();
    let mut session = headless(&mut browser);
    assert!(is_late(session.regenerate()) && is_late(session.set_user(Some("ann"))));
    session.set(&key("b"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!((&browser.id, browser.value("b").as_deref()), (&id, Some("2")));
    assert_eq!((browser.look().user(), browser.world.store.len()), (None, 1));
}

#[test]
fn a_new_id_that_was_wanted_too_late_is_refused_and_values_are_kept() {
    let mut browser = with_a_value(&[]);
    let id = browser.id.clone();
    let mut session = browser.open();
    session.set(&key("b"), b"2").unwrap();
    session.regenerate().unwrap();
    session.head_is_sent();
    assert!(is_late(browser.finish(&mut session, LAST)));
    assert_eq!((&browser.id, browser.value("b").as_deref()), (&id, Some("2")));
    assert_eq!(browser.world.store.len(), 1);
}

#[test]
fn a_login_too_late_is_refused_with_what_was_set_for_it() {
    let mut browser = with_a_value(&[]);
    let mut session = browser.open();
    session.set_user(Some("ann")).unwrap();
    session.set(&key("b"), b"2").unwrap();
    session.head_is_sent();
    assert!(is_late(browser.finish(&mut session, LAST)));
    assert_eq!((browser.look().user(), browser.value("b")), (None, None));
    assert_eq!((browser.value("a").as_deref(), browser.world.store.len()), (Some("1"), 1));
}

#[test]
fn deletion_still_deletes_the_record() {
    for end in [Session::delete, Session::invalidate] {
        let mut browser = with_a_value(&[]);
        let mut session = headless(&mut browser);
        end(&mut session).unwrap();
        assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
        assert!(browser.world.store.is_empty() && browser.id.is_some());
    }
}

#[test]
fn deleted_and_set_again_a_session_has_its_id_which_the_client_still_has() {
    for save_between in [false, true] {
        let mut browser = with_a_value(&[]);
        let world = browser.world.clone();
        let mut session = headless(&mut browser);
        session.delete().unwrap();
        if save_between {
            assert_eq!(session.save(&world.services()).unwrap(), None);
        }
        session.set(&key("b"), b"2").unwrap();
        assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
        assert_eq!((browser.value("b").as_deref(), browser.value("a")), (Some("2"), None));
        assert_eq!(world.store.len(), 1);
    }
}

#[test]
fn invalidated_nothing_can_be_set_any_more() {
    let mut browser = with_a_value(&[]);
    let mut session = headless(&mut browser);
    session.invalidate().unwrap();
    assert!(is_late(session.set(&key("b"), b"2")));
    browser.finish(&mut session, LAST).unwrap();
    assert!(browser.world.store.is_empty());
}

#[test]
fn deleted_before_and_logged_in_nothing_is_made_after() {
    let mut browser = with_a_value(&[]);
    let mut session = browser.open();
    session.delete().unwrap();
    session.set_user(Some("ann")).unwrap();
    session.head_is_sent();
    assert!(is_late(browser.finish(&mut session, LAST)));
    assert!(browser.world.store.is_empty());
}

#[test]
fn once_the_cookie_was_cleared_nothing_can_be_set_any_more() {
    let mut browser = with_a_value(&[]);
    let mut session = browser.open();
    session.delete().unwrap();
    browser.take(&session.commit(&browser.world.services(), MORE).unwrap());
    session.head_is_sent();
    assert!(browser.id.is_none());
    assert!(is_late(session.set(&key("b"), b"2")));
    browser.finish(&mut session, LAST).unwrap();
    assert!(browser.world.store.is_empty());
}

#[test]
fn emptied_the_record_goes_and_the_cookie_stays() {
    let mut browser = with_a_value(&[]);
    let mut session = headless(&mut browser);
    session.unset(&key("a")).unwrap();
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert!(browser.world.store.is_empty() && browser.id.is_some());
}

#[test]
fn found_by_a_header_a_session_needs_no_cookie_to_be_made_again() {
    let mut browser = with_a_value(&["SessionIdSource cookie header:X-Id"]);
    browser.source = Source::Header;
    let mut session = headless(&mut browser);
    session.delete().unwrap();
    session.set(&key("b"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(browser.value("b").as_deref(), Some("2"));
}
