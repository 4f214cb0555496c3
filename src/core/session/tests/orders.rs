use super::world::{Browser, LAST, World, key, value};
use crate::core::config::BackendHeaders;
use crate::core::export::orders::Orders;
use crate::core::session::{Session, SessionError};

fn orders(headers: &[(&str, &str)]) -> Orders {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Orders::read(BackendHeaders::All, headers).unwrap()
}

/// A whole request whose backend answers with these headers.
fn answered(
    browser: &mut Browser,
    headers: &[(&str, &str)],
) -> (Result<(), SessionError>, Session) {
    let mut session = browser.open();
    let outcome = orders(headers).apply(&mut session);
    browser.finish(&mut session, LAST).unwrap();
    (outcome, session)
}

#[test]
fn orders_are_done_in_an_order_that_is_not_theirs() {
    let mut browser = World::new().browser(&[]);
    let headers = [
        ("X-Session-User", "ann"),
        ("X-Session-Unset", "c"),
        ("X-Session-Append", "a=2"),
        ("X-Session-Append", "new=x"),
        ("X-Session-Set", "a=1"),
        ("X-Session-Append", "a=3"),
        ("X-Session-Set", "c=1"),
    ];
    answered(&mut browser, &headers).0.unwrap();
    let session = browser.look();
    assert_eq!(value(&session, "a").as_deref(), Some("123"));
    assert_eq!(value(&session, "new").as_deref(), Some("x"));
    assert_eq!((value(&session, "c"), session.user()), (None, Some("ann")));
}

#[test]
fn a_session_is_ended_or_renewed_last() {
    let mut browser = World::new().browser(&["SessionRegenerateGrace 0"]);
    browser.put("a", "1");
    let old = browser.key();
    let headers = [("X-Session-Do", "regenerate"), ("X-Session-Set", "a=2")];
    answered(&mut browser, &headers).0.unwrap();
    assert_ne!(browser.key(), old);
    assert_eq!(browser.value("a").as_deref(), Some("2"));
    answered(&mut browser, &[("X-Session-Do", "delete"), ("X-Session-Set", "b=1")]).0.unwrap();
    assert_eq!(browser.id, None);
    // Nothing is there to be ended.
    for word in ["delete", "invalidate", "regenerate"] {
        answered(&mut browser, &[("X-Session-Do", word)]).0.unwrap();
    }
}

#[test]
fn a_user_logs_in_under_a_new_id_and_out_by_an_empty_name() {
    let mut browser = World::new().browser(&[]);
    browser.put("a", "1");
    let before = browser.key();
    answered(&mut browser, &[("X-Session-User", "Ann%2C%20B")]).0.unwrap();
    assert_ne!(browser.key(), before);
    assert_eq!(browser.look().user(), Some("Ann, B"));
    answered(&mut browser, &[("X-Session-User", "")]).0.unwrap();
    assert_eq!(browser.look().user(), None);
    let outcome = answered(&mut browser, &[("X-Session-User", "a%0Ab")]).0;
    assert!(matches!(outcome, Err(SessionError::BadArgument)));
}

#[test]
fn past_a_limit_the_first_error_is_told() {
    let mut browser = World::new().browser(&["SessionMaxKeys 1"]);
    let outcome =
        answered(&mut browser, &[("X-Session-Set", "a=1, b=1"), ("X-Session-Unset", "a")]).0;
    assert!(matches!(outcome, Err(SessionError::Limit("SessionMaxKeys"))));
}

#[test]
fn where_writing_is_refused_orders_are_too() {
    let mut browser = World::new().browser(&[]);
    browser.put("a", "1");
    let mut session = browser.at(&["SessionLocking read"]).open();
    let outcome = orders(&[("X-Session-Set", "a=2")]).apply(&mut session);
    assert!(matches!(outcome, Err(SessionError::ReadOnly)));
    assert_eq!(session.get(&key("a")), Some(&b"1"[..]));
}
