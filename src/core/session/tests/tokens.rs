//! Form tokens, and looks at other sessions.

use super::world::{BROKEN, Browser, LAST, World, key};
use crate::core::config::Locking;
use crate::core::session::SessionError;
use crate::core::session::candidates::Source;

/// A visitor with a session and `count` open tokens.
fn with_tokens(locking: Locking, count: usize) -> (Browser, Vec<String>) {
    let mut browser = World::new().browser(&[]);
    browser.rules.locking = locking;
    let world = browser.world.clone();
    let mut tokens = Vec::new();
    browser.visit(|session| {
        for _ in 0..count {
            tokens.push(session.new_form_token(&world.services()).unwrap());
        }
    });
    (browser, tokens)
}

fn take(browser: &mut Browser, token: &str) -> bool {
    let world = browser.world.clone();
    let mut taken = false;
    browser.visit(|session| {
        taken = session.take_form_token(&world.services(), token.as_bytes()).unwrap();
    });
    taken
}

#[test]
fn a_token_starts_a_session_and_is_good_once() {
    for locking in [Locking::Request, Locking::Commit, Locking::Off] {
        let (mut browser, tokens) = with_tokens(locking, 2);
        assert_eq!(tokens[0].len(), 22);
        assert!(browser.id.is_some());
        assert!(take(&mut browser, &tokens[0]));
        assert!(!take(&mut browser, &tokens[0]), "{locking:?}");
        assert!(take(&mut browser, &tokens[1]));
    }
}

#[test]
fn what_is_no_token_of_this_session_is_refused() {
    let (mut browser, tokens) = with_tokens(Locking::Request, 1);
    let mut other = browser.world.browser(&[]);
    other.put("a", "1");
    assert!(!take(&mut other, &tokens[0]));
    for text in ["", "x", &tokens[0][1..], &format!("{}A", tokens[0]), "AAAAAAAAAAAAAAAAAAAAAA"] {
        assert!(!take(&mut browser, text), "{text}");
    }
    assert!(take(&mut browser, &tokens[0]));
}

#[test]
fn sixteen_are_open_and_the_oldest_goes() {
    let (mut browser, tokens) = with_tokens(Locking::Commit, 16);
    let world = browser.world.clone();
    browser.visit(|session| {
        session.new_form_token(&world.services()).unwrap();
    });
    assert!(!take(&mut browser, &tokens[0]));
    assert!(take(&mut browser, &tokens[1]));
}

#[test]
fn of_two_requests_at_once_one_is_told_yes() {
    for locking in [Locking::Commit, Locking::Off] {
        let (mut browser, tokens) = with_tokens(locking, 1);
        let world = browser.world.clone();
        let mut first = browser.open();
        let mut second = browser.open();
        let answers = [&mut first, &mut second]
            .map(|session| session.take_form_token(&world.services(), tokens[0].as_bytes()));
        assert_eq!(answers.map(|answer| u32::from(answer.unwrap())).iter().sum::<u32>(), 1);
        browser.finish(&mut first, LAST).unwrap();
        browser.finish(&mut second, LAST).unwrap();
        assert!(!take(&mut browser, &tokens[0]));
    }
}

#[test]
fn a_token_made_meanwhile_stays_and_one_taken_meanwhile_does_not_come_back() {
    let (mut browser, tokens) = with_tokens(Locking::Commit, 2);
    let world = browser.world.clone();
    let mut session = browser.open();
    let mine = session.new_form_token(&world.services()).unwrap();
    let mut theirs = String::new();
    browser.clone().visit(|session| {
        theirs = session.new_form_token(&world.services()).unwrap();
        assert!(session.take_form_token(&world.services(), tokens[0].as_bytes()).unwrap());
    });
    browser.finish(&mut session, LAST).unwrap();
    assert!(!take(&mut browser, &tokens[0]));
    assert!([&mine, &theirs, &tokens[1]].iter().all(|token| take(&mut browser, token)));
}

#[test]
fn a_failed_request_leaves_the_token_open_under_a_lease() {
    let (mut browser, tokens) = with_tokens(Locking::Request, 1);
    let world = browser.world.clone();
    let mut session = browser.open();
    assert!(session.take_form_token(&world.services(), tokens[0].as_bytes()).unwrap());
    browser.finish(&mut session, BROKEN).unwrap();
    assert!(take(&mut browser, &tokens[0]));
}

#[test]
fn a_login_closes_the_forms_of_before() {
    let (mut browser, tokens) = with_tokens(Locking::Request, 1);
    let world = browser.world.clone();
    let mut later = String::new();
    browser.visit(|session| {
        session.set_user(Some("alice")).unwrap();
        later = session.new_form_token(&world.services()).unwrap();
    });
    assert!(!take(&mut browser, &tokens[0]));
    assert!(take(&mut browser, &later));
}

#[test]
fn another_session_is_seen_by_its_id_and_neither_is_changed() {
    let world = World::new();
    let mut alice = world.browser(&[]);
    alice.put("a", "1");
    let mut bob = world.browser(&[]);
    let id = alice.id.clone().unwrap();
    let before = world.store.record(&world.key_of(&id));
    world.hold(&world.key_of(&id));
    bob.visit(|session| {
        let other = session.peek(&world.services(), id.as_bytes()).unwrap().unwrap();
        assert_eq!(other.get(&key("a")), Some(b"1".as_slice()));
        assert!(!session.was_used() || session.is_new());
    });
    assert_eq!(bob.id, None);
    assert_eq!(world.store.record(&world.key_of(&id)), before);
}

#[test]
fn a_look_at_a_session_that_is_none_finds_nothing() {
    let world = World::new();
    let mut alice = world.browser(&["SessionTimeout 30m"]);
    alice.put("a", "1");
    let id = alice.id.clone().unwrap();
    let peek = |wire: &str| {
        let found = world.browser(&[]).request().peek(&world.services(), wire.as_bytes());
        found.map(|found| found.is_some())
    };
    assert!(matches!(peek("no id"), Err(SessionError::BadArgument)));
    assert!(matches!(peek(&"A".repeat(43)), Ok(false)));
    assert!(peek(&id).unwrap());
    let mut elsewhere = world.browser(&[]);
    elsewhere.rules.scope = "another".into();
    elsewhere.source = Source::Query;
    assert!(elsewhere.request().peek(&world.services(), id.as_bytes()).unwrap().is_none());
    world.clock.advance(super::world::minutes(31));
    assert!(!peek(&id).unwrap());
}
