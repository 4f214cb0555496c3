use std::time::Duration;

use super::world::{Browser, LAST, World, key};
use crate::core::config::Locking;
use crate::core::session::candidates::Reason;
use crate::core::session::record::Kind;
use crate::core::session::{Access, Notice, SessionError};

/// A browser whose session got `count` new ids, and copies of it with the id before each.
fn renewed(lines: &[&str], count: usize) -> (Browser, Vec<Browser>) {
    let mut browser = World::new().browser(lines);
    browser.put("a", "1");
    let before = (0..count).map(|_| {
        let old = browser.clone();
        browser.visit(|session| session.regenerate().unwrap());
        assert_ne!(old.id, browser.id);
        old
    });
    let before = before.collect();
    (browser, before)
}

#[test]
fn an_old_id_finds_the_session_for_the_time_of_grace() {
    let (mut browser, old) = renewed(&["SessionRegenerateGrace 10s"], 1);
    assert_eq!(old[0].value("a").as_deref(), Some("1"));
    browser.put("a", "2");
    browser.world.clock.advance(Duration::from_secs(10));
    assert_eq!(old[0].value("a").as_deref(), Some("2"));
    browser.world.clock.advance(Duration::from_micros(1));
    assert_eq!(old[0].open().reason(), Reason::Expired);
    assert_eq!(browser.value("a").as_deref(), Some("2"));
}

#[test]
fn an_old_id_that_comes_too_late_is_counted_and_told() {
    let (browser, old) = renewed(&["SessionRegenerateGrace 10s"], 1);
    let refused = || browser.world.leases.statistics().old_ids;
    assert!(old[0].look().take_notices().is_empty());
    assert_eq!(refused(), 0);
    browser.world.clock.advance(Duration::from_secs(11));
    for count in 1..=2 {
        assert_eq!(old[0].look().take_notices(), [Notice::OldId(old[0].key())]);
        assert_eq!(refused(), count);
    }
    assert!(browser.look().take_notices().is_empty());
    assert_eq!(refused(), 2);
    // Asked for by somebody else it was refused to nobody.
    let old_id = old[0].id.clone().unwrap();
    let found = browser.open().peek(&browser.world.services(), old_id.as_bytes()).unwrap();
    assert!(found.is_none());
    assert_eq!(refused(), 2);
}

#[test]
fn a_session_that_got_a_new_id_while_a_request_looked_at_it_counts_as_no_old_id() {
    let (mut browser, _) = renewed(&["SessionRegenerateGrace 10s"], 0);
    let (slow, world) = (browser.clone(), browser.world.clone());
    let mut session = slow.look();
    browser.visit(|session| session.regenerate().unwrap());
    world.clock.advance(Duration::from_secs(11));
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((session.is_new(), session.take_notices().len()), (true, 0));
    assert_eq!(world.leases.statistics().old_ids, 0);
}

#[test]
fn two_aliases_are_followed_and_a_third_is_not() {
    let (browser, old) = renewed(&[], 3);
    assert!(old[2].value("a").is_some() && old[1].value("a").is_some());
    let session = old[0].open();
    assert_eq!((session.reason(), session.is_leased()), (Reason::Unknown, false));
    assert!(browser.value("a").is_some());
}

#[test]
fn through_an_alias_the_lease_is_that_of_the_session() {
    let (browser, old) = renewed(&[], 1);
    let mut through = old[0].open();
    assert_eq!(browser.world.held(), 1);
    let refused = browser.request().open(&browser.world.services(), Access::Write).unwrap_err();
    assert!(matches!(refused, SessionError::Lease(_)));
    through.release(&browser.world.services());
    browser.open();
}

#[test]
fn through_an_alias_values_are_written_and_no_cookie_is_sent() {
    let (browser, mut old) =
        renewed(&["SessionIdRefresh on", "SessionIdMaxAge timeout", "SessionTouchInterval 0"], 1);
    assert_eq!(old[0].put("a", "2"), None);
    assert_eq!(browser.value("a").as_deref(), Some("2"));
    assert_eq!(old[0].visit(|_| {}), None);
}

#[test]
fn through_an_alias_neither_id_nor_user_changes() {
    let (browser, mut old) = renewed(&[], 1);
    old[0].visit(|session| {
        assert!(matches!(session.regenerate(), Err(SessionError::ThroughAlias)));
        assert!(matches!(session.set_user(Some("eve")), Err(SessionError::ThroughAlias)));
        assert!(session.set_user(None).is_ok());
        session.set(&key("b"), b"1").unwrap();
    });
    assert_eq!((browser.look().user(), browser.value("b").as_deref()), (None, Some("1")));
}

#[test]
fn a_visit_through_an_alias_is_recorded_with_the_session() {
    let (browser, mut old) = renewed(&["SessionRegenerateGrace 10m"], 1);
    browser.world.clock.advance(Duration::from_secs(300));
    old[0].visit(|_| {});
    let now = crate::core::clock::Clock::now(&browser.world.clock);
    assert_eq!(browser.record().unwrap().accessed, now);
    assert!(old[0].record().unwrap().accessed < now);
}

#[test]
fn deleted_through_an_alias_the_session_is_gone_and_both_ids_are_dead() {
    let (browser, mut old) = renewed(&[], 1);
    let copy = old[0].clone();
    old[0].visit(|session| session.delete().unwrap());
    assert!(old[0].id.is_none());
    assert!(browser.value("a").is_none() && copy.value("a").is_none());
}

#[test]
fn what_is_set_after_a_deletion_through_an_alias_gets_an_id_of_its_own() {
    let (browser, mut old) = renewed(&[], 1);
    let (before, world) = (old[0].id.clone(), &browser.world);
    let mut session = old[0].open();
    session.delete().unwrap();
    session.set(&key("a"), b"2").unwrap();
    old[0].finish(&mut session, LAST).unwrap();
    assert!(old[0].id != before && old[0].id != browser.id);
    assert_eq!((old[0].value("a").as_deref(), browser.value("a")), (Some("2"), None));
    assert_eq!(world.held(), 0);
}

#[test]
fn emptied_through_an_alias_the_session_ends_like_a_deleted_one() {
    let (browser, mut old) = renewed(&[], 1);
    let cookie = old[0].visit(|session| assert!(session.unset(&key("a")).unwrap()));
    assert!(cookie.is_some() && old[0].id.is_none() && browser.record().is_none());
}

#[test]
fn what_is_set_after_it_was_emptied_through_an_alias_gets_an_id_of_its_own() {
    let (browser, mut old) = renewed(&[], 1);
    let before = old[0].id.clone();
    let mut session = old[0].open();
    session.unset(&key("a")).unwrap();
    old[0].take(&session.save(&browser.world.services()).unwrap());
    session.set(&key("a"), b"2").unwrap();
    old[0].finish(&mut session, LAST).unwrap();
    assert!(old[0].id.is_some() && old[0].id != before);
    assert_eq!(old[0].value("a").as_deref(), Some("2"));
}

#[test]
fn a_request_that_merged_through_an_alias_is_one_that_came_by_it() {
    let (mut browser, _) = renewed(&["SessionIdRefresh on"], 0);
    let (mut slow, world) = (browser.clone(), browser.world.clone());
    slow.rules.locking = Locking::Commit;
    let mut session = slow.open();
    session.set(&key("b"), b"1").unwrap();
    browser.visit(|session| session.regenerate().unwrap());
    assert_eq!(session.save(&world.services()).unwrap(), None);
    assert!(matches!(session.set_user(Some("eve")), Err(SessionError::ThroughAlias)));
    assert!(matches!(session.regenerate(), Err(SessionError::ThroughAlias)));
    assert_eq!(slow.finish(&mut session, LAST).unwrap(), None);
    assert_eq!(browser.value("b").as_deref(), Some("1"));
}

#[test]
fn an_alias_leads_to_the_session_it_was_made_for_and_to_no_later_one_of_its_id() {
    let (mut browser, old) = renewed(&[], 1);
    let id = browser.id.clone();
    browser.visit(|session| {
        session.delete().unwrap();
        session.set(&key("a"), b"secret").unwrap();
    });
    assert_eq!(browser.id, id);
    assert_eq!(old[0].value("a"), None);
}

#[test]
fn an_alias_that_leads_nowhere_is_unknown() {
    let (mut browser, old) = renewed(&[], 1);
    browser.visit(|session| session.delete().unwrap());
    assert!(matches!(old[0].record().unwrap().kind, Kind::Alias { .. }));
    assert_eq!((old[0].open().reason(), browser.world.held()), (Reason::Unknown, 0));
}
