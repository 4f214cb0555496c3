use super::world::{LAST, MORE, World, key, minutes, value};
use crate::core::session::{Access, SessionError};
use crate::core::store::fake::Verb;

#[test]
fn the_first_value_makes_the_session_and_its_cookie() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    let cookie = browser.put("a", "1").unwrap();
    assert!(cookie.starts_with("session_store=") && cookie.contains("; Path=/; HttpOnly"));
    let record = browser.record().unwrap();
    let now = crate::core::clock::Clock::now(&world.clock);
    assert_eq!((record.created, record.accessed), (now, now));
    assert_eq!(record.deadline, now.after(minutes(30)));
    assert_eq!(&*record.client, "192.0.2.1");
    assert_ne!(record.incarnation, 0);
}

#[test]
fn nothing_is_made_for_nothing() {
    let world = World::new();
    let mut browser = world.browser(&["SessionIdRefresh on"]);
    assert_eq!(browser.visit(|_| {}), None);
    let cookie = browser.visit(|session| {
        session.set(&key("a"), b"1").unwrap();
        session.unset(&key("a")).unwrap();
        session.set_timeout(60).unwrap();
        session.wire_id(&world.services()).unwrap();
    });
    assert_eq!(cookie, None);
    assert!(world.store.calls().is_empty());
}

#[test]
fn an_id_that_was_asked_for_is_the_one_the_session_gets() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    let mut told = String::new();
    browser.visit(|session| {
        told = session.wire_id(&world.services()).unwrap().to_string();
        session.set(&key("a"), b"1").unwrap();
    });
    assert_eq!(browser.id, Some(told));
}

#[test]
fn what_did_not_change_is_not_written() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.store.forget_calls();
    browser.visit(|_| {});
    browser.put("a", "1");
    browser.visit(|session| {
        session.set(&key("a"), b"2").unwrap();
        session.set(&key("a"), b"1").unwrap();
        assert!(!session.unset(&key("b")).unwrap());
        session.set_user(None).unwrap();
    });
    assert_eq!(world.store.calls().len(), world.store.count(Verb::Load));
}

#[test]
fn a_change_is_one_write_in_place() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.store.forget_calls();
    browser.put("a", "2");
    let verbs: Vec<Verb> = world.store.calls().into_iter().map(|(verb, _)| verb).collect();
    assert_eq!(verbs, [Verb::Load, Verb::Update]);
}

#[test]
fn a_second_commit_writes_what_differs_since_the_first() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.store.forget_calls();
    let mut session = browser.open();
    session.set(&key("a"), b"2").unwrap();
    session.commit(&world.services(), MORE).unwrap();
    session.commit(&world.services(), MORE).unwrap();
    assert_eq!(world.store.count(Verb::Update), 1);
    session.set(&key("b"), b"3").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(world.store.count(Verb::Update), 2);
    let values = ["a", "b"].map(|name| browser.value(name).unwrap());
    assert_eq!(values, ["2", "3"]);
}

#[test]
fn what_was_not_committed_is_dropped_when_the_session_is_let_go() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.open();
    session.set(&key("a"), b"2").unwrap();
    session.invalidate().unwrap();
    session.release(&world.services());
    assert_eq!(session.commit(&world.services(), LAST).unwrap(), None);
    assert_eq!(browser.value("a").as_deref(), Some("1"));
    assert!(matches!(session.save(&world.services()), Err(SessionError::ReadOnly)));
}

#[test]
fn revert_goes_back_to_the_last_commit() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let id = browser.id.clone();
    browser.visit(|session| {
        session.set(&key("a"), b"2").unwrap();
        session.save(&world.services()).unwrap();
        session.set(&key("a"), b"3").unwrap();
        session.set_user(Some("ann")).unwrap();
        session.set_timeout(60).unwrap();
        session.regenerate().unwrap();
        session.revert().unwrap();
        assert_eq!((value(session, "a").as_deref(), session.user()), (Some("2"), None));
    });
    assert_eq!((browser.value("a").as_deref(), &browser.id), (Some("2"), &id));
    assert_eq!(browser.record().unwrap().timeout, None);
}

#[test]
fn revert_brings_back_what_was_ended_with_its_id() {
    let world = World::new();
    let mut browser = world.browser(&["SessionIdRefresh on"]);
    browser.put("a", "1");
    let id = browser.id.clone();
    let cookie = browser.visit(|session| {
        session.set(&key("a"), b"2").unwrap();
        session.invalidate().unwrap();
        session.set(&key("b"), b"1").unwrap();
        session.delete().unwrap();
        assert!(session.is_new());
        session.revert().unwrap();
        assert!(!session.is_new());
        assert_eq!(Some(&*session.wire_id(&world.services()).unwrap()), id.as_deref());
    });
    assert!(cookie.unwrap().contains(id.as_deref().unwrap()));
    assert_eq!((browser.value("a").as_deref(), browser.value("b")), (Some("1"), None));
}

#[test]
fn an_invalid_argument_changes_nothing() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.visit(|session| {
        for user in ["", "a\nb", &"u".repeat(8193)] {
            assert!(matches!(session.set_user(Some(user)), Err(SessionError::BadArgument)));
        }
        assert!(matches!(session.set_timeout(0), Err(SessionError::BadArgument)));
        for outcome in [session.delete(), session.invalidate(), session.regenerate()] {
            assert!(matches!(outcome, Err(SessionError::NoSession)));
        }
    });
    assert!(world.store.is_empty());
}

#[test]
fn a_session_knows_when_it_was_made_and_last_visited() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    let start = crate::core::clock::Clock::now(&world.clock);
    browser.put("a", "1");
    world.clock.advance(minutes(10));
    let now = crate::core::clock::Clock::now(&world.clock);
    browser.visit(|session| {
        session.set(&key("a"), b"2").unwrap();
        session.save(&world.services()).unwrap();
        assert_eq!(session.created(&world.clock), start);
        assert_eq!(session.accessed(&world.clock), start);
        session.invalidate().unwrap();
        session.set(&key("a"), b"3").unwrap();
        assert_eq!((session.created(&world.clock), session.accessed(&world.clock)), (now, now));
    });
}

#[test]
fn a_session_opened_for_reading_commits_its_visit_only() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.clock.advance(minutes(5));
    let mut session = browser.request();
    session.open(&world.services(), Access::Read).unwrap();
    assert!(session.set(&key("a"), b"2").is_err());
    world.store.forget_calls();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(world.store.calls(), [(Verb::Touch, browser.key())]);
}
