use super::world::{Browser, LAST, MORE, World, key, minutes, value};
use crate::core::lock::{LeaseError, Leases};
use crate::core::session::{Access, Session, SessionError};
use crate::core::store::fake::Verb;

/// What happens to a session before it is opened for writing.
type Trouble = fn(&mut Browser);

const TROUBLES: [(&str, Trouble); 9] = [
    ("unknown", |browser| browser.id = Some("A".repeat(43))),
    ("expired", |browser| browser.world.clock.advance(minutes(31))),
    ("damaged", |browser| browser.world.store.corrupt(&browser.key())),
    ("newer", |browser| *browser.world.store.newer.lock().unwrap() = Some(browser.key())),
    ("the store fails", |browser| browser.world.store.fail_next(1)),
    ("damaged, and moving it aside fails", |browser| {
        let world = browser.world.clone();
        world.store.corrupt(&browser.key());
        let store = browser.world.clone();
        world.store.before(Verb::Quarantine, move || store.store.fail_next(1));
    }),
    ("an alias that leads nowhere", |browser| {
        let old = browser.id.clone();
        browser.visit(|session| session.regenerate().unwrap());
        browser.visit(|session| session.delete().unwrap());
        browser.id = old;
    }),
    ("an alias whose session is held", |browser| {
        let old = browser.id.clone();
        browser.visit(|session| session.regenerate().unwrap());
        browser.world.hold(&browser.key());
        browser.id = old;
    }),
    ("a chain of aliases", |browser| {
        let old = browser.id.clone();
        (0..3).for_each(|_| drop(browser.visit(|session| session.regenerate().unwrap())));
        browser.id = old;
    }),
];

#[test]
fn no_lease_is_left_where_opening_finds_nothing_or_fails() {
    for (what, trouble) in TROUBLES {
        for read_first in [false, true] {
            let world = World::new();
            let mut browser = world.browser(&[]);
            browser.put("a", "1");
            let mut session = browser.request();
            if read_first {
                session = browser.look();
            }
            trouble(&mut browser);
            if !read_first {
                session = browser.request();
            }
            let by_test = world.held();
            let _ = session.open(&world.services(), Access::Write);
            assert_eq!(world.held(), by_test + u64::from(session.is_leased()), "{what}");
            assert!(read_first || !session.is_leased(), "{what}");
            session.release(&world.services());
            assert_eq!(world.held(), by_test, "{what}");
        }
    }
}

#[test]
fn a_held_session_is_not_waited_for_without_a_timeout_and_can_be_tried_again() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut first = browser.open();
    let mut second = browser.request();
    let refused = second.open(&world.services(), Access::Write).unwrap_err();
    assert!(matches!(refused, SessionError::Lease(LeaseError::TimedOut)));
    assert!(!second.is_open() && second.is_new());
    first.release(&world.services());
    second.open(&world.services(), Access::Write).unwrap();
    assert_eq!(value(&second, "a").as_deref(), Some("1"));
}

#[test]
fn looks_neither_take_nor_wait_for_the_lease() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let _holder = browser.open();
    assert_eq!(browser.value("a").as_deref(), Some("1"));
    assert_eq!(world.held(), 1);
}

type Act = fn(&mut Session);

#[test]
fn a_session_is_let_go_after_a_commit_that_failed_at_any_verb() {
    let acts: [(Verb, Act); 6] = [
        (Verb::Update, |session| session.set(&key("a"), b"2").unwrap()),
        (Verb::Create, |session| session.regenerate().unwrap()),
        (Verb::Update, |session| session.regenerate().unwrap()),
        (Verb::Merge, |session| session.set_user(Some("ann")).unwrap()),
        (Verb::Merge, |session| session.invalidate().unwrap()),
        (Verb::Merge, |session| assert!(session.unset(&key("a")).unwrap())),
    ];
    for (verb, act) in acts {
        let world = World::new();
        let mut browser = world.browser(&[]);
        browser.put("a", "1");
        let mut session = browser.open();
        act(&mut session);
        let other = world.clone();
        world.store.before(verb, move || other.store.fail_next(1));
        assert!(session.commit(&world.services(), MORE).is_err(), "{verb:?}");
        session.release(&world.services());
        assert_eq!((world.held(), world.store.len()), (0, 1), "{verb:?}");
        assert_eq!(browser.value("a").as_deref(), Some("1"), "{verb:?}");
        // The request goes on in an error page.
        session.open(&world.services(), Access::Write).unwrap();
        assert_eq!(value(&session, "a").as_deref(), Some("1"), "{verb:?}");
        assert_eq!(Some(&*session.wire_id(&world.services()).unwrap()), browser.id.as_deref());
    }
}

#[test]
fn a_session_that_could_not_be_made_leaves_no_lease() {
    let world = World::new();
    let mut session = world.browser(&[]).open();
    session.set(&key("a"), b"1").unwrap();
    world.store.fail_next(1);
    assert!(session.commit(&world.services(), MORE).is_err());
    session.release(&world.services());
    assert_eq!(world.held(), 0);
}

#[test]
fn no_lease_is_taken_that_is_held_already_or_used_no_more() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    browser.visit(|session| {
        session.delete().unwrap();
        session.set(&key("a"), b"2").unwrap();
        session.save(&world.services()).unwrap();
        session.regenerate().unwrap();
    });
    let statistics = world.leases.statistics();
    assert_eq!((statistics.leases, statistics.timeouts), (1, 0));
}

#[test]
fn an_inner_redirect_lets_the_session_go_and_reads_it_again() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let mut session = browser.open();
    session.set(&key("a"), b"2").unwrap();
    session.commit(&world.services(), MORE).unwrap();
    session.release(&world.services());
    assert!(!session.is_open() && session.set(&key("a"), b"lost").is_err());
    browser.clone().put("b", "from elsewhere");
    session.open(&world.services(), Access::Write).unwrap();
    assert!(session.is_leased());
    assert_eq!(value(&session, "b").as_deref(), Some("from elsewhere"));
    session.set(&key("c"), b"3").unwrap();
    browser.finish(&mut session, LAST).unwrap();
    let names = ["a", "b", "c"].map(|name| browser.value(name).unwrap());
    assert_eq!(names, ["2", "from elsewhere", "3"]);
}

#[test]
fn an_inner_redirect_goes_on_with_a_session_that_was_made_before_it() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    let cookie = session.commit(&world.services(), MORE).unwrap();
    browser.take(&cookie);
    session.release(&world.services());
    session.open(&world.services(), Access::Write).unwrap();
    session.set(&key("b"), b"2").unwrap();
    assert_eq!(browser.finish(&mut session, LAST).unwrap(), None);
    assert_eq!((world.store.len(), browser.value("b").as_deref()), (1, Some("2")));
}

#[test]
fn a_session_that_is_made_is_leased_while_its_handler_goes_on() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    let mut session = browser.open();
    session.set(&key("a"), b"1").unwrap();
    browser.take(&session.save(&world.services()).unwrap());
    assert!(session.is_leased());
    assert!(browser.request().open(&world.services(), Access::Write).is_err());
    session.release(&world.services());
    assert_eq!(world.held(), 0);
}

#[test]
fn after_a_new_id_the_lease_is_that_of_the_new_record_alone() {
    let world = World::new();
    let mut browser = world.browser(&[]);
    browser.put("a", "1");
    let old = browser.key();
    let mut session = browser.open();
    session.regenerate().unwrap();
    browser.take(&session.save(&world.services()).unwrap());
    assert_eq!(world.held(), 1);
    world.leases.release(world.hold(&old));
    assert!(browser.request().open(&world.services(), Access::Write).is_err());
    session.release(&world.services());
    assert_eq!(world.held(), 0);
}
