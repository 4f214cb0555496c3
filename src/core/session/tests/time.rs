use std::time::Duration;

use super::world::{Browser, LAST, World, key, minutes};
use crate::core::clock::{Clock, Time};
use crate::core::config::Locking;
use crate::core::config::testing::place;
use crate::core::session::candidates::Reason;
use crate::core::session::rules::{Rules, Surroundings};
use crate::core::session::{Notice, SessionError};
use crate::core::store::fake::Verb;

fn with_a_value(lines: &[&str]) -> Browser {
    let mut browser = World::new().browser(lines);
    browser.put("a", "1");
    browser.world.store.forget_calls();
    browser
}

fn touches(browser: &Browser) -> usize {
    browser.world.store.count(Verb::Touch)
}

#[test]
fn a_reading_request_records_its_visit_at_most_once_in_the_interval() {
    for locking in [Locking::Request, Locking::Commit, Locking::Off, Locking::Read] {
        let mut browser = with_a_value(&["SessionTouchInterval 60s"]);
        browser.rules.locking = locking;
        browser.world.clock.advance(Duration::from_secs(59));
        browser.visit(|_| {});
        assert_eq!(touches(&browser), 0);
        browser.world.clock.advance(Duration::from_secs(1));
        browser.visit(|_| {});
        browser.visit(|_| {});
        assert_eq!(touches(&browser), 1);
        let (record, now) = (browser.record().unwrap(), browser.world.clock.now());
        assert_eq!((record.accessed, record.deadline), (now, now.after(minutes(30))));
    }
}

#[test]
fn two_commits_of_one_answer_record_one_visit() {
    let mut browser = with_a_value(&[]);
    browser.world.clock.advance(minutes(5));
    let mut session = browser.open();
    session.commit(&browser.world.services(), LAST).unwrap();
    browser.finish(&mut session, LAST).unwrap();
    assert_eq!(touches(&browser), 1);
}

#[test]
fn a_visit_never_shortens_the_life_that_another_place_gave() {
    let mut browser = with_a_value(&["SessionTimeout 60m"]);
    let deadline = browser.record().unwrap().deadline;
    browser.world.clock.advance(minutes(4));
    browser.at(&["SessionTimeout 5m"]).visit(|_| {});
    assert_eq!(touches(&browser), 1);
    assert_eq!(browser.record().unwrap().deadline, deadline);
    assert!(browser.put("b", "1").is_none());
}

#[test]
fn a_visit_never_revives_what_is_gone() {
    let mut browser = with_a_value(&["SessionTouchInterval 0"]);
    let mut look = browser.look();
    browser.visit(|session| session.delete().unwrap());
    browser.finish(&mut look, LAST).unwrap();
    assert!(browser.world.store.is_empty());
}

#[test]
fn a_visit_that_lasted_past_the_end_of_its_session_does_not_prolong_it() {
    for read_only in [true, false] {
        let mut browser = with_a_value(&["SessionTouchInterval 0"]);
        let mut session = if read_only { browser.look() } else { browser.open() };
        browser.world.clock.advance(minutes(33));
        browser.finish(&mut session, LAST).unwrap();
        assert_eq!((touches(&browser), browser.open().reason()), (0, Reason::Expired));
    }
}

#[test]
fn a_session_that_ends_while_its_request_runs_is_written_for_two_more_minutes() {
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = with_a_value(&[]);
        browser.rules.locking = locking;
        let mut session = browser.open();
        session.set(&key("a"), b"2").unwrap();
        browser.world.clock.advance(minutes(32));
        browser.finish(&mut session, LAST).unwrap();
        assert_eq!(browser.value("a").as_deref(), Some("2"), "{locking:?}");
    }
}

#[test]
fn later_than_that_nothing_of_it_is_written_and_no_new_id_revives_it() {
    for locking in [Locking::Request, Locking::Commit] {
        for renew in [false, true] {
            let mut browser = with_a_value(&[]);
            browser.rules.locking = locking;
            let mut session = browser.open();
            session.set(&key("a"), b"2").unwrap();
            if renew {
                session.regenerate().unwrap();
            }
            let before = browser.record().unwrap();
            browser.world.clock.advance(minutes(32) + Duration::from_micros(1));
            let late = session.save(&browser.world.services());
            assert!(matches!(late, Err(SessionError::Gone)), "{locking:?} {renew}");
            browser.finish(&mut session, LAST).unwrap();
            let store = &browser.world.store;
            assert_eq!((store.len(), browser.record()), (1, Some(before)), "{locking:?} {renew}");
        }
    }
}

#[test]
fn a_request_longer_than_the_timeout_is_not_late_if_others_visited_meanwhile() {
    for locking in [Locking::Request, Locking::Commit] {
        for renew in [false, true] {
            let mut browser = with_a_value(&[]);
            browser.rules.locking = locking;
            let mut session = browser.open();
            for _ in 0..3 {
                browser.world.clock.advance(minutes(20));
                let mut look = browser.look();
                browser.clone().finish(&mut look, LAST).unwrap();
            }
            session.set(&key("a"), b"2").unwrap();
            if renew {
                session.regenerate().unwrap();
            }
            browser.finish(&mut session, LAST).unwrap();
            assert_eq!(browser.value("a").as_deref(), Some("2"), "{locking:?} {renew}");
        }
    }
}

#[test]
fn a_clock_that_is_set_back_neither_ends_a_session_nor_moves_its_visit_back() {
    for locking in [Locking::Request, Locking::Commit] {
        let mut browser = with_a_value(&["SessionTouchInterval 0"]);
        browser.rules.locking = locking;
        let before = browser.record().unwrap();
        browser.world.clock.set_back(minutes(600));
        assert_eq!(browser.value("a").as_deref(), Some("1"));
        browser.visit(|_| {});
        browser.put("a", "2");
        browser.visit(|session| session.regenerate().unwrap());
        let after = browser.record().unwrap();
        assert_eq!((after.accessed, after.deadline), (before.accessed, before.deadline));
        assert_eq!(browser.value("a").as_deref(), Some("2"));
    }
}

#[test]
fn a_timeout_of_its_own_is_kept_and_removed_by_nothing() {
    let mut browser = with_a_value(&[]);
    browser.visit(|session| session.set_timeout(60).unwrap());
    browser.put("b", "2");
    browser.visit(|session| session.regenerate().unwrap());
    let record = browser.record().unwrap();
    assert_eq!((record.timeout, record.deadline.since(record.accessed).as_secs()), (Some(60), 60));
}

#[test]
fn a_request_that_held_its_session_too_long_says_nothing_if_it_only_read() {
    let mut browser = with_a_value(&["SessionLockHold 1m", "SessionTouchInterval 0"]);
    let mut slow = browser.open();
    browser.world.clock.advance(minutes(2));
    browser.put("a", "2");
    slow.commit(&browser.world.services(), LAST).unwrap();
    let told = slow.take_notices();
    assert!(!told.iter().any(|notice| matches!(notice, Notice::LeaseLost(_))), "{told:?}");
    slow.release(&browser.world.services());
}

#[test]
fn what_is_left_of_a_session_shrinks_until_a_visit_is_recorded_and_never_passes_its_age() {
    let mut browser = World::new().browser(&["SessionMaxLifetime 1h", "SessionTouchInterval 60s"]);
    let left = |browser: &mut Browser, wait: u64| {
        browser.world.clock.advance(Duration::from_secs(wait));
        let mut session = browser.look();
        let clock = &browser.world.clock;
        let both = (session.idle_left(clock), session.age_left(clock));
        browser.finish(&mut session, LAST).unwrap();
        both.0.zip(both.1).map(|(idle, age)| (idle.as_secs(), age.as_secs()))
    };
    assert_eq!(left(&mut browser, 0), None);
    browser.put("a", "1");
    assert_eq!(left(&mut browser, 30), Some((1770, 3570)));
    assert_eq!(left(&mut browser, 30), Some((1800, 3540)));
    assert_eq!(left(&mut browser, 29 * 60), Some((1800, 1800)));
    assert_eq!(left(&mut browser, 60), Some((1740, 1740)));

    let mut browser = World::new().browser(&["SessionMaxLifetime 0"]);
    browser.put("a", "1");
    let session = browser.look();
    let clock = &browser.world.clock;
    assert_eq!((session.idle_left(clock), session.age_left(clock)), (Some(minutes(30)), None));
}

#[test]
fn late_writes_are_allowed_for_half_of_the_time_that_cleanup_leaves_a_record() {
    let around = Surroundings {
        scope: "test".into(),
        https: false,
        workers: 1,
        shared_writes: false,
        may_lease: true,
        grace: Duration::from_secs(10),
    };
    let rules = Rules::resolve(std::sync::Arc::new(place(&[])), around);
    let deadline = Time::from_secs(1000);
    assert!(rules.writable(deadline, Time::from_secs(1005)));
    assert!(!rules.writable(deadline, Time(1_005_000_001)));
}
