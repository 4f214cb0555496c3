use super::world::{Browser, LAST, MORE, World, key};
use crate::core::config::Locking;
use crate::core::session::candidates::Source;
use crate::core::session::{Session, SessionError};
use crate::core::store::fake::Verb;

fn with_a_value(lines: &[&str]) -> Browser {
    let mut browser = World::new().browser(lines);
    browser.put("a", "1");
    browser
}

#[test]
fn deleted_a_session_is_gone_with_its_cookie() {
    let mut browser = with_a_value(&[]);
    let cookie = browser.visit(|session| session.delete().unwrap()).unwrap();
    assert!(cookie.contains("Max-Age=0") && browser.id.is_none());
    assert!(browser.world.store.is_empty());
}

#[test]
fn deleted_and_set_it_is_another_session_under_the_same_id_without_a_cookie() {
    let mut browser = with_a_value(&[]);
    let (id, old) = (browser.id.clone(), browser.record().unwrap());
    browser.world.clock.advance(std::time::Duration::from_secs(1));
    let cookie = browser.visit(|session| {
        session.delete().unwrap();
        assert_eq!(session.get(&key("a")), None);
        session.set(&key("b"), b"2").unwrap();
    });
    assert_eq!((cookie, &browser.id), (None, &id));
    let new = browser.record().unwrap();
    assert_ne!(new.incarnation, old.incarnation);
    assert!(new.created > old.created && browser.value("a").is_none());
    assert_eq!(browser.world.store.len(), 1);
}

#[test]
fn invalidated_and_set_it_is_another_session_under_another_id() {
    let mut browser = with_a_value(&[]);
    let old = browser.clone();
    let cookie = browser.visit(|session| {
        session.invalidate().unwrap();
        session.set(&key("b"), b"2").unwrap();
    });
    assert!(cookie.is_some() && browser.id != old.id);
    assert_eq!((old.value("b"), browser.value("b").as_deref()), (None, Some("2")));
    assert_eq!(browser.world.store.len(), 1);
}

#[test]
fn of_several_ways_to_end_a_session_the_strictest_counts() {
    type End = fn(&mut Session) -> Result<(), SessionError>;
    let orders: [[End; 2]; 2] =
        [[Session::delete, Session::invalidate], [Session::invalidate, Session::delete]];
    for order in orders {
        let mut browser = with_a_value(&[]);
        let id = browser.id.clone();
        browser.visit(|session| {
            order.iter().for_each(|end| end(session).unwrap());
            session.set(&key("b"), b"2").unwrap();
        });
        assert_ne!(browser.id, id);
    }
}

#[test]
fn deleted_twice_with_values_in_between_it_is_gone() {
    let mut browser = with_a_value(&[]);
    browser.visit(|session| {
        session.delete().unwrap();
        session.set(&key("b"), b"2").unwrap();
        session.delete().unwrap();
    });
    assert!(browser.id.is_none() && browser.world.store.is_empty());
}

#[test]
fn made_again_and_deleted_by_another_request_it_leaves_the_cookie_alone() {
    let mut browser = with_a_value(&[]);
    browser.rules.locking = Locking::Commit;
    let world = browser.world.clone();
    let mut session = browser.open();
    session.delete().unwrap();
    session.set(&key("b"), b"2").unwrap();
    session.save(&world.services()).unwrap();
    browser.clone().visit(|session| session.delete().unwrap());
    session.set(&key("b"), b"3").unwrap();
    assert!(matches!(session.save(&world.services()), Err(SessionError::Gone)));
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
}

#[test]
fn saved_as_deleted_and_set_later_it_has_the_same_id_again() {
    let mut browser = with_a_value(&[]);
    let (id, world) = (browser.id.clone(), browser.world.clone());
    let mut session = browser.open();
    session.delete().unwrap();
    browser.take(&session.save(&world.services()).unwrap());
    assert!(browser.id.is_none() && world.store.is_empty());
    session.set(&key("b"), b"2").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!((&browser.id, browser.value("b").as_deref()), (&id, Some("2")));
}

#[test]
fn whoever_logs_in_after_a_deletion_gets_an_id_that_nobody_knew() {
    let mut browser = with_a_value(&[]);
    let planted = browser.clone();
    let mut session = browser.open();
    session.delete().unwrap();
    session.set_user(Some("ann")).unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_ne!(browser.id, planted.id);
    assert_eq!((planted.look().user(), browser.look().user()), (None, Some("ann")));
}

#[test]
fn emptied_under_a_lease_a_session_is_deleted_and_its_cookie_cleared() {
    let mut browser = with_a_value(&[]);
    let cookie = browser.visit(|session| assert!(session.unset(&key("a")).unwrap())).unwrap();
    assert!(cookie.contains("Max-Age=0"));
    assert!(browser.world.store.is_empty());
}

#[test]
fn logged_out_with_nothing_left_a_session_is_deleted() {
    let mut browser = World::new().browser(&[]);
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    browser.visit(|session| session.set_user(None).unwrap());
    assert!(browser.id.is_none() && browser.world.store.is_empty());
}

#[test]
fn emptied_without_a_lease_a_session_is_kept_for_a_while() {
    let mut browser = with_a_value(&[]);
    browser.rules.locking = Locking::Commit;
    assert_eq!(browser.visit(|session| assert!(session.unset(&key("a")).unwrap())), None);
    let record = browser.record().unwrap();
    assert_eq!(record.deadline.since(record.accessed).as_secs(), 300);
    browser.world.clock.advance(std::time::Duration::from_secs(299));
    browser.visit(|session| assert!(!session.is_new()));
    assert_eq!(browser.record().unwrap().accessed, record.accessed);
    browser.put("a", "2");
    let record = browser.record().unwrap();
    assert_eq!(record.deadline.since(record.accessed).as_secs(), 1800);
}

#[test]
fn where_others_write_without_a_lease_an_emptied_session_is_kept() {
    let mut browser = with_a_value(&[]);
    browser.rules.shared_writes = true;
    browser.visit(|session| assert!(session.unset(&key("a")).unwrap()));
    assert!(browser.id.is_some() && browser.record().unwrap().is_empty());
}

#[test]
fn a_session_kept_empty_does_not_live_longer_for_a_longer_timeout_of_its_own() {
    let mut browser = with_a_value(&[]);
    browser.rules.shared_writes = true;
    browser.visit(|session| assert!(session.unset(&key("a")).unwrap()));
    browser.rules.shared_writes = false;
    browser.visit(|session| session.set_timeout(86_400).unwrap());
    let record = browser.record().unwrap();
    assert_eq!(record.deadline.since(record.accessed).as_secs(), 300);
}

#[test]
fn found_by_a_header_a_session_ends_without_a_cookie_to_clear() {
    let ends: [fn(&mut Session); 3] = [
        |session| session.delete().unwrap(),
        |session| session.invalidate().unwrap(),
        |session| assert!(session.unset(&key("a")).unwrap()),
    ];
    for end in ends {
        let mut browser = with_a_value(&["SessionIdSource cookie header:X-Id"]);
        browser.source = Source::Header;
        assert_eq!(browser.visit(end), None);
        assert!(browser.world.store.is_empty());
    }
}

#[test]
fn found_by_a_header_and_deleted_it_is_made_again_under_the_same_id() {
    let mut browser = with_a_value(&["SessionIdSource cookie header:X-Id"]);
    browser.source = Source::Header;
    let mut session = browser.open();
    session.delete().unwrap();
    session.save(&browser.world.services()).unwrap();
    session.set(&key("b"), b"2").unwrap();
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert_eq!(browser.value("b").as_deref(), Some("2"));
}

#[test]
fn found_by_a_header_and_invalidated_the_new_session_has_a_cookie() {
    let mut browser = with_a_value(&["SessionIdSource cookie header:X-Id"]);
    browser.source = Source::Header;
    let cookie = browser.visit(|session| {
        session.invalidate().unwrap();
        session.set(&key("b"), b"2").unwrap();
    });
    assert!(cookie.is_some() && browser.value("b").is_some());
}

#[test]
fn a_session_made_and_ended_in_one_answer_leaves_nothing() {
    let mut browser = World::new().browser(&[]);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    browser.take(&session.commit(&world.services(), MORE).unwrap());
    session.delete().unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert!(browser.id.is_none() && world.store.is_empty() && world.held() == 0);
}

#[test]
fn a_cookie_is_cleared_by_a_later_commit_if_making_the_next_session_failed() {
    let mut browser = with_a_value(&[]);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.invalidate().unwrap();
    session.set(&key("b"), b"2").unwrap();
    let other = world.clone();
    world.store.before(Verb::Create, move || other.store.fail_next(1));
    assert!(session.commit(&world.services(), LAST).is_err());
    session.revert().unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert!(browser.id.is_none() && world.store.is_empty());
}
