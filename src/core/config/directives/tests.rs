use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SERVER_FILE: Origin = Origin { htaccess: false };
const HTACCESS: Origin = Origin { htaccess: true };

/// Of each directive: arguments that are taken and arguments that are not.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    ("SessionEngine", &["on", "Off"], &["yes", "1", "on off"]),
    (
        "SessionStore",
        &[
            "file",
            "file:/srv/sessions",
            "dbm:/a/b?map=8G",
            "memory:32M",
            "redis://h",
            "socache:shmcb",
            "own:x",
        ],
        &["file:", "dbm:/a?map=1", "memory:1", "redis:h", "rediss://h?time=1s", "socache", "a/b"],
    ),
    ("SessionDataDir", &["/srv/sessions", "var/sessions"], &["", "/a /b", "/a\u{7}"]),
    ("SessionDBMType", &["lmdb", "default", "gdbm", "DB", "SDBM"], &["ndbm", "", "lmdb DB"]),
    ("SessionMemorySize", &["1M", "64m", "1024G"], &["1023K", "1025G", "much", "1M 2M"]),
    ("SessionMaxSessions", &["0", "2000000000"], &["-1", "1K", "2000000001"]),
    ("SessionLocks", &["1", "65536"], &["0", "65537", "many", "1 2"]),
    ("SessionLocking", &["request", "commit", "READ", "off"], &["on", "exclusive", "write"]),
    ("SessionLockTimeout", &["0", "1h"], &["3601s", "-1", "soon"]),
    (
        "SessionLockWaiters",
        &["1", "4096 100%"],
        &["0", "4097", "16 25", "16 0%", "16 101%", "1 1% 1"],
    ),
    ("SessionLockHold", &["0", "1d"], &["25h", "5 m", "five"]),
    ("SessionTimeout", &["1s", "400d"], &["0", "401d", "1w", "30 m"]),
    ("SessionMaxLifetime", &["0", "400d"], &["401d", "ever"]),
    ("SessionTouchInterval", &["0", "1d"], &["25h", "1.5s"]),
    ("SessionIdName", &["id", "__Host-id"], &["a b", "a;b", "", "größe"]),
    (
        "SessionIdSource",
        &["cookie", "cookie header:X-Id query:id"],
        &["query:id cookie", "post:id"],
    ),
    ("SessionIdPath", &["/", "/shop"], &["shop", "/a;b", ""]),
    ("SessionIdDomain", &["none", ".Example.org"], &["localhost", "10.0.0.1", "a_-.org", ""]),
    ("SessionIdSameSite", &["Strict", "none"], &["off", "relaxed"]),
    ("SessionIdSecure", &["auto", "On"], &["https", ""]),
    ("SessionIdHttpOnly", &["on", "off"], &["auto"]),
    ("SessionIdPartitioned", &["on", "off"], &["true"]),
    ("SessionIdMaxAge", &["session", "timeout", "400d"], &["0", "401d", "forever"]),
    ("SessionIdRefresh", &["on", "off"], &["always"]),
    ("SessionIdHide", &["on", "off"], &["cookie"]),
    ("SessionScope", &["shop", "shop.example.org:8080"], &["", "two words", "größe"]),
    (
        "SessionSecret",
        &["file:/a exec:/b", "0123456789abcdef"],
        &["0123456789abcde", "fiel:/etc/secret"],
    ),
    ("SessionRegenerateGrace", &["0", "10m"], &["11m", "none"]),
    ("SessionInvalidateCorrupt", &["on", "off"], &["keep"]),
    ("SessionSaveOnError", &["on", "off"], &["500"]),
    ("SessionMaxSize", &["1K", "16M", "65536"], &["1023", "17M", "64KB"]),
    ("SessionMaxKeys", &["1", "4096"], &["0", "4097", "4K"]),
    ("SessionStoreFailure", &["fail", "readonly", "ignore"], &["503"]),
    ("SessionNotes", &["on", "off"], &["in"]),
    (
        "SessionExport",
        &["env *", "env cart user.name", "headers *", "headers a_b-c.1", "none"],
        &[
            "env",
            "headers",
            "*",
            "none *",
            "cookie *",
            "env a * b",
            "env a:b",
            "headers größe",
            "env ",
        ],
    ),
    ("SessionBackendHeaders", &["values", "ALL", "off"], &["on", "user"]),
    ("SessionCacheControl", &["on", "off"], &["private"]),
    ("SessionCleanupInterval", &["0", "1s", "1d"], &["25h", "often"]),
    ("SessionCleanupTimeLimit", &["1s", "1h"], &["0", "61m"]),
    ("SessionCleanupGrace", &["2s", "1d"], &["1s", "25h"]),
    ("SessionSync", &["on", "off"], &["data"]),
];

/// What a `.htaccess` file may say, and what it may not although a server file may.
const IN_HTACCESS: &[(&str, &[&str], &[&str])] = &[
    ("SessionEngine", &["off"], &["on"]),
    ("SessionLocking", &["read", "request", "commit", "off"], &[]),
    ("SessionTimeout", &["5m"], &[]),
    ("SessionTouchInterval", &["10s"], &[]),
    ("SessionCacheControl", &["on"], &["off"]),
];

/// Directives without an argument that means the same as their absence.
const NO_DEFAULT: [&str; 3] = ["SessionDataDir", "SessionScope", "SessionSecret"];

#[derive(Debug, Default, Clone, PartialEq)]
struct Settings {
    server: Server,
    place: Place,
}

impl Settings {
    fn apply(&mut self, row: &Directive, arguments: &str, origin: Origin) -> Result<(), String> {
        // An empty text is one empty argument, as `""` in a configuration is.
        let words: Vec<&str> = arguments.split(' ').collect();
        self.apply_words(row, &words, origin)
    }

    fn apply_words(
        &mut self,
        row: &Directive,
        words: &[&str],
        origin: Origin,
    ) -> Result<(), String> {
        let target = match row.is_for_server() {
            true => Target::Server(&mut self.server),
            false => Target::Place(&mut self.place),
        };
        row.apply(target, words, origin)
    }

    /// What holds, by every accessor.
    fn effective(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let (place, server) = (&self.place, &self.server);
        let locking = (
            place.engine(),
            place.locking(),
            place.lock_timeout(),
            place.lock_waiters(),
            place.lock_hold(),
        );
        let timeout = place.timeout();
        let life = (
            timeout,
            place.max_lifetime(),
            place.touch_interval(timeout),
            place.regenerate_grace(),
        );
        let id = (
            place.id_name().to_owned(),
            place.id_sources().clone(),
            place.id_path().to_owned(),
            place.id_domain().map(str::to_owned),
            place.scope(Some(&"host".into())).map(|scope| scope.to_string()),
        );
        let cookie = (
            place.id_same_site(),
            place.id_secure(),
            place.id_http_only(),
            place.id_partitioned(),
            place.id_max_age(),
            place.id_refresh(),
            place.id_hide(),
        );
        let content = (
            place.invalidate_corrupt(),
            place.save_on_error(),
            place.max_size(),
            place.max_keys(),
            place.store_failure(),
            place.notes(),
            place.cache_control(),
        );
        let handlers =
            (place.export_env().clone(), place.export_headers().clone(), place.backend_headers());
        let whole = (
            server.store(),
            server.directory(),
            server.dbm_type(),
            server.memory_size(),
            server.locks(),
            server.secrets().to_vec(),
            server.sync(),
        );
        let cleanup = (
            server.max_sessions(),
            server.cleanup_interval(),
            server.cleanup_limit(),
            server.cleanup_grace(),
        );
        (locking, life, id, cookie, content, handlers, whole, cleanup)
    }
}

fn examples(row: &Directive) -> (&'static [&'static str], &'static [&'static str]) {
    let found = EXAMPLES.iter().find(|(name, ..)| *name == row.name);
    let (_, good, bad) = found.unwrap_or_else(|| panic!("{} has no examples", row.name));
    (good, bad)
}

#[test]
fn every_directive_takes_its_good_examples_and_refuses_the_others() {
    for row in DIRECTIVES {
        let (good, bad) = examples(row);
        assert!(!good.is_empty() && !bad.is_empty(), "{}", row.name);
        for arguments in good {
            let mut settings = Settings::default();
            assert_eq!(
                settings.apply(row, arguments, SERVER_FILE),
                Ok(()),
                "{} {arguments}",
                row.name
            );
            assert_ne!(settings, Settings::default(), "{} {arguments}", row.name);
        }
        for arguments in bad {
            let mut settings = Settings::default();
            let error = settings.apply(row, arguments, SERVER_FILE).expect_err(row.name);
            assert!(error.starts_with("takes ") && error.contains(row.allowed), "{error}");
            assert_eq!(settings, Settings::default(), "{} {arguments}", row.name);
        }
    }
    assert_eq!(EXAMPLES.len(), DIRECTIVES.len());
}

#[test]
fn every_example_but_a_default_changes_what_holds() {
    for row in DIRECTIVES {
        let changes = |arguments: &&&str| {
            let mut settings = Settings::default();
            settings.apply(row, arguments, SERVER_FILE).unwrap();
            settings.effective() != Settings::default().effective()
        };
        assert!(examples(row).0.iter().filter(changes).count() > 0, "{} sets nothing", row.name);
    }
}

#[test]
fn the_default_of_the_table_is_what_holds_without_the_directive() {
    for row in DIRECTIVES.iter().filter(|row| !NO_DEFAULT.contains(&row.name)) {
        let mut settings = Settings::default();
        assert_eq!(settings.apply(row, row.default, SERVER_FILE), Ok(()), "{}", row.name);
        assert_eq!(settings.effective(), Settings::default().effective(), "{}", row.name);
    }
    let nothing = Settings::default();
    assert_eq!(nothing.server.directory(), Ok(None));
    assert!(nothing.server.secrets().is_empty());
    assert_eq!(nothing.place.scope(None), None);
}

#[test]
fn an_htaccess_file_may_say_what_does_no_harm_and_nothing_else() {
    for row in DIRECTIVES {
        let listed = IN_HTACCESS.iter().find(|(name, ..)| *name == row.name);
        assert_eq!(listed.is_some(), row.htaccess.is_some(), "{}", row.name);
        let Some((_, good, bad)) = listed else {
            let error = Settings::default().apply(row, examples(row).0[0], HTACCESS);
            assert_eq!(error, Err("is not allowed in .htaccess".to_owned()), "{}", row.name);
            continue;
        };
        for arguments in *good {
            assert_eq!(Settings::default().apply(row, arguments, HTACCESS), Ok(()), "{}", row.name);
        }
        for arguments in *bad {
            let mut settings = Settings::default();
            let error = settings.apply(row, arguments, HTACCESS).expect_err(row.name);
            assert!(error.starts_with("in .htaccess takes "), "{error}");
            assert_eq!(settings, Settings::default());
        }
    }
}

#[test]
fn the_inner_setting_of_each_directive_wins_and_is_inherited() {
    for row in DIRECTIVES.iter().filter(|row| !row.is_for_server()) {
        let good = examples(row).0;
        let of = |arguments: &str| {
            let mut settings = Settings::default();
            settings.apply(row, arguments, SERVER_FILE).unwrap();
            settings.place
        };
        let (outer, inner) = (of(good[0]), of(good[good.len() - 1]));
        assert_ne!(outer, inner, "{} needs two examples that differ", row.name);
        assert_eq!(Place::merge(&outer, &inner), inner, "{}", row.name);
        assert_eq!(Place::merge(&outer, &Place::default()), outer, "{}", row.name);
        assert_eq!(Place::merge(&Place::default(), &inner), inner, "{}", row.name);
    }
}

#[test]
fn what_is_for_the_whole_server_is_given_once_and_outside_of_sections() {
    for row in DIRECTIVES.iter().filter(|row| row.is_for_server()) {
        let good = examples(row).0[0];
        let mut settings = Settings::default();
        settings.apply(row, good, SERVER_FILE).unwrap();
        let again = settings.apply(row, good, SERVER_FILE).expect_err(row.name);
        assert!(again.contains("only one is allowed"), "{again}");
        let inside = row.apply(Target::Place(&mut settings.place), &[good], SERVER_FILE);
        assert!(inside.expect_err(row.name).contains("outside of all sections"));
    }
}

#[test]
fn a_wrong_number_of_arguments_is_answered_with_what_is_taken() {
    for row in DIRECTIVES {
        let error = Settings::default().apply_words(row, &[], SERVER_FILE).expect_err(row.name);
        assert!(error.contains("argument") && error.contains(row.allowed), "{error}");
    }
    let timeout = find("sessiontimeout").unwrap();
    let error = Settings::default().apply(timeout, "1 2", SERVER_FILE).unwrap_err();
    assert!(error.starts_with("takes one argument: a time"), "{error}");
}

#[test]
fn the_number_of_waiters_alone_keeps_the_share() {
    let mut settings = Settings::default();
    settings.apply(find("SessionLockWaiters").unwrap(), "3", SERVER_FILE).unwrap();
    let waiters = settings.place.lock_waiters();
    assert_eq!((waiters.session, waiters.percent), (3, 25));
}

#[test]
fn no_more_than_eight_secrets_are_taken() {
    let row = find("SessionSecret").unwrap();
    assert_eq!(Settings::default().apply_words(row, &["file:/s"; 8], SERVER_FILE), Ok(()));
    assert!(Settings::default().apply_words(row, &["file:/s"; 9], SERVER_FILE).is_err());
}

#[test]
fn neither_errors_nor_debug_output_repeat_a_secret() {
    let row = find("SessionSecret").unwrap();
    let long = "hidden".repeat(200);
    for secret in
        ["hidden", "exec: ", "EXEC:hidden-hidden-hidden", "hidden-hidden\u{7}-hidden", &long]
    {
        let mut settings = Settings::default();
        let error = settings.apply_words(row, &[secret], SERVER_FILE).expect_err(secret);
        assert!(!error.contains("hidden"), "{error}");
    }
    let mut settings = Settings::default();
    let taken = ["hidden-hidden-hidden", "exec:/bin/x hidden", ":hidden-hidden-hidden"];
    settings.apply_words(row, &taken, SERVER_FILE).unwrap();
    assert!(!format!("{:?}", settings.server).contains("hidden"));
}

#[test]
fn names_are_unique_and_none_is_another_modules() {
    const TAKEN: [&str; 23] = [
        "Session",
        "SessionMaxAge",
        "SessionHeader",
        "SessionEnv",
        "SessionInclude",
        "SessionExclude",
        "SessionExpiryUpdateInterval",
        "SessionCookieName",
        "SessionCookieName2",
        "SessionCookieRemove",
        "SessionCookieMaxAge",
        "SessionCryptoPassphrase",
        "SessionCryptoPassphraseFile",
        "SessionCryptoCipher",
        "SessionCryptoDriver",
        "SessionDBDSelectLabel",
        "SessionDBDInsertLabel",
        "SessionDBDUpdateLabel",
        "SessionDBDDeleteLabel",
        "SessionDBDPerUser",
        "SessionDBDCookieRemove",
        "SessionDBDCookieName",
        "SessionDBDCookieName2",
    ];
    for (at, row) in DIRECTIVES.iter().enumerate() {
        let same = |name: &str| name.eq_ignore_ascii_case(row.name);
        assert!(!TAKEN.iter().any(|name| same(name)), "{}", row.name);
        assert_eq!(DIRECTIVES.iter().position(|other| same(other.name)), Some(at));
    }
}

proptest! {
    #[test]
    fn no_argument_text_panics(
        row in 0..DIRECTIVES.len(),
        words in vec(argument(), 0..4),
        htaccess: bool,
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut settings = Settings::default();
        let result = settings.apply_words(&DIRECTIVES[row], &words, Origin { htaccess });
        if result.is_err() {
            prop_assert_eq!(settings, Settings::default());
        } else {
            settings.effective();
        }
    }
}

/// Any text, and texts that get past the first look of some parser.
fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[0-9]{0,24}[smhdKMG%]?",
        "(file|exec|header|query|cookie):?.{0,24}",
        "[/.]?[a-zA-Z0-9.;_-]{0,24}",
    ]
}

#[test]
fn what_was_taken_is_shown_without_passwords_and_secrets() {
    let shown = |name: &str, words: &[&str]| find(name).unwrap().without_secrets(words);
    let store = shown("SessionStore", &["redis://u:hidden@h/1"]);
    assert_eq!(store.as_deref(), Some("redis://...@h/1"));
    let secrets = shown("SessionSecret", &["file:/etc/secret", "0123456789abcdef"]);
    assert_eq!(secrets.as_deref(), Some("file:/etc/secret ..."));
    assert_eq!(shown("SessionStore", &["redis://h?password_file=/f"]), None);
    assert_eq!(shown("SessionScope", &["u:hidden@h"]), None);
}
