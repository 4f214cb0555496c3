use super::world::{Browser, LAST, World, key, value};
use crate::core::session::notes::{Applied, BLANK, Look, Offer, TIMEOUT_NOTE, is_ours};
use crate::core::session::{Session, SessionError};

/// The notes of a request, as a handler sees them.
pub(super) struct Notes(Vec<(String, Vec<u8>)>);

impl Notes {
    fn offered(offer: &Offer) -> Notes {
        Notes(offer.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| std::str::from_utf8(value).unwrap())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.0.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn unset(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    fn look(&self, offer: &Offer) -> Look {
        Look::at(offer, self.0.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())))
    }
}

fn offer(session: &Session, browser: &Browser) -> Offer {
    Offer::of(session, browser.id.as_deref(), &browser.world.clock)
}

/// A session with `a` and `b`.
pub(super) fn two_values() -> Browser {
    let mut browser = World::new().browser(&[]);
    browser.visit(|session| {
        session.set(&key("a"), b"1").unwrap();
        session.set(&key("b"), b"1").unwrap();
    });
    browser
}

/// What a handler does with its notes, and what became of it.
pub(super) fn handle(
    session: &mut Session,
    browser: &Browser,
    body: impl FnOnce(&mut Notes),
) -> Result<Applied, SessionError> {
    let offer = offer(session, browser);
    let mut notes = Notes::offered(&offer);
    body(&mut notes);
    notes.look(&offer).apply(session)
}

pub(super) fn values(session: &Session) -> [Option<String>; 3] {
    ["a", "b", "c"].map(|name| value(session, name))
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_handler_is_offered_values_and_facts() {
    let mut browser = two_values();
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    let notes = Notes::offered(&offer(&browser.open(), &browser));
    assert_eq!(
        (notes.text("session:a"), notes.text("session-store.user")),
        (Some("1"), Some("ann"))
    );
    let facts = ["new", "reason", "timeout", "created", "accessed"];
    let facts = facts.map(|fact| notes.text(&format!("session-store.{fact}")).unwrap());
    assert_eq!(facts, ["0", "none", "1800", "1800000000", "1800000000"]);
    assert_eq!(notes.text("session-store.id"), browser.id.as_deref());
}

#[test]
fn without_a_session_there_is_neither_user_nor_id_and_the_reason_says_why() {
    let mut browser = World::new().browser(&[]);
    browser.id = Some("A".repeat(43));
    let notes = Notes::offered(&Offer::of(&browser.open(), None, &browser.world.clock));
    assert_eq!(notes.text("session-store.new"), Some("1"));
    assert_eq!(notes.text("session-store.reason"), Some("unknown"));
    assert_eq!((notes.text("session-store.user"), notes.text("session-store.id")), (None, None));
}

#[test]
fn a_value_no_c_string_can_hold_is_neither_offered_nor_taken_as_removed() {
    let mut browser = two_values();
    browser.visit(|session| session.set(&key("c"), b"x\0y").unwrap());
    let mut session = browser.open();
    let offer = offer(&session, &browser);
    assert!(offer.finder().find(b"session:c").is_none());
    let mut notes = Notes::offered(&offer);
    assert!(notes.look(&offer).is_empty());
    notes.set("session:a", "2");
    notes.look(&offer).apply(&mut session).unwrap();
    assert_eq!(session.get(&key("c")), Some(b"x\0y".as_slice()));
}

#[test]
fn notes_that_were_left_alone_change_nothing() {
    let browser = two_values();
    let offer = offer(&browser.open(), &browser);
    let mut notes = Notes::offered(&offer);
    notes.set("other-module", "1");
    notes.set("SESSION:A", "1");
    assert!(notes.look(&offer).is_empty());
}

#[test]
fn notes_that_were_written_added_or_removed_are_changes() {
    let browser = two_values();
    let mut session = browser.open();
    handle(&mut session, &browser, |notes| {
        notes.set("Session:A", "2");
        notes.unset("session:b");
        notes.set("session:c", "");
    })
    .unwrap();
    assert_eq!(values(&session), [some("2"), None, some("")]);
}

#[test]
fn keys_are_removed_by_name_where_notes_cannot_be_taken_away() {
    let browser = two_values();
    let mut session = browser.open();
    session.set(&key("two, words"), b"1").unwrap();
    let applied = handle(&mut session, &browser, |notes| {
        notes.set("session-store.unset", "A, two%2C%20words,never, b,%4");
        // Who cannot take notes away cannot take this one back either.
        notes.set("session:b", "2");
        notes.set("session:c", "3");
    });
    assert_eq!(applied.unwrap(), Applied { unlock: false, refused: 1 });
    assert_eq!(values(&session), [None, None, some("3")]);
    assert_eq!(session.get(&key("two, words")), None);
}

#[test]
fn what_another_interface_wrote_is_no_change_of_the_handlers() {
    let browser = two_values();
    let mut session = browser.open();
    let mut offer = offer(&session, &browser);
    let mut notes = Notes::offered(&offer);
    session.set(&key("a"), b"2").unwrap();
    session.unset(&key("b")).unwrap();
    offer.set("session:A", Some(b"2"));
    offer.set("session:b", None);
    notes.set("session:a", "2");
    notes.unset("session:b");
    assert!(notes.look(&offer).is_empty());
}

#[test]
fn user_and_timeout_may_be_written_and_other_facts_may_not() {
    let mut browser = two_values();
    let mut session = browser.open();
    handle(&mut session, &browser, |notes| {
        notes.set("session-store.user", "ann");
        notes.set("session-store.timeout", " 60 ");
        notes.set("session-store.new", "1");
        notes.unset("session-store.created");
    })
    .unwrap();
    assert_eq!((session.user(), session.timeout().as_secs()), (Some("ann"), 60));
    assert!(!session.is_new());
    browser.finish(&mut session, LAST).unwrap();
    for log_out in [
        |notes: &mut Notes| notes.unset("session-store.user"),
        |notes: &mut Notes| notes.set("session-store.user", ""),
    ] {
        let mut session = browser.open();
        handle(&mut session, &browser, log_out).unwrap();
        assert_eq!(session.user(), None);
        session.release(&browser.world.services());
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_counted() {
    let browser = two_values();
    let mut session = browser.open();
    let applied = handle(&mut session, &browser, |notes| {
        notes.set("session:", "1");
        notes.set(&format!("session:{}", "k".repeat(129)), "1");
        notes.set("session-store.timeout", "0");
        notes.set("session-store.do", "unlock, explode");
        notes.set("session:a", "2");
    });
    assert_eq!(applied.unwrap(), Applied { unlock: true, refused: 4 });
    assert_eq!(value(&session, "a"), some("2"));
}

#[test]
fn removals_make_room_and_after_an_error_the_rest_is_done() {
    let browser = two_values().at(&["SessionMaxKeys 2"]);
    let mut session = browser.open();
    handle(&mut session, &browser, |notes| {
        notes.unset("session:a");
        notes.set("session:c", "3");
    })
    .unwrap();
    assert_eq!(values(&session), [None, some("1"), some("3")]);
    let failed = handle(&mut session, &browser, |notes| {
        notes.set("session:d", "4");
        notes.set("session:b", "2");
    });
    assert!(matches!(failed, Err(SessionError::Limit(_))));
    assert_eq!(value(&session, "b"), some("2"));
}

#[test]
fn our_notes_are_known_by_their_names_in_any_case() {
    let ours = [b"session:x".as_slice(), b"Session-Store.do", b"SESSION:", b"session-store."];
    assert!(ours.iter().all(|name| is_ours(name)));
    let others = [b"session".as_slice(), b"session-storex", b"sessions:x", b"", b"x-session:a"];
    assert!(!others.iter().any(|name| is_ours(name)));
}

#[test]
fn what_is_added_for_a_visitor_without_an_id_is_what_is_offered_to_one() {
    let offer = Offer::blank(std::time::Duration::from_secs(1800));
    let constant = BLANK.map(|(name, value)| (name.to_str().unwrap(), value.to_bytes()));
    let added = constant.into_iter().chain([(TIMEOUT_NOTE.to_str().unwrap(), b"1800".as_slice())]);
    assert!(offer.iter().eq(added));
}

#[test]
fn values_of_an_offer_are_found_in_any_order() {
    let mut offer = Offer::default();
    for number in 0..50 {
        offer.set(&format!("session:k{number}"), Some(format!("v{number}").as_bytes()));
    }
    let (mut finder, numbers) = (offer.finder(), (0..50).chain((0..50).rev()).chain([7, 7, 8, 3]));
    for number in numbers {
        let found = finder.find(format!("Session:K{number}").as_bytes());
        assert_eq!(found, Some(format!("v{number}").as_bytes()), "{number}");
        assert_eq!(finder.find(b"session:none"), None);
        assert_eq!(offer.finder().find(format!("session:k{number}").as_bytes()), found);
    }
}
