//! What functions tell of a session and do to it.

use super::*;

#[test]
fn the_id_is_the_cookies_and_is_kept_only_if_something_is_stored() {
    let server = probed().start();
    let mut visitor = server.client();
    let unused = ask(&mut visitor, "/c?id;id");
    let (one, two) = unused.split_once('\n').expect("two ids");
    assert_eq!(one, two);
    assert!(visitor.jar.is_empty());
    let first = ask(&mut visitor, "/c?id;set:a=1;id");
    let cookie = visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    assert_eq!(first, format!("id=SUCCESS {cookie}\nset=SUCCESS\nid=SUCCESS {cookie}"));
    assert_ne!(one, format!("id=SUCCESS {cookie}"));
    assert_eq!(ask(&mut visitor, "/c?id"), format!("id=SUCCESS {cookie}"));
    assert_eq!(ask(&mut visitor, "/p?note:session-store.id"), format!("note=SUCCESS {cookie}"));
}

#[test]
fn why_a_session_is_new_is_told() {
    let server = probed().start();
    let list = "exists;is_new;reason";
    let told = |cookie: Option<&str>| {
        let mut visitor = server.client();
        if let Some(id) = cookie {
            visitor.jar.set(COOKIE, id);
        }
        ["/c", "/p"].map(|place| ask(&mut visitor, &format!("{place}?{list}")))
    };
    let lines = |exists: u8, new: u8, reason: &str| {
        let lines =
            format!("exists=SUCCESS {exists}\nis_new=SUCCESS {new}\nreason=SUCCESS {reason}");
        [lines.clone(), lines]
    };
    assert_eq!(told(None), lines(0, 1, "none"));
    assert_eq!(told(Some("short")), lines(0, 1, "malformed"));
    assert_eq!(told(Some(&"A".repeat(43))), lines(1, 1, "unknown"));
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    let id = visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    assert_eq!(told(Some(&id)), lines(1, 0, "none"));
    ask(&mut visitor, "/c?delete");
    assert_eq!(told(Some(&id)), lines(1, 1, "unknown"));
    server.assert_no_secret(&[&id]);
}

#[test]
fn times_are_of_the_session_and_of_the_visit_before() {
    let server = probed().conf("SessionTouchInterval 0").start();
    let mut visitor = server.client();
    let start = now();
    ask(&mut visitor, "/c?set:a=1");
    let made = now();
    let created = number(&mut visitor, "/c?created");
    assert!((start..=made).contains(&created), "{start} {created} {made}");
    ask(&mut visitor, "/c?set:a=2");
    let between = now();
    ask(&mut visitor, "/c?set:a=3");
    let after = now();
    let visited = number(&mut visitor, "/c?accessed");
    assert!((between..=after).contains(&visited), "{between} {visited} {after}");
    assert_eq!(number(&mut visitor, "/c?created"), created);
    ask(&mut visitor, "/c?regenerate");
    assert_eq!(number(&mut visitor, "/c?created"), created);
    // Of a session that is not there yet: now.
    let start = now();
    for fact in ["created", "accessed"] {
        let told = number(&mut server.client(), &format!("/c?{fact}"));
        assert!((start..=now()).contains(&told), "{start} {told}");
    }
}

#[test]
fn a_session_keeps_its_own_timeout() {
    let server = probed().conf("SessionTimeout 20m").start();
    let mut visitor = server.client();
    assert_eq!(number(&mut visitor, "/c?timeout"), 1_200_000_000);
    let lines = ask(&mut visitor, "/c?set:a=1;set_timeout:90500000;timeout");
    assert_eq!(lines, "set=SUCCESS\nset_timeout=SUCCESS\ntimeout=SUCCESS 90000000");
    assert_eq!(number(&mut visitor, "/c?timeout"), 90_000_000);
    for bad in ["0", "999999", "-1000000", "4294967296000000", "9223372036854775807"] {
        let lines = ask(&mut visitor, &format!("/c?set_timeout:{bad};timeout"));
        assert_eq!(lines, "set_timeout=EINVAL\ntimeout=SUCCESS 90000000", "{bad}");
    }
    ask(&mut visitor, "/c?set_timeout:4294967295000000");
    assert_eq!(number(&mut visitor, "/c?timeout"), 4_294_967_295_000_000);
}

#[test]
fn a_user_is_kept_with_the_session_and_a_change_renews_its_id() {
    let server = probed().start();
    let mut visitor = server.client();
    let id = |visitor: &Client| visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    ask(&mut visitor, "/c?set:a=1");
    let anonymous = id(&visitor);
    ask(&mut visitor, "/c?set_user:J%C3%B6rg");
    let known = id(&visitor);
    assert_ne!(known, anonymous);
    let lines = ask(&mut visitor, "/c?user;get:a;set_user:J%C3%B6rg;set_user:%FF;set_user:");
    let wanted =
        "user=SUCCESS J%C3%B6rg\nget=SUCCESS 1\nset_user=SUCCESS\nset_user=EINVAL\nset_user=EINVAL";
    assert_eq!(lines, wanted);
    assert_eq!(id(&visitor), known);
    assert_eq!(
        ask(&mut visitor, "/c?set_user;user;get:a"),
        "set_user=SUCCESS\nuser=SUCCESS -\nget=SUCCESS 1"
    );
    assert_ne!(id(&visitor), known);
    assert_eq!(records(&server), 1);
    server.assert_no_secret(&[&anonymous, &known, "J\u{f6}rg"]);
    for old in [anonymous, known] {
        let mut thief = server.client();
        thief.jar.set(COOKIE, &old);
        assert_eq!(ask(&mut thief, "/c?is_new;get:a"), "is_new=SUCCESS 1\nget=NOTFOUND");
    }
}

#[test]
fn what_is_not_saved_can_be_taken_back() {
    let server = probed().start();
    for place in ["/c", "/p"] {
        let mut visitor = server.client();
        let list = "set:a=1;set_user:ann;set_timeout:9000000;revert;keys;user;timeout;set:a=2;save;\
                    set:a=3;set:b=3;unset:a;revert;get:a;keys";
        let lines = ask(&mut visitor, &format!("{place}?{list}"));
        assert!(
            lines.contains(
                "revert=SUCCESS\nkeys=SUCCESS \nuser=SUCCESS -\ntimeout=SUCCESS 1800000000\n"
            ),
            "{lines}"
        );
        assert!(lines.ends_with("revert=SUCCESS\nget=SUCCESS 2\nkeys=SUCCESS a"), "{lines}");
        // An end is taken back as well, a new id too; the store knows of neither.
        let id = visitor.jar.get(COOKIE).map(str::to_owned);
        for end in ["delete", "invalidate", "regenerate", "set:a=9;reload;get:a"] {
            let lines = ask(&mut visitor, &format!("{place}?{end};revert;get:a"));
            assert!(lines.ends_with("revert=SUCCESS\nget=SUCCESS 2"), "{end}: {lines}");
        }
        assert_eq!(ask(&mut visitor, &format!("{place}?get:a")), "get=SUCCESS 2");
        assert_eq!(visitor.jar.get(COOKIE).map(str::to_owned), id);
    }
    assert_eq!(records(&server), 2);
}

#[test]
fn a_session_deleted_and_filled_again_keeps_its_id_and_an_invalidated_one_does_not() {
    let server = probed().start();
    for place in ["/c", "/p"] {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("{place}?set:a=1;set:b=1"));
        let id = visitor.jar.get(COOKIE).map(str::to_owned);
        let lines =
            ask(&mut visitor, &format!("{place}?delete;get:a;set:c=1;delete;set:d=1;is_new"));
        assert!(lines.ends_with("set=SUCCESS\nis_new=SUCCESS 1"), "{lines}");
        assert_eq!(visitor.jar.get(COOKIE).map(str::to_owned), id);
        assert_eq!(ask(&mut visitor, &format!("{place}?keys")), "keys=SUCCESS d");
        ask(&mut visitor, &format!("{place}?invalidate;set:e=1"));
        assert_ne!(visitor.jar.get(COOKIE).map(str::to_owned), id);
        assert_eq!(ask(&mut visitor, &format!("{place}?keys")), "keys=SUCCESS e");
        // Ended for good, in each way.
        ask(&mut visitor, &format!("{place}?unset:e"));
        assert!(visitor.jar.is_empty());
    }
    assert_eq!(records(&server), 0);
    let lines = ask(&mut server.client(), "/c?delete;invalidate;regenerate;reload;save;revert");
    let wanted = "delete=NOTFOUND\ninvalidate=NOTFOUND\nregenerate=NOTFOUND\nreload=SUCCESS\n\
                  save=SUCCESS\nrevert=SUCCESS";
    assert_eq!(lines, wanted);
}

#[test]
fn an_old_id_finds_the_session_for_a_while_and_renews_nothing() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    let mut late = visitor.clone();
    ask(&mut visitor, "/c?regenerate");
    let lines = ask(&mut late, "/c?get:a;regenerate;set_user:ann;set:a=2");
    assert_eq!(lines, "get=SUCCESS 1\nregenerate=EINVAL\nset_user=EINVAL\nset=SUCCESS");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 2");
    assert_ne!(late.jar.get(COOKIE), visitor.jar.get(COOKIE));
    ask(&mut late, "/c?invalidate");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=NOTFOUND");
}
