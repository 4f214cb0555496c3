use super::world::{Browser, LAST, World, key, value};
use crate::core::config::Locking;
use crate::core::session::SessionError;

fn limit<T>(outcome: Result<T, SessionError>) -> Option<&'static str> {
    match outcome {
        Err(SessionError::Limit(directive)) => Some(directive),
        _ => None,
    }
}

fn small() -> Browser {
    World::new().browser(&["SessionMaxSize 1K", "SessionMaxKeys 2"])
}

#[test]
fn past_a_limit_the_old_value_stays() {
    let mut browser = small();
    browser.put("a", "1");
    browser.visit(|session| {
        assert_eq!(limit(session.set(&key("a"), &[0; 1024])), Some("SessionMaxSize"));
        assert_eq!(value(session, "a").as_deref(), Some("1"));
        session.set(&key("b"), &[b'x'; 1021]).unwrap();
        assert_eq!(limit(session.set(&key("c"), b"")), Some("SessionMaxSize"));
        session.set(&key("b"), b"").unwrap();
        assert_eq!(limit(session.set(&key("c"), b"")), Some("SessionMaxKeys"));
        session.set(&key("A"), b"2").unwrap();
    });
    assert_eq!((browser.value("a").as_deref(), browser.value("c")), (Some("2"), None));
}

#[test]
fn the_users_name_counts_and_the_old_one_makes_room() {
    let mut browser = small();
    browser.visit(|session| {
        session.set(&key("a"), &[b'x'; 1000]).unwrap();
        assert_eq!(limit(session.set_user(Some(&"u".repeat(24)))), Some("SessionMaxSize"));
        session.set_user(Some(&"u".repeat(23))).unwrap();
        session.set_user(Some(&"v".repeat(23))).unwrap();
        assert_eq!(limit(session.set(&key("b"), b"")), Some("SessionMaxSize"));
    });
    assert_eq!(browser.look().user().map(str::len), Some(23));
}

#[test]
fn a_session_past_a_lowered_limit_may_shrink_and_not_grow() {
    let mut wide = World::new().browser(&[]);
    for name in ["a", "b", "c", "d"] {
        wide.put(name, &"x".repeat(600));
    }
    let mut browser = wide.at(&["SessionMaxSize 1K", "SessionMaxKeys 2"]);
    browser.visit(|session| {
        assert_eq!(limit(session.set(&key("e"), b"")), Some("SessionMaxSize"));
        assert_eq!(limit(session.set(&key("a"), &[0; 601])), Some("SessionMaxSize"));
        session.set(&key("a"), &[b'y'; 600]).unwrap();
        session.set(&key("b"), b"").unwrap();
        session.unset(&key("c")).unwrap();
        session.set(&key("d"), b"").unwrap();
        assert_eq!(limit(session.set(&key("e"), b"")), Some("SessionMaxKeys"));
    });
    browser.rules.locking = Locking::Commit;
    browser.visit(|session| assert!(session.unset(&key("d")).unwrap()));
    assert_eq!((browser.value("b").as_deref(), browser.value("d")), (Some(""), None));
}

#[test]
fn what_no_longer_fits_when_it_is_merged_fails_whole() {
    let mut browser = small();
    browser.put("a", "1");
    browser.rules.locking = Locking::Commit;
    let mut session = browser.open();
    session.set(&key("a"), b"2").unwrap();
    session.set(&key("b"), b"2").unwrap();
    browser.put("c", "3");
    assert_eq!(limit(browser.finish(&mut session, LAST)), Some("SessionMaxKeys"));
    let values = ["a", "b", "c"].map(|name| browser.value(name));
    assert_eq!(values, [Some("1".into()), None, Some("3".into())]);
}

#[test]
fn what_no_longer_fits_when_it_gets_a_new_id_leaves_the_old_one_as_it_was() {
    let mut browser = small();
    browser.put("a", "1");
    browser.rules.locking = Locking::Commit;
    let mut session = browser.open();
    session.set(&key("b"), b"2").unwrap();
    session.regenerate().unwrap();
    browser.put("c", "3");
    assert_eq!(limit(browser.finish(&mut session, LAST)), Some("SessionMaxKeys"));
    assert_eq!((browser.world.store.len(), browser.value("c").as_deref()), (1, Some("3")));
}

#[test]
fn a_record_the_store_cannot_hold_is_past_a_limit_and_no_outage() {
    let mut browser = World::new().browser(&["SessionMaxSize 16M", "SessionStoreFailure ignore"]);
    let mut session = browser.open();
    session.set(&key("a"), &vec![0; (16 << 20) - 100]).unwrap();
    let refused = browser.finish(&mut session, LAST).unwrap_err();
    assert!(!refused.is_outage() && !session.rules().goes_on_without(&refused));
    assert!(matches!(refused, SessionError::StoreLimit(_)), "{refused}");
}
