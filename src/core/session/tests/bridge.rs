//! mod_session's entries: what it is given, and what becomes of what it saves.

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::world::{Browser, World, key, minutes, value};
use crate::core::session::Session;
use crate::core::session::bridge::{Save, Unfit, encoded, entries, is_unopened, opened, sealed};
use crate::core::session::values::Values;

type Pair<'e> = (&'e str, &'e str);

fn bytes<'e>(pairs: &[Pair<'e>]) -> Vec<(&'e [u8], &'e [u8])> {
    pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
}

/// The entries of a session as mod_session is given them.
fn given(session: &Session) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    entries(session.all_values()).map(|(key, value)| (key.to_owned(), text(value))).collect()
}

/// What mod_session wants kept that was given the session as it is and has `now` instead.
fn plain(session: &Session, now: &[Pair<'_>]) -> Save {
    let now = bytes(now);
    let text = encoded(now.iter().copied());
    Save::of((session.all_values(), false), &now, &text).unwrap()
}

/// The same where others encode the text; `before` came out of the one before.
fn encrypted(before: &[Pair<'_>], now: &[Pair<'_>], text: &str) -> Save {
    let before = opened(bytes(before).into_iter());
    Save::of((&before, true), &bytes(now), text.as_bytes()).unwrap()
}

fn visit(browser: &mut Browser, now: &[Pair<'_>]) -> Option<String> {
    browser.visit(|session| plain(session, now).apply(session).unwrap())
}

#[test]
fn entries_are_keys_and_keys_are_entries() {
    let mut browser = World::new().browser(&[]);
    assert!(visit(&mut browser, &[("cart", "3"), ("expiry", "17"), ("seen", "")]).is_some());
    assert_eq!(browser.value("cart").as_deref(), Some("3"));
    assert_eq!((browser.value("expiry"), browser.value("seen").as_deref()), (None, Some("")));
    browser.put("php", "x");
    browser.visit(|session| session.set(&key("raw"), b"a\0b").unwrap());
    let wanted = [("cart", "3"), ("seen", ""), ("php", "x")];
    assert_eq!(given(&browser.look()), wanted.map(|(name, value)| (name.into(), value.into())));
    visit(&mut browser, &[("cart", "4"), ("php", "x")]);
    let session = browser.look();
    assert_eq!((value(&session, "cart").as_deref(), value(&session, "seen")), (Some("4"), None));
    // What cannot be an entry is no removal.
    assert_eq!(session.get(&key("raw")), Some(&b"a\0b"[..]));
}

#[test]
fn a_key_called_expiry_is_neither_shown_nor_changed() {
    let mut browser = World::new().browser(&[]);
    browser.put("Expiry", "mine");
    assert!(given(&browser.look()).is_empty());
    visit(&mut browser, &[("expiry", "17"), ("a", "1")]);
    assert_eq!(browser.value("expiry").as_deref(), Some("mine"));
}

#[test]
fn what_others_set_meanwhile_stays() {
    for lines in [&[][..], &["SessionLocking commit"]] {
        let mut browser = World::new().browser(lines);
        visit(&mut browser, &[("a", "1"), ("b", "1")]);
        let save = plain(&browser.look(), &[("a", "2")]);
        browser.put("c", "3");
        browser.put("a", "9");
        browser.visit(|session| save.apply(session).unwrap());
        let session = browser.look();
        let all = ["a", "b", "c"].map(|name| value(&session, name));
        assert_eq!(all, [Some("2".into()), None, Some("3".into())]);
    }
}

#[test]
fn a_login_gets_a_new_id_and_the_old_one_dies() {
    let mut browser = World::new().browser(&[]);
    visit(&mut browser, &[("cart", "1")]);
    let planted = browser.clone();
    let login = [("cart", "1"), ("Realm-user", "ann"), ("Realm-pw", "secret")];
    assert!(visit(&mut browser, &login).is_some());
    assert_eq!(browser.look().user(), Some("ann"));
    assert!(planted.look().is_new());
    assert_ne!(planted.key(), browser.key());
    // The same user again is no change.
    assert!(visit(&mut browser, &login).is_none());
    let other = [("cart", "1"), ("Realm-user", "bob"), ("Realm-pw", "secret")];
    assert!(visit(&mut browser, &other).is_some());
    assert_eq!(browser.look().user(), Some("bob"));
}

#[test]
fn a_logout_keeps_what_is_not_of_the_login_under_a_new_id() {
    let mut browser = World::new().browser(&[]);
    visit(&mut browser, &[("cart", "1"), ("Realm-user", "ann"), ("Realm-pw", "secret")]);
    assert!(visit(&mut browser, &[("cart", "1")]).is_some());
    let session = browser.look();
    assert_eq!((session.user(), value(&session, "cart").as_deref()), (None, Some("1")));
}

#[test]
fn what_is_empty_or_holds_its_expiry_alone_is_over() {
    for left in [&[][..], &[("expiry", "17")]] {
        let mut browser = World::new().browser(&[]);
        visit(&mut browser, &[("Realm-user", "ann"), ("Realm-pw", "secret")]);
        let cleared = visit(&mut browser, left).expect("a cookie that is cleared");
        assert!(cleared.starts_with("session_store=;"), "{cleared}");
        assert_eq!(browser.world.store.len(), 0);
    }
}

#[test]
fn nothing_is_made_of_nothing() {
    let mut browser = World::new().browser(&[]);
    for now in [&[][..], &[("expiry", "17")]] {
        let save = plain(&browser.look(), now);
        assert!(save.is_idle());
        assert_eq!(browser.visit(|session| save.with_age(Some(60)).apply(session).unwrap()), None);
    }
    assert_eq!(browser.world.store.len(), 0);
}

#[test]
fn a_user_whom_somebody_else_logged_in_stays() {
    let mut browser = World::new().browser(&[]);
    visit(&mut browser, &[("Realm-user", "ann"), ("x", "1")]);
    browser.visit(|session| session.set_user(Some("bob")).unwrap());
    visit(&mut browser, &[("x", "1")]);
    assert_eq!(browser.look().user(), Some("bob"));
}

#[test]
fn of_two_logins_the_one_that_is_left_names_the_user() {
    let mut browser = World::new().browser(&[]);
    visit(&mut browser, &[("A-user", "ann"), ("A-pw", "1")]);
    let both = [("A-user", "ann"), ("A-pw", "1"), ("B-user", "bob"), ("B-pw", "2")];
    visit(&mut browser, &both);
    assert_eq!(browser.look().user(), Some("bob"));
    visit(&mut browser, &both[..2]);
    assert_eq!(browser.look().user(), Some("ann"));
}

#[test]
fn a_user_that_is_no_text_is_percent_encoded() {
    let mut browser = World::new().browser(&[]);
    let now: [(&[u8], &[u8]); 1] = [(b"Realm-user", b"j\xf6rg")];
    let save = Save::of((&Values::default(), false), &now, &encoded(now.into_iter())).unwrap();
    browser.visit(|session| save.apply(session).unwrap());
    assert_eq!(browser.look().user(), Some("j%F6rg"));
    assert_eq!(browser.look().get(&key("Realm-user")), Some(&b"j\xf6rg"[..]));
}

#[test]
fn the_age_becomes_the_sessions_timeout() {
    let mut browser = World::new().browser(&["SessionTimeout 10m"]);
    browser.visit(|session| {
        plain(session, &[("a", "1")]).with_age(Some(1200)).apply(session).unwrap();
    });
    assert!(browser.look().has_own_timeout());
    let end = browser.look().own_end(&browser.world.clock).unwrap();
    assert_eq!(end, browser.world.services().clock.now().after(minutes(20)));
    browser.world.clock.advance(minutes(15));
    assert_eq!(browser.value("a").as_deref(), Some("1"));
    browser.visit(|session| Save::age_alone(60).apply(session).unwrap());
    browser.world.clock.advance(minutes(2));
    assert!(browser.look().is_new());
}

#[test]
fn entries_that_no_key_can_be_are_refused_as_a_whole() {
    let long = "k".repeat(129);
    let now = bytes(&[("a", "1"), ("mod_session", "x"), ("line\n", "x"), (&long, "x")]);
    let kept = Save::of((&Values::default(), false), &now, &encoded(now.iter().copied()));
    assert_eq!(kept.err(), Some(Unfit::Names(3)));
}

#[test]
fn an_encoded_text_is_kept_whole_and_nobody_is_shown_it() {
    let mut browser = World::new().browser(&[]);
    browser.put("cart", "1");
    let login = [("Realm-user", "ann"), ("Realm-pw", "secret"), ("mod_session", "odd")];
    let save = encrypted(&[], &login, "c2VhbGVk==");
    assert!(save.logs_in());
    assert!(browser.visit(|session| save.apply(session).unwrap()).is_some());
    let session = browser.look();
    assert_eq!(sealed(session.all_values()), Some(&b"c2VhbGVk=="[..]));
    assert_eq!(session.user(), Some("ann"));
    assert_eq!(session.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["cart"]);
    assert_eq!(given(&session), [("cart".into(), "1".into())]);

    // Logged out: the text goes, the cart does not.
    let save = encrypted(&login, &[("expiry", "17")], "ZXhwaXJ5==");
    browser.visit(|session| save.apply(session).unwrap());
    let session = browser.look();
    assert_eq!((session.user(), sealed(session.all_values())), (None, None));
    assert_eq!(value(&session, "cart").as_deref(), Some("1"));
}

#[test]
fn an_encoded_text_that_goes_and_leaves_nothing_ends_the_session() {
    let mut browser = World::new().browser(&[]);
    let login = [("Realm-user", "ann")];
    browser.visit(|session| encrypted(&[], &login, "c2VhbGVk").apply(session).unwrap());
    let save = encrypted(&login, &[], "");
    assert!(browser.visit(|session| save.apply(session).unwrap()).is_some());
    assert_eq!(browser.world.store.len(), 0);
}

#[test]
fn what_was_encoded_is_not_kept_as_it_is() {
    let now = bytes(&[("Realm-user", "ann")]);
    let text = encoded(now.iter().copied());
    let kept = Save::of((&opened(now.iter().copied()), true), &now, &text);
    assert_eq!(kept.err(), Some(Unfit::Opened));
}

#[test]
fn an_encoded_text_that_nobody_opened_is_known() {
    let text = b"c2VhbGVk+c2VhbGVk/cw==";
    let found = |pairs: &[Pair<'_>]| is_unopened(text, bytes(pairs).into_iter());
    assert!(found(&[("c2VhbGVk c2VhbGVk/cw", "=")]));
    assert!(found(&[("a", "1"), ("c2VhbGVk c2VhbGVk/cw", "")]));
    for opened in
        [("c", "1"), ("c2VhbGVk", "1"), ("c2VhbGVk+c2VhbGVk", "1"), ("My Realm-user-name", "x")]
    {
        assert!(!found(&[opened]), "{opened:?}");
    }
}

#[test]
fn an_encoded_text_of_the_same_entries_is_no_change() {
    let same = [("Realm-user", "ann"), ("expiry", "18")];
    assert!(encrypted(&[("Realm-user", "ann"), ("expiry", "17")], &same, "b3RoZXI=").is_idle());
    assert!(!encrypted(&[], &[("mod_session", "odd")], "b3RoZXI=").is_idle());
}

proptest! {
    /// Whatever mod_session was given and made of it: its changes and nobody else's are in force.
    #[test]
    fn a_save_does_what_it_changed_and_leaves_the_rest(
        before in btree_map("[a-e]", "[0-3]{0,2}", 1..5),
        now in btree_map("[a-e]", "[0-3]{0,2}", 0..5),
        others in btree_map("[a-h]", "[0-3]{1,2}", 0..5),
    ) {
        let mut browser = World::new().browser(&[]);
        let pairs = |map: &std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
            map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        for (name, value) in &before {
            browser.put(name, value);
        }
        let kept = pairs(&now);
        let kept: Vec<Pair<'_>> = kept.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let save = plain(&browser.look(), &kept);
        for (name, value) in &others {
            browser.put(name, value);
        }
        browser.visit(|session| save.apply(session).unwrap());
        let mut wanted = before.clone();
        wanted.extend(others.clone());
        for name in before.keys().chain(now.keys()) {
            match (before.get(name), now.get(name)) {
                (old, new) if old == new => {}
                (_, Some(new)) => drop(wanted.insert(name.clone(), new.clone())),
                (_, None) => drop(wanted.remove(name)),
            }
        }
        let found = browser.look();
        let found: std::collections::BTreeMap<String, String> = given(&found).into_iter().collect();
        prop_assert_eq!(found, wanted);
        prop_assert!(save.is_idle() == (before == now));
    }

    #[test]
    fn no_entries_and_no_text_panic(
        now in proptest::collection::vec((proptest::collection::vec(1u8.., 0..6), proptest::collection::vec(1u8.., 0..6)), 0..5),
        text in proptest::collection::vec(1u8.., 0..12),
        was_opened: bool,
    ) {
        let now: Vec<(&[u8], &[u8])> = now.iter().map(|(n, v)| (n.as_slice(), v.as_slice())).collect();
        let mut browser = World::new().browser(&[]);
        if let Ok(save) = Save::of((&Values::default(), was_opened), &now, &text) {
            browser.visit(|session| save.apply(session).unwrap());
        }
    }
}
