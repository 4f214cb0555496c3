//! Login, logout and inline login by mod_auth_form.

use std::fs;
use std::time::Duration;

use super::{PASSWORD, entries, form, forms, id, is_in, log_in};
use crate::mpm_tests;
use crate::steps::{COOKIE, run};
use crate::support::probed::{one_cookie_at_most, records};
use crate::support::{Mpm, Response, Store, on, wait_for};

const WRONG: &str = "password Mismatch";

/// Fails if the answer holds more of us than one id, or the password.
#[track_caller]
fn is_discreet(answer: &Response) {
    one_cookie_at_most(answer);
    for line in answer.set_cookies() {
        let value = line.strip_prefix("session_store=").expect("our cookie");
        let value = value.split(';').next().expect("a value");
        let is_id = |value: &str| {
            value.len() == 43
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        assert!(value.is_empty() || is_id(value), "{line}");
    }
    let all = format!("{:?}\n{}", answer.headers, answer.text()).to_lowercase();
    for part in ["open", "sesame", "realm-", "expiry"] {
        assert!(!all.contains(part), "{part} in {all}");
    }
}

mpm_tests!(a_login_lets_in_and_a_logout_ends_it);

fn a_login_lets_in_and_a_logout_ends_it(mpm: Mpm) {
    let server = forms().mpm(mpm).log_level("debug").start();
    let mut visitor = server.client();
    let refused = visitor.get("/in/page.html").expect(401);
    is_discreet(&refused);
    let wrong = visitor.post("/login", &form("ann", "open sesam")).expect(401);
    is_discreet(&wrong);
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);

    let login = log_in(&mut visitor, "ann").expect(302);
    is_discreet(&login);
    assert!(login.header("Location").expect("where to").ends_with("/in/page.html"));
    assert_eq!(login.set_cookies().len(), 1);
    assert!(login.set_cookies()[0].contains("HttpOnly"));
    for _ in 0..2 {
        let inside = visitor.get("/in/page.html").expect(200);
        is_discreet(&inside);
        assert_eq!((inside.text().as_str(), inside.set_cookies().len()), ("inside\n", 0));
        assert_eq!(inside.headers_all("Vary"), ["Cookie"]);
        assert_eq!(inside.headers_all("Cache-Control"), ["private, no-cache"]);
    }
    assert_eq!(run(&mut visitor, "user"), ["user=SUCCESS ann"]);
    assert_eq!(records(&server), 1);

    let logout = visitor.get("/logout").expect(307);
    is_discreet(&logout);
    assert_eq!(logout.set_cookies().len(), 1);
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);
    assert!(!is_in(&mut visitor));
    server.expect_log(WRONG);
    server.allow_log("AH01807");
    server.assert_no_secret(&[PASSWORD, "open+sesame", "sesame"]);
}

#[test]
fn a_login_is_kept_in_the_memory_store_too() {
    on(Store::Memory, || a_login_lets_in_and_a_logout_ends_it(Mpm::Event));
}

#[test]
fn the_id_changes_at_login_and_what_was_planted_finds_nothing() {
    let server = forms().start();
    let mut visitor = server.client();
    run(&mut visitor, "set:n=1");
    let mut planted = visitor.clone();
    log_in(&mut visitor, "ann").expect(302);
    assert_ne!(id(&visitor), id(&planted));
    assert!(!is_in(&mut planted));
    assert_eq!(run(&mut planted, "get:n;user"), ["get=NOTFOUND", "user=SUCCESS -"]);
    // What was there before the login stays.
    assert_eq!(run(&mut visitor, "get:n;user"), ["get=SUCCESS 1", "user=SUCCESS ann"]);
    let ann = visitor.clone();
    log_in(&mut visitor, "bob").expect(302);
    assert_ne!(id(&visitor), id(&ann));
    assert!(!is_in(&mut ann.clone()));
    assert_eq!(run(&mut visitor, "get:n;user"), ["get=SUCCESS 1", "user=SUCCESS bob"]);
    assert_eq!(records(&server), 1);
}

#[test]
fn a_logout_keeps_what_others_have_in_the_session_under_a_new_id() {
    let server = forms().start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    run(&mut visitor, "set:cart=3");
    let before = visitor.clone();
    let logout = visitor.get("/logout").expect(307);
    assert_eq!(logout.set_cookies().len(), 1);
    assert_ne!(id(&visitor), id(&before));
    assert_eq!(
        run(&mut visitor, "keys;get:cart;user"),
        ["keys=SUCCESS cart", "get=SUCCESS 3", "user=SUCCESS -"]
    );
    assert!(!is_in(&mut before.clone()) && !is_in(&mut visitor));
    assert_eq!(records(&server), 1);
}

#[test]
fn a_wrong_password_or_a_logout_of_nobody_make_no_session() {
    let server = forms().start();
    let mut visitor = server.client();
    visitor.post("/login", &form("ann", "wrong")).expect(401);
    visitor.post("/login", &form("nobody", PASSWORD)).expect(401);
    visitor.post("/login", "").expect(401);
    visitor.get("/logout").expect(307);
    assert!(visitor.jar.is_empty());
    assert_eq!(records(&server), 0);
    // Nor do they end one.
    run(&mut visitor, "set:n=1");
    visitor.post("/login", &form("ann", "wrong")).expect(401);
    visitor.get("/logout").expect(307);
    assert_eq!(run(&mut visitor, "get:n"), ["get=SUCCESS 1"]);
    for line in ["AH01807", "AH01808"] {
        server.expect_log(line);
    }
}

#[test]
fn a_form_that_is_sent_to_the_page_itself_logs_in() {
    let server = forms().start();
    // With a page to go to.
    let mut visitor = server.client();
    let body = format!("{}&httpd_location=/in/other.html", form("ann", PASSWORD));
    let answer = visitor.post("/in/page.html", &body).expect(302);
    is_discreet(&answer);
    assert!(answer.header("Location").expect("where to").ends_with("/in/other.html"));
    assert!(is_in(&mut visitor));
    // With the request that the form came in between.
    let mut visitor = server.client();
    let before = "httpd_method=GET&httpd_mimetype=text/plain&httpd_body=x";
    let body = format!("{}&{before}", form("bob", PASSWORD));
    let answer = visitor.post("/in/page.html", &body).expect(200);
    is_discreet(&answer);
    assert_eq!((answer.text().as_str(), answer.set_cookies().len()), ("inside\n", 1));
    assert!(is_in(&mut visitor));
    assert_eq!(run(&mut visitor, "user"), ["user=SUCCESS bob"]);
    // Somebody who has a session already.
    let planted = visitor.clone();
    let body = format!("{}&{before}", form("eve", PASSWORD));
    visitor.get("/logout").expect(307);
    run(&mut visitor, "set:n=1");
    let answer = visitor.post("/in/page.html", &body).expect(200);
    is_discreet(&answer);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_ne!(id(&visitor), id(&planted));
    assert_eq!(run(&mut visitor, "get:n;user"), ["get=SUCCESS 1", "user=SUCCESS eve"]);
    // A wrong password changes nothing.
    let wrong = server.client().post("/in/page.html", &form("ann", "wrong")).expect(401);
    is_discreet(&wrong);
    assert!(wrong.set_cookies().is_empty());
    assert_eq!(records(&server), 2);
    server.expect_log(WRONG);
}

#[test]
fn an_error_page_with_the_form_in_it_has_the_session() {
    let server = forms()
        .conf("ErrorDocument 401 /probe?incr:shown\nErrorDocument 404 /probe?user;get:n")
        .start();
    let mut visitor = server.client();
    let refused = visitor.get("/in/page.html").expect(401);
    assert_eq!((refused.text().as_str(), refused.set_cookies().len()), ("incr=SUCCESS 1\n", 1));
    let wrong = visitor.post("/login", &form("ann", "wrong")).expect(401);
    assert_eq!((wrong.text().as_str(), wrong.set_cookies().len()), ("incr=SUCCESS 2\n", 0));
    let before = id(&visitor);
    log_in(&mut visitor, "ann").expect(302);
    assert_ne!(id(&visitor), before);
    run(&mut visitor, "set:n=7");
    let missing = visitor.get("/in/absent").expect(404);
    assert_eq!(missing.text(), "user=SUCCESS ann\nget=SUCCESS 7\n");
    assert!(missing.set_cookies().is_empty());
    assert_eq!(records(&server), 1);
    server.expect_log(WRONG);
}

#[test]
fn a_login_whose_answer_is_a_page_of_its_own_is_kept_once() {
    // An internal redirect lies between the login and the head of the answer.
    let server = forms().conf("ErrorDocument 302 /probe?user;incr:pages").start();
    let mut visitor = server.client();
    let login = log_in(&mut visitor, "ann").expect(302);
    is_discreet(&login);
    assert_eq!(login.set_cookies().len(), 1);
    assert_eq!(run(&mut visitor, "user;get:pages"), ["user=SUCCESS ann", "get=SUCCESS 1"]);
    assert!(is_in(&mut visitor));
    assert_eq!(records(&server), 1);
}

#[test]
fn logins_survive_restarts() {
    let mut server = forms().start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    for _ in 0..2 {
        server.reload_graceful();
        assert!(is_in(&mut visitor.clone()));
    }
    server.restart();
    let survives = Store::current().survives_a_full_restart();
    assert_eq!(is_in(&mut visitor.clone()), survives);
    let mut other = server.client();
    log_in(&mut other, "bob").expect(302);
    assert!(is_in(&mut other));
    assert_eq!(records(&server), 1 + usize::from(survives));
}

#[test]
fn with_a_site_passphrase_the_password_is_asked_for_once() {
    let server = forms()
        .conf("<Location \"/\">\nAuthFormSitePassphrase \"site secret\"\n</Location>")
        .start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    fs::write(server.root().join("docs/users"), "").expect("taking all users away");
    assert!(is_in(&mut visitor));
    assert!(entries(&mut visitor).contains("-site="));
    assert_eq!(run(&mut visitor, "keys"), ["keys=SUCCESS My%20Realm-user"]);
    server.assert_no_secret(&["site secret"]);
}

#[test]
fn a_login_ends_by_mod_sessions_age_and_the_next_one_is_kept() {
    let server = forms().conf("SessionMaxAge 1\nSessionTouchInterval 0").start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    let mut stranger = server.client();
    let look = format!("/probe?peek:{}=My%20Realm-user", id(&visitor));
    wait_for("the end of the login", Duration::from_secs(10), || {
        let answer = stranger.get(&look).expect(200).text();
        (answer == "peek=NOTFOUND\n").then_some(())
    });
    assert!(!is_in(&mut visitor));
    // mod_session_dbd and mod_session_cookie lose this one.
    let login = log_in(&mut visitor, "ann").expect(302);
    assert_eq!(login.set_cookies().len(), 1);
    assert!(is_in(&mut visitor));
}

#[test]
fn a_login_by_an_id_that_is_not_known_gets_another_one() {
    let server = forms().start();
    let mut visitor = server.client();
    let invented = "A".repeat(43);
    visitor.jar.set(COOKIE, &invented);
    let login = log_in(&mut visitor, "ann").expect(302);
    assert_eq!(login.set_cookies().len(), 1);
    assert_ne!(id(&visitor), invented);
    assert!(is_in(&mut visitor));
}
