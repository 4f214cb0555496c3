//! What a handler wants done to its session, said in a note.

use super::notes::{handle, some, two_values, values};
use super::world::{LAST, World, key, value};
use crate::core::session::SessionError;

#[test]
fn revert_and_invalidate_drop_what_this_look_changed() {
    for (word, a) in [("revert", some("1")), ("INVALIDATE", None), ("revert\tdelete", None)] {
        let browser = two_values();
        let mut session = browser.open();
        session.set(&key("c"), b"earlier").unwrap();
        handle(&mut session, &browser, |notes| {
            notes.set("session:a", "2");
            notes.set("session-store.user", "ann");
            notes.set("session-store.timeout", "60");
            notes.set("session-store.do", word);
        })
        .unwrap();
        assert_eq!((value(&session, "a"), value(&session, "c")), (a, None), "{word}");
        assert_eq!((session.user(), session.timeout().as_secs()), (None, 1800), "{word}");
    }
}

#[test]
fn delete_keeps_only_what_differs_from_the_offer() {
    let browser = two_values();
    let mut session = browser.open();
    handle(&mut session, &browser, |notes| {
        notes.set("session:a", "2");
        notes.set("session-store.do", "delete");
    })
    .unwrap();
    assert_eq!(values(&session), [some("2"), None, None]);
}

#[test]
fn words_are_done_in_their_order_however_they_are_written() {
    let mut browser = two_values();
    let old = browser.clone();
    let mut session = browser.open();
    let applied = handle(&mut session, &browser, |notes| {
        notes.set("session-store.do", "unlock,regenerate  delete");
        notes.set("session:c", "3");
    });
    assert!(applied.unwrap().unlock);
    browser.finish(&mut session, LAST).unwrap();
    assert_ne!(browser.id, old.id);
    assert_eq!(values(&browser.look()), [None, None, some("3")]);
    assert!(old.look().is_new());
}

#[test]
fn where_there_is_no_session_there_is_nothing_to_end_or_renew_and_no_error() {
    let browser = World::new().browser(&[]);
    for word in ["delete", "invalidate", "regenerate", "revert"] {
        let mut session = browser.open();
        handle(&mut session, &browser, |notes| notes.set("session-store.do", word)).unwrap();
    }
}

#[test]
fn a_new_id_asked_for_through_the_old_one_is_no_error_but_a_login_is() {
    let mut browser = two_values();
    let old = browser.clone();
    browser.visit(|session| session.regenerate().unwrap());
    let mut session = old.open();
    handle(&mut session, &old, |notes| notes.set("session-store.do", "regenerate")).unwrap();
    let login = handle(&mut session, &old, |notes| notes.set("session-store.user", "eve"));
    assert!(matches!(login, Err(SessionError::ThroughAlias)));
}
