//! Form tokens, and looks at other sessions.

use super::*;
use crate::steps::{Signals, answer};
use crate::support::parallel;

/// A visitor who has a session with `a` = 1, and its id.
fn other(server: &Server) -> (Client, String) {
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let line = ask(&mut visitor, "/p?id");
    let id = line.strip_prefix("id=SUCCESS ").expect("an id").to_owned();
    (visitor, id)
}

fn token(visitor: &mut Client, place: &str) -> String {
    let line = ask(visitor, &format!("{place}?form_token_new"));
    line.strip_prefix("form_token_new=SUCCESS ").expect("a token").to_owned()
}

#[test]
fn a_form_token_is_good_once_in_its_session_only() {
    let server = probed().start();
    for place in ["/c", "/s"] {
        let (mut alice, mut eve) = (server.client(), other(&server).0);
        let token = token(&mut alice, place);
        assert_eq!((token.len(), alice.jar.get(COOKIE).is_some()), (22, true));
        let check = format!("{place}?form_token_check:{token}");
        assert_eq!(ask(&mut eve, &check), "form_token_check=SUCCESS 0");
        assert_eq!(ask(&mut alice, &check), "form_token_check=SUCCESS 1");
        assert_eq!(ask(&mut alice, &check), "form_token_check=SUCCESS 0");
        for text in ["%ff%ff", "x", "%20"] {
            let answer = ask(&mut alice, &format!("{place}?form_token_check:{text}"));
            assert_eq!(answer, "form_token_check=SUCCESS 0");
        }
    }
}

#[test]
fn without_a_lease_too_one_of_many_answers_to_a_form_is_taken() {
    let server = probed()
        .ready_for(8)
        .conf("SessionLockTimeout 20s\n<Location \"/c\">\nSessionLocking commit\n</Location>")
        .start();
    let mut visitor = server.client();
    let token = token(&mut visitor, "/c");
    let answers =
        parallel(8, |_| ask(&mut visitor.clone(), &format!("/c?form_token_check:{token}")));
    let taken = answers.iter().filter(|answer| *answer == "form_token_check=SUCCESS 1").count();
    assert_eq!(taken, 1, "{answers:?}");
}

#[test]
fn a_failed_answer_leaves_the_token_open() {
    let server = probed().start();
    let mut visitor = server.client();
    let token = token(&mut visitor, "/p");
    let failing = Request::get(&format!("/p?form_token_check:{token};status:500")).close();
    visitor.send(&failing).expect(500);
    assert_eq!(
        ask(&mut visitor, &format!("/p?form_token_check:{token}")),
        "form_token_check=SUCCESS 1"
    );
}

#[test]
fn another_session_is_looked_at_by_its_id_even_while_it_is_held() {
    let server = probed().start();
    let (mut alice, id) = other(&server);
    let signals = Signals::of(&server);
    let list =
        ["open:write;set:a=2", &signals.give("held"), &signals.await_("go"), "save"].join(";");
    let held = alice.open(&Request::get(&format!("/c?{list}")));
    // Nobody may ask before that: a session is refused at once to whom it is not free for.
    signals.wait("held");
    assert_eq!(ask(&mut alice.clone(), "/c?trylock"), "trylock=EBUSY");
    for place in ["/c", "/s"] {
        let mut bob = server.client();
        assert_eq!(ask(&mut bob, &format!("{place}?peek:{id}=a")), "peek=SUCCESS 1");
        assert_eq!(ask(&mut bob, &format!("{place}?peek:{id}=none")), "peek=NOTFOUND");
        assert!(bob.jar.is_empty());
    }
    server.expect_log("a request was refused its session");
    signals.raise("go");
    assert!(answer(held).expect(200).text().ends_with("save=SUCCESS\n"));
    assert_eq!(records(&server), 1);
}

#[test]
fn an_id_that_names_no_session_of_this_place_shows_nothing() {
    let server = probed().conf("<Location \"/s\">\nSessionScope elsewhere\n</Location>").start();
    let (_alice, id) = other(&server);
    let mut bob = server.client();
    assert_eq!(ask(&mut bob, &format!("/s?peek:{id}=a")), "peek=NOTFOUND");
    assert_eq!(ask(&mut bob, &format!("/p?peek:{}=a", "A".repeat(43))), "peek=NOTFOUND");
    assert_eq!(ask(&mut bob, "/p?peek:short=a"), "peek=EINVAL");
    assert_eq!(ask(&mut bob, &format!("/p?peek:{id}=")), "peek=EINVAL");
}

#[test]
fn an_unsigned_id_shows_nothing_where_ids_are_signed() {
    let server = probed().conf("SessionSecret 0123456789abcdef").start();
    server.expect_log("SessionSecret has a secret in the configuration itself");
    let (_alice, id) = other(&server);
    let (bare, _) = id.split_once('.').expect("a signed id");
    let mut bob = server.client();
    assert_eq!(ask(&mut bob, &format!("/p?peek:{id}=a")), "peek=SUCCESS 1");
    assert_eq!(ask(&mut bob, &format!("/p?peek:{bare}=a")), "peek=EINVAL");
}
