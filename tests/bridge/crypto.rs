//! mod_session_crypto: entries that nobody but mod_session can read.

use super::{entries, forms, id, is_in, log_in, set_entries};
use crate::steps::run;
use crate::support::probed::{one_cookie_at_most, records};
use crate::support::{Builder, stored};

fn encrypted() -> Builder {
    forms()
        .module("session_crypto")
        .conf("SessionCryptoDriver openssl\nSessionCryptoPassphrase \"the passphrase\"")
}

#[test]
fn a_login_is_kept_encrypted_and_the_rest_of_the_session_beside_it() {
    let server = encrypted().start();
    let mut visitor = server.client();
    run(&mut visitor, "set:cart=3");
    let before = id(&visitor);
    let login = log_in(&mut visitor, "ann").expect(302);
    assert_eq!(login.set_cookies().len(), 1);
    assert_ne!(id(&visitor), before);
    assert!(is_in(&mut visitor));
    assert_eq!(
        run(&mut visitor, "keys;user;notes"),
        [
            "keys=SUCCESS cart",
            "user=SUCCESS ann",
            "notes=SUCCESS session:cart,session-store.new,session-store.reason,session-store.timeout,\
             session-store.created,session-store.accessed,session-store.user,session-store.id"
        ]
    );
    let holds = |text| stored::holds(&server, text);
    assert!(holds("mod_session") && holds("cart"));
    assert!(!holds("sesame") && !holds("Realm-user"));
    // mod_session sees its own entries only.
    assert_eq!(entries(&mut visitor), "My+Realm-user=ann&My+Realm-pw=open+sesame");
    set_entries(&mut visitor, "color=red");
    assert!(entries(&mut visitor).ends_with("&color=red"));
    assert!(is_in(&mut visitor));
    assert_eq!(run(&mut visitor, "keys"), ["keys=SUCCESS cart"]);
}

#[test]
fn a_logout_removes_the_encrypted_text_and_an_empty_session_ends() {
    for age in ["", "SessionMaxAge 3600"] {
        let server = encrypted().conf(age).start();
        let mut visitor = server.client();
        log_in(&mut visitor, "ann").expect(302);
        assert!(is_in(&mut visitor));
        one_cookie_at_most(&visitor.get("/logout").expect(307));
        assert!(visitor.jar.is_empty());
        assert_eq!(records(&server), 0);
        log_in(&mut visitor, "bob").expect(302);
        run(&mut visitor, "set:cart=1");
        one_cookie_at_most(&visitor.get("/logout").expect(307));
        assert!(!is_in(&mut visitor));
        assert_eq!(run(&mut visitor, "keys;user"), ["keys=SUCCESS cart", "user=SUCCESS -"]);
    }
}

#[test]
fn with_another_passphrase_there_is_no_login_until_the_next_one() {
    let mut server = encrypted().start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    run(&mut visitor, "set:cart=1");
    server.reconfigure(|builder| builder.conf("SessionCryptoPassphrase \"another one\""));
    server.reconfigure(|_| {
        forms()
            .module("session_crypto")
            .conf("SessionCryptoDriver openssl\nSessionCryptoPassphrase \"another one\"")
    });
    server.reload_graceful();
    assert!(!is_in(&mut visitor));
    assert_eq!(run(&mut visitor, "get:cart"), ["get=SUCCESS 1"]);
    log_in(&mut visitor, "ann").expect(302);
    assert!(is_in(&mut visitor));
    server.expect_log("decrypt session failed, wrong passphrase?");
}

#[test]
fn where_nothing_is_encrypted_the_encrypted_text_stays_as_it_is() {
    let server = forms()
        .module("session_crypto")
        .conf(
            "SessionCryptoDriver openssl\n\
             <LocationMatch \"^/(in|login|logout)\">\nSessionCryptoPassphrase \"the passphrase\"\n</LocationMatch>",
        )
        .start();
    let mut visitor = server.client();
    log_in(&mut visitor, "ann").expect(302);
    assert_eq!(entries(&mut visitor), "");
    set_entries(&mut visitor, "cart=1");
    assert_eq!(entries(&mut visitor), "cart=1");
    assert_eq!(run(&mut visitor, "keys"), ["keys=SUCCESS cart"]);
    assert!(is_in(&mut visitor));
    let other = entries(&mut visitor);
    assert!(!other.contains("Realm"), "{other}");
}
