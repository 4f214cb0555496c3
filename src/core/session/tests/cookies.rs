use std::time::Duration;

use super::world::{Browser, LAST, World, key, minutes};
use crate::core::config::Locking;
use crate::core::session::candidates::Source;
use crate::core::session::wire::Secrets;
use crate::core::store::fake::Verb;

fn with_a_value(lines: &[&str]) -> Browser {
    let mut browser = World::new().browser(lines);
    browser.put("a", "1");
    browser
}

#[test]
fn a_known_cookie_is_not_sent_again_without_a_reason() {
    let mut browser = with_a_value(&[]);
    browser.world.clock.advance(minutes(10));
    assert_eq!(browser.put("a", "2"), None);
    assert_eq!(browser.visit(|_| {}), None);
}

#[test]
fn where_it_is_refreshed_every_answer_sends_it_readers_too() {
    let mut browser = with_a_value(&["SessionIdRefresh on"]);
    let id = browser.id.clone().unwrap();
    assert!(browser.visit(|_| {}).unwrap().contains(&id));
    assert!(browser.put("a", "2").unwrap().contains(&id));
    let mut look = browser.look();
    assert!(browser.finish(&mut look, LAST).unwrap().unwrap().contains(&id));
}

#[test]
fn a_cookie_that_lives_as_long_as_the_session_is_sent_when_the_visit_is_recorded() {
    let mut browser = with_a_value(&["SessionIdMaxAge timeout"]);
    browser.world.clock.advance(Duration::from_secs(59));
    assert_eq!(browser.visit(|_| {}), None);
    browser.world.clock.advance(Duration::from_secs(1));
    assert!(browser.visit(|_| {}).unwrap().contains("; Max-Age=1800"));
    assert_eq!(browser.visit(|_| {}), None);
    assert!(browser.put("a", "2").unwrap().contains("; Max-Age=1800"));
    let own = browser.visit(|session| session.set_timeout(60).unwrap());
    assert!(own.unwrap().contains("; Max-Age=60"));
}

#[test]
fn an_id_signed_by_an_older_secret_is_signed_again() {
    let old = Secrets::new(&["old old old old!"]);
    let world = World::signing(Secrets::new(&["new new new new!", "old old old old!"]));
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let fresh = browser.id.clone().unwrap();
    let crate::core::session::wire::Parsed::Id { id, .. } = world.secrets.parse(fresh.as_bytes())
    else {
        panic!()
    };
    browser.id = Some(old.wire(&id).to_string());
    let through = browser.clone();
    assert!(browser.visit(|_| {}).unwrap().contains(&fresh));
    assert_eq!(browser.visit(|_| {}), None);
    // Once the session has another id nobody signs the old one again.
    browser.visit(|session| session.regenerate().unwrap());
    assert_eq!(through.clone().visit(|_| {}), None);
    assert_eq!(through.value("a").as_deref(), Some("1"));
}

#[test]
fn a_slow_answer_does_not_put_an_old_id_over_a_newer_one() {
    let lines = ["SessionIdRefresh on", "SessionIdMaxAge timeout", "SessionTouchInterval 0"];
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = with_a_value(&lines);
        browser.rules.locking = locking;
        let (mut slow, mut look) = (browser.clone(), browser.look());
        browser.visit(|session| session.regenerate().unwrap());
        assert_eq!(slow.finish(&mut look, LAST).unwrap(), None, "{locking:?}");
    }
}

#[test]
fn a_slow_answer_does_not_send_the_id_of_a_session_that_is_gone() {
    let mut browser = with_a_value(&["SessionIdRefresh on"]);
    let (mut slow, mut look) = (browser.clone(), browser.look());
    browser.visit(|session| session.delete().unwrap());
    assert_eq!(slow.finish(&mut look, LAST).unwrap(), None);
}

#[test]
fn a_cookie_that_cannot_be_made_sure_of_fails_no_answer() {
    let mut browser = with_a_value(&["SessionIdRefresh on"]);
    let world = browser.world.clone();
    let mut look = browser.look();
    world.store.before(Verb::Load, {
        let world = world.clone();
        move || world.store.fail_next(1)
    });
    assert_eq!(browser.finish(&mut look, LAST).unwrap(), None);
}

#[test]
fn an_id_by_header_or_query_is_never_made_a_cookie() {
    let lines = [
        "SessionIdSource cookie header:X-Id query:sid",
        "SessionIdRefresh on",
        "SessionTouchInterval 0",
    ];
    let mut browser = with_a_value(&lines);
    for source in [Source::Header, Source::Query] {
        browser.source = source;
        assert_eq!(browser.put("a", &format!("{source:?}")), None);
        assert_eq!(browser.visit(|_| {}), None);
    }
}

#[test]
fn without_cookies_a_session_is_told_by_its_id_only() {
    let mut browser = World::new().browser(&["SessionIdSource header:X-Id", "SessionIdRefresh on"]);
    browser.source = Source::Header;
    let world = browser.world.clone();
    let mut told = String::new();
    let cookie = browser.visit(|session| {
        session.set(&key("a"), b"1").unwrap();
        told = session.wire_id(&world.services()).unwrap().to_string();
    });
    browser.id = Some(told);
    assert_eq!((cookie, browser.value("a").as_deref()), (None, Some("1")));
    assert_eq!(browser.visit(|session| session.delete().unwrap()), None);
}

#[test]
fn a_miss_never_clears_the_cookie() {
    let mut browser = with_a_value(&["SessionIdRefresh on"]);
    let id = browser.id.clone();
    browser.world.clock.advance(minutes(31));
    for id in [id, Some("A".repeat(43)), Some("junk".to_owned())] {
        browser.id = id;
        assert_eq!(browser.visit(|_| {}), None);
        assert_eq!(browser.visit(|session| drop(session.delete())), None);
    }
}

#[test]
fn a_session_deleted_by_another_request_leaves_the_cookie_alone() {
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = with_a_value(&["SessionIdRefresh on"]);
        browser.rules.locking = locking;
        let mut session = browser.look();
        browser.clone().visit(|session| session.delete().unwrap());
        session.open(&browser.world.services(), crate::core::session::Access::Write).unwrap();
        if locking == Locking::Commit {
            session.set(&key("a"), b"2").unwrap();
        }
        assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
        assert!(browser.world.store.is_empty());
    }
}
