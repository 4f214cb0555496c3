use super::world::{Browser, LAST, MORE, World, key};
use crate::core::config::Locking;
use crate::core::session::candidates::{Reason, Source};
use crate::core::session::record::Kind;
use crate::core::session::{Session, SessionError};
use crate::core::store::fake::Verb;

fn with_a_value(lines: &[&str]) -> Browser {
    let mut browser = World::new().browser(lines);
    browser.put("a", "1");
    browser
}

#[test]
fn a_new_id_keeps_data_age_and_incarnation_and_leaves_an_alias() {
    let mut browser = with_a_value(&[]);
    let (old, before) = (browser.clone(), browser.record().unwrap());
    browser.world.clock.advance(std::time::Duration::from_secs(5));
    assert!(browser.visit(|session| session.regenerate().unwrap()).is_some());
    let after = browser.record().unwrap();
    assert_eq!((after.created, after.incarnation), (before.created, before.incarnation));
    assert_eq!((after.values, after.client), (before.values, before.client));
    let alias = old.record().unwrap();
    let Kind::Alias { target, until } = alias.kind else { panic!("{alias:?}") };
    assert_eq!((&target, alias.deadline), (browser.key().as_bytes(), until));
    assert!(alias.is_empty() && alias.client.is_empty());
}

#[test]
fn without_grace_the_old_id_is_dead_at_once() {
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = with_a_value(&["SessionRegenerateGrace 0"]);
        browser.rules.locking = locking;
        let old = browser.clone();
        browser.visit(|session| session.regenerate().unwrap());
        assert!(old.record().is_none() && old.value("a").is_none());
        assert_eq!((browser.value("a").as_deref(), browser.world.store.len()), (Some("1"), 1));
    }
}

#[test]
fn another_user_gets_a_new_id_another_incarnation_and_no_alias() {
    for locking in [Locking::Request, Locking::Commit, Locking::Off] {
        let mut browser = with_a_value(&[]);
        browser.rules.locking = locking;
        for user in [Some("ann"), Some("bob"), None] {
            let (old, before) = (browser.clone(), browser.record().unwrap());
            browser.visit(|session| session.set_user(user).unwrap());
            assert_ne!(browser.id, old.id);
            assert_eq!((browser.look().user(), old.look().reason()), (user, Reason::Unknown));
            let after = browser.record().unwrap();
            assert_ne!(after.incarnation, before.incarnation);
            assert_eq!((after.created, browser.world.store.len()), (before.created, 1));
        }
        assert_eq!(browser.value("a").as_deref(), Some("1"));
    }
}

#[test]
fn the_same_user_again_is_no_change() {
    let mut browser = with_a_value(&[]);
    browser.visit(|session| session.set_user(Some("ann")).unwrap());
    let id = browser.id.clone();
    assert_eq!(browser.visit(|session| session.set_user(Some("ann")).unwrap()), None);
    browser.visit(|session| {
        session.set_user(Some("bob")).unwrap();
        session.set_user(Some("ann")).unwrap();
    });
    assert_eq!(browser.id, id);
}

#[test]
fn a_new_id_and_another_user_in_one_request_are_one_change() {
    let mut browser = with_a_value(&[]);
    browser.visit(|session| {
        session.regenerate().unwrap();
        session.set_user(Some("ann")).unwrap();
        session.regenerate().unwrap();
        session.set(&key("a"), b"2").unwrap();
    });
    assert_eq!(browser.world.store.len(), 1);
    assert_eq!((browser.value("a").as_deref(), browser.look().user()), (Some("2"), Some("ann")));
}

#[test]
fn a_session_that_is_not_stored_yet_gets_another_id_and_needs_no_alias() {
    let mut browser = World::new().browser(&[]);
    let world = browser.world.clone();
    let mut told = String::new();
    browser.visit(|session| {
        session.set(&key("a"), b"1").unwrap();
        told = session.wire_id(&world.services()).unwrap().to_string();
        session.regenerate().unwrap();
    });
    assert!(browser.id != Some(told) && browser.id.is_some());
    assert_eq!(world.store.len(), 1);
}

#[test]
fn a_session_of_this_answer_gets_a_new_id_like_any_other() {
    let mut browser = World::new().browser(&[]);
    let world = browser.world.clone();
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    browser.take(&session.commit(&world.services(), MORE).unwrap());
    session.set_user(Some("ann")).unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!((browser.look().user(), world.store.len()), (Some("ann"), 1));
}

type Act = fn(&mut Session);

/// What a request does that gives its session a new id, and the verbs it takes besides the first.
const CHANGES: [(Act, &[Verb]); 2] = [
    (|session| session.regenerate().unwrap(), &[Verb::Create, Verb::Update, Verb::Merge]),
    (|session| session.set_user(Some("ann")).unwrap(), &[Verb::Create, Verb::Delete, Verb::Merge]),
];

#[test]
fn whatever_fails_on_the_way_to_a_new_id_one_record_is_live_and_it_is_the_old_one() {
    for (change, verbs) in CHANGES {
        for (locking, &verb) in [Locking::Request, Locking::Commit]
            .iter()
            .flat_map(|l| verbs.iter().map(move |v| (l, v)))
        {
            let mut browser = with_a_value(&[]);
            browser.rules.locking = *locking;
            let (id, world) = (browser.id.clone(), browser.world.clone());
            let mut session = browser.open();
            change(&mut session);
            let other = world.clone();
            world.store.before(verb, move || other.store.fail_next(1));
            if browser.finish(&mut session, LAST).is_ok() {
                // The verb was not needed, or came when the old record was closed already.
                assert_ne!(browser.id, id, "{locking:?} {verb:?}");
            } else {
                assert_eq!(browser.id, id, "{locking:?} {verb:?}");
                assert_eq!(world.store.len(), 1, "{locking:?} {verb:?}");
            }
            assert_eq!(browser.value("a").as_deref(), Some("1"), "{locking:?} {verb:?}");
            assert_eq!(world.held(), 0);
        }
    }
}

#[test]
fn a_new_id_is_made_before_the_old_one_is_given_up() {
    for (change, _) in CHANGES {
        let mut browser = with_a_value(&[]);
        let old = browser.key();
        browser.world.store.forget_calls();
        browser.visit(change);
        let calls = browser.world.store.calls();
        let [_, (Verb::Create, new), (_, left), ..] = calls[..] else { panic!("{calls:?}") };
        assert_eq!((new, left), (browser.key(), old));
    }
}

#[test]
fn deleted_while_it_gets_a_new_id_a_session_is_not_revived() {
    for (change, _) in CHANGES {
        let mut browser = with_a_value(&[]);
        let (world, old) = (browser.world.clone(), browser.key());
        let mut session = browser.open();
        change(&mut session);
        let other = world.clone();
        world.store.before(Verb::Create, move || {
            use crate::core::store::Store;
            assert!(other.store.delete(&old, None).unwrap());
        });
        assert!(matches!(session.save(&world.services()), Err(SessionError::Gone)));
        assert!(world.store.is_empty() && session.is_new());
        // What is set now is another session, made once.
        session.set(&key("b"), b"2").unwrap();
        browser.finish(&mut session, LAST).unwrap();
        assert_eq!((browser.value("b").as_deref(), world.store.len()), (Some("2"), 1));
    }
}

#[test]
fn found_by_a_header_a_session_gets_a_new_id_and_no_cookie() {
    let mut browser = with_a_value(&["SessionIdSource cookie header:X-Id"]);
    browser.source = Source::Header;
    let world = browser.world.clone();
    let mut told = String::new();
    let cookie = browser.visit(|session| {
        session.regenerate().unwrap();
        session.save(&world.services()).unwrap();
        told = session.wire_id(&world.services()).unwrap().to_string();
    });
    assert_eq!(cookie, None);
    browser.id = Some(told);
    assert_eq!(browser.value("a").as_deref(), Some("1"));
}
