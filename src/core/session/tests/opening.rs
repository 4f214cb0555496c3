use std::time::Duration;

use super::world::{Browser, World, key, minutes, rules};
use crate::core::session::candidates::{Candidates, Reason, Source};
use crate::core::session::wire::Secrets;
use crate::core::session::{Access, Session};
use crate::core::store::fake::Verb;

#[test]
fn without_an_id_nothing_is_read_or_leased() {
    let world = World::new();
    let session = world.browser(&[]).open();
    assert!(session.is_new() && !session.exists() && !session.is_leased());
    assert_eq!(session.reason(), Reason::None);
    assert!(world.store.calls().is_empty());
}

#[test]
fn a_session_is_found_again_by_its_cookie() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let session = browser.open();
    assert!(!session.is_new() && session.is_leased() && session.exists());
    assert_eq!(session.get(&key("A")), Some(b"1".as_slice()));
    assert_eq!(session.reason(), Reason::None);
}

#[test]
fn an_unknown_id_is_never_adopted() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.id = Some("A".repeat(43));
    let planted = browser.key();
    let mut session = browser.open();
    assert_eq!((session.reason(), session.is_leased()), (Reason::Unknown, false));
    session.set(&key("a"), b"1").unwrap();
    browser.finish(&mut session, super::world::LAST).unwrap();
    assert_ne!(browser.key(), planted);
    assert!(world.store.record(&planted).is_none());
    assert!(browser.record().is_some());
}

#[test]
fn a_session_of_another_scope_is_unknown() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    browser.rules.scope = "other".into();
    assert_eq!(browser.open().reason(), Reason::Unknown);
}

#[test]
fn a_session_is_over_after_its_idle_time_and_not_before() {
    let world = World::new();
    let mut browser = world.browser(&["SessionTimeout 10m"]);
    browser.put("a", "1");
    world.clock.advance(minutes(10));
    assert_eq!(browser.value("a").as_deref(), Some("1"));
    world.clock.advance(Duration::from_micros(1));
    let session = browser.open();
    assert!(session.is_new());
    assert_eq!((session.reason(), session.is_leased()), (Reason::Expired, false));
}

#[test]
fn a_session_is_over_at_its_age_however_much_it_is_used() {
    let world = World::new();
    let mut browser = world.browser(&["SessionMaxLifetime 1h"]);
    browser.put("a", "1");
    for _ in 0..3 {
        world.clock.advance(minutes(20));
        assert!(browser.value("a").is_some());
        browser.visit(|_| {});
    }
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(browser.open().reason(), Reason::Expired);
    assert!(browser.at(&["SessionMaxLifetime 2h"]).value("a").is_some());
}

#[test]
fn a_timeout_of_its_own_wins_over_that_of_the_place() {
    let world = World::new();
    let mut browser = world.browser(&["SessionTimeout 10m"]);
    browser.put("a", "1");
    browser.visit(|session| session.set_timeout(3600).unwrap());
    world.clock.advance(minutes(60));
    assert_eq!(browser.look().timeout(), minutes(60));
    world.clock.advance(minutes(1));
    assert_eq!(browser.look().reason(), Reason::Expired);
}

#[test]
fn a_place_with_a_longer_timeout_does_not_find_what_is_over() {
    let world = World::new();
    let mut browser = world.browser(&["SessionTimeout 5m"]);
    browser.put("a", "1");
    world.clock.advance(minutes(6));
    assert_eq!(browser.at(&["SessionTimeout 60m"]).open().reason(), Reason::Expired);
}

#[test]
fn a_place_with_a_shorter_timeout_asks_for_a_later_visit() {
    let world = World::new();
    let mut browser = world.browser(&["SessionTimeout 60m"]);
    browser.put("a", "1");
    world.clock.advance(minutes(6));
    assert_eq!(browser.at(&["SessionTimeout 5m"]).open().reason(), Reason::Expired);
    assert!(browser.value("a").is_some());
}

#[test]
fn what_is_no_id_is_not_looked_for() {
    let world = World::signing(Secrets::new(&["0123456789abcdef"]));
    let mut browser = world.browser(&[]);
    for (text, reason) in
        [("junk".to_owned(), Reason::Malformed), ("A".repeat(43), Reason::BadSignature)]
    {
        browser.id = Some(text);
        let session = browser.open();
        assert_eq!((session.reason(), session.exists()), (reason, false));
    }
    assert!(world.store.calls().is_empty());
}

#[test]
fn a_signed_id_is_found_again() {
    let world = World::signing(Secrets::new(&["0123456789abcdef"]));
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    assert!(browser.id.as_ref().unwrap().contains('.'));
    assert_eq!(browser.value("a").as_deref(), Some("1"));
}

#[test]
fn an_id_may_come_by_header_or_query() {
    let world = World::new();
    let mut browser = world.browser(&["SessionIdSource cookie header:X-Id query:sid"]);
    browser.put("a", "1");
    for source in [Source::Header, Source::Query] {
        browser.source = source;
        assert_eq!(browser.value("a").as_deref(), Some("1"));
    }
}

/// A request with several ids.
fn with_ids(of: &[&Browser]) -> Session {
    let mut candidates = Candidates::default();
    for browser in of {
        let text = browser.id.as_deref().unwrap();
        candidates.add(&browser.world.secrets, Source::Cookie, text.as_bytes());
    }
    Session::new(
        rules(&[]),
        candidates,
        crate::core::session::record::Client::from("192.0.2.1").unwrap(),
    )
}

#[test]
fn the_first_known_of_three_ids_wins_and_only_it_is_leased() {
    let world = World::new();
    let [mut first, mut second, mut third] = [(); 3].map(|()| world.browser(&[]));
    first.id = Some("A".repeat(43));
    second.put("a", "2");
    third.put("a", "3");
    let mut session = with_ids(&[&first, &second, &third]);
    let before = world.leases.statistics().leases;
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!(session.get(&key("a")), Some(b"2".as_slice()));
    assert_eq!(world.leases.statistics().leases, before + 1);
    assert_eq!(world.held(), 1);
}

#[test]
fn a_fourth_id_is_not_looked_for() {
    let world = World::new();
    let mut known = world.browser(&[]);
    known.put("a", "1");
    let mut others = [(); 3].map(|()| world.browser(&[]));
    for (other, letter) in others.iter_mut().zip(["A", "I", "Q"]) {
        other.id = Some(letter.repeat(42) + "A");
    }
    let [first, second, third] = &others;
    world.store.forget_calls();
    let mut session = with_ids(&[first, second, third, &known]);
    session.open(&world.services(), Access::Write).unwrap();
    assert_eq!((session.is_new(), session.reason()), (true, Reason::Unknown));
    assert_eq!((world.store.count(Verb::Load), world.held()), (3, 0));
}

#[test]
fn opening_again_reads_nothing() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    world.store.forget_calls();
    let mut session = browser.look();
    session.open(&world.services(), Access::Read).unwrap();
    assert_eq!(world.store.count(Verb::Load), 1);
    session.open(&world.services(), Access::Write).unwrap();
    session.open(&world.services(), Access::Write).unwrap();
    session.open(&world.services(), Access::Read).unwrap();
    assert_eq!(world.store.count(Verb::Load), 2);
    assert!(!session.is_read_only());
}

#[test]
fn where_sessions_are_only_read_writing_is_refused() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.at(&["SessionLocking read"]).open();
    assert!(session.is_read_only() && !session.is_leased());
    assert!(session.set(&key("a"), b"2").is_err());
    assert!(session.delete().is_err() && session.revert().is_err());
    assert_eq!(session.get(&key("a")), Some(b"1".as_slice()));
}
