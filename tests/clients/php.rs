//! An unchanged application's `$_SESSION`, by PHP within httpd and behind FastCGI.

use super::interfaces::{id, with_fpm, with_php};
use crate::handlers::faces::{Backend, quoted};
use crate::support::probed::{Gate, ask, probed, records};
use crate::support::{Client, Request, Server, Store};

/// How PHP is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Php {
    Module,
    Fpm,
}

macro_rules! php_tests {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn module() {
                super::$name(super::Php::Module);
            }

            #[test]
            fn fpm() {
                super::$name(super::Php::Fpm);
            }
        }
    )+};
}

php_tests!(
    values_of_every_kind_come_back_as_they_were,
    there_is_one_cookie_and_none_for_nothing,
    a_new_id_keeps_the_values_and_a_destroyed_session_is_gone,
    a_session_begun_again_after_its_end_has_what_was_set_since,
    what_is_set_behind_much_output_is_stored,
    a_closed_session_is_others_while_the_script_goes_on,
    values_of_others_are_entries_and_what_php_does_not_touch_stays,
    what_was_tampered_with_is_not_read,
);

fn start(php: Php) -> (Server, Option<Backend>) {
    let base = probed().conf("SessionRegenerateGrace 0");
    match php {
        Php::Module => (with_php(base).start(), None),
        Php::Fpm => {
            let (builder, backend) = with_fpm(base);
            (builder.start(), Some(backend))
        }
    }
}

impl Php {
    fn target(self, ops: &str) -> String {
        let path = if self == Php::Module { "/php-session" } else { "/fpm" };
        format!("{path}?{ops}")
    }

    #[track_caller]
    fn says(self, visitor: &mut Client, ops: &str) -> String {
        let response = visitor.get(&self.target(ops)).expect(200);
        let cookies = response.set_cookies();
        assert!(cookies.iter().all(|cookie| cookie.starts_with("session_store=")), "{cookies:?}");
        assert!(cookies.len() <= 1, "{cookies:?}");
        response.text()
    }
}

/// What PHP's own handler keeps, too: by name, as code.
const VALUES: &[(&str, &str)] = &[
    ("text", "'a, b=c; %41 \"d\" \u{df}'"),
    ("number", "-7"),
    ("digits", "'007'"),
    ("float", "0.1 + 0.2"),
    ("whole", "2.0"),
    ("yes", "true"),
    ("nothing", "null"),
    ("empty", "''"),
    ("list", "[1, 'two', [3.5, false]]"),
    ("map", "['x' => 1, 'y' => ['z' => null]]"),
    ("json", "'json:[1]'"),
    ("binary", "\"a\\0\\xff\\xfe\""),
    ("bytes", "\"\\xff\""),
    ("long", "str_repeat('long ', 1500)"),
    ("Case", "'upper'"),
    ("case", "'lower'"),
    ("with-dash.and space", "'odd'"),
    ("php", "'reserved'"),
    ("php_1", "'reserved too'"),
    ("7", "'a number as name'"),
    ("object", "new Point"),
    (
        "holder",
        "(function () { $p = new Point; $p->next = $p; return [$p, new ArrayObject([$p])]; })()",
    ),
    ("time", "new DateTimeImmutable('2020-02-02 02:02:02 UTC')"),
];

fn values_of_every_kind_come_back_as_they_were(php: Php) {
    let _room = Store::with_room(8_000);
    let (server, _backend) = start(php);
    let mut visitor = server.client();
    let puts =
        VALUES.iter().map(|(name, code)| format!("put={}", quoted(&format!("{name}:{code}"))));
    // What refers to itself cannot be printed as code.
    let shown = VALUES.iter().filter(|(name, _)| *name != "holder");
    let shows: Vec<_> = shown.map(|(name, _)| format!("show={}", quoted(name))).collect();
    let ops: Vec<_> = puts.chain(shows.iter().cloned()).collect();
    let first = php.says(&mut visitor, &ops.join("&"));
    assert!(first.contains("'reserved too'") && first.contains("0.30000000000000004"), "{first}");
    assert_eq!(php.says(&mut visitor, &shows.join("&")), first);
    let same = quoted("same:$_SESSION['holder'][0]->next === $_SESSION['holder'][1][0]");
    assert_eq!(php.says(&mut visitor, &format!("put={same}&show=same")), "true\n");
    // As others see them.
    let others = "/c?get:text;get:number;get:digits;get:list;get:empty;get:float";
    let seen = ask(&mut visitor, others).replace("get=SUCCESS", "").replace("%20", " ");
    let lines: Vec<_> = seen.lines().map(str::trim).collect();
    assert_eq!((lines[1], lines[2], lines[4]), ("-7", "007", ""), "{seen}");
    assert!(lines[3].starts_with("json:%5B1") && lines[5].starts_with("json:0.3"), "{seen}");
    // A place for each name: the last one counts.
    assert_eq!(php.says(&mut visitor, "unset=Case&show=case"), "'lower'\n");
    assert_eq!(php.says(&mut visitor, "show=Case&show=case"), "NULL\n'lower'\n");
}

fn there_is_one_cookie_and_none_for_nothing(php: Php) {
    let (server, _backend) = start(php);
    let mut visitor = server.client();
    assert_eq!(php.says(&mut visitor, "get=a"), "none\n");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
    php.says(&mut visitor, "set=a:1");
    assert_eq!(visitor.jar.header().unwrap_or_default().matches('=').count(), 1);
    let sid = php.says(&mut visitor, "sid");
    assert_eq!(sid.trim().len(), 32, "{sid}");
    assert_eq!(php.says(&mut visitor, "sid"), sid);
    assert!(!id(&visitor).unwrap_or_default().contains(sid.trim()));
    // PHP's own cookie is nobody's session.
    let mut other = server.client();
    other.jar.set("PHPSESSID", sid.trim());
    assert_eq!(php.says(&mut other, "get=a"), "none\n");
    php.says(&mut visitor, "unset=a");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
}

fn a_new_id_keeps_the_values_and_a_destroyed_session_is_gone(php: Php) {
    let (server, _backend) = start(php);
    let mut visitor = server.client();
    let sid = php.says(&mut visitor, "set=a:1&sid");
    let old = visitor.clone();
    let text = php.says(&mut visitor, "do=regenerate&set=b:2&sid&get=a");
    assert!(text.ends_with("is 1\n") && !text.starts_with(&sid), "{text}");
    assert_ne!(id(&visitor), id(&old));
    assert_eq!(php.says(&mut visitor, "get=a&get=b"), "is 1\nis 2\n");
    assert_eq!(php.says(&mut old.clone(), "get=a"), "none\n");
    // Kept entries stay in $_SESSION for the script, as PHP has it.
    assert_eq!(php.says(&mut visitor, "destroy&get=a"), "is 1\n");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
    assert_eq!(php.says(&mut visitor, "get=a"), "none\n");
    // Left without being stored.
    php.says(&mut visitor, "set=a:1");
    php.says(&mut visitor, "set=a:2&abort");
    assert_eq!(php.says(&mut visitor, "get=a"), "is 1\n");
    php.says(&mut visitor, "clear");
    assert_eq!((id(&visitor), records(&server)), (None, 0));
}

fn a_session_begun_again_after_its_end_has_what_was_set_since(php: Php) {
    let (server, _backend) = start(php);
    let mut visitor = server.client();
    php.says(&mut visitor, "set=who:ann&set=gone:1");
    ask(&mut visitor, "/c?set_user:ann");
    let old = visitor.clone();
    assert_eq!(php.says(&mut visitor, "destroy&start&get=who&set=who:ann&set=b:2"), "none\n");
    assert_ne!(id(&visitor), id(&old));
    assert_eq!(php.says(&mut visitor, "get=who&get=gone&get=b"), "is ann\nnone\nis 2\n");
    assert_eq!(ask(&mut visitor, "/c?user"), "user=SUCCESS -");
    assert_eq!(php.says(&mut old.clone(), "get=who"), "none\n");
    // Closed and opened again.
    let text = php
        .says(&mut visitor, "set=c:1&unset=b&close&start&get=c&get=b&set=b:3&close&start&unset=c");
    assert_eq!(text, "is 1\nnone\n");
    assert_eq!(php.says(&mut visitor, "get=b&get=c"), "is 3\nnone\n");
}

fn what_is_set_behind_much_output_is_stored(php: Php) {
    let (server, _backend) = start(php);
    let mut visitor = server.client();
    assert_eq!(php.says(&mut visitor, "echo=100000&set=a:1").len(), 100_000);
    assert_eq!(php.says(&mut visitor, "get=a"), "is 1\n");
    // What was set before a flush as well.
    let mut visitor = server.client();
    php.says(&mut visitor, "set=a:1&echo=10&flush");
    assert_eq!(php.says(&mut visitor, "get=a"), "is 1\n");
    php.says(&mut visitor, "echo=10&flush&set=a:2");
    match php {
        Php::Module => assert_eq!(php.says(&mut visitor, "get=a"), "is 2\n"),
        Php::Fpm => {
            assert_eq!(php.says(&mut visitor, "get=a"), "is 1\n");
            server.expect_log("storing the session: the head of the answer has left");
        }
    }
}

fn a_closed_session_is_others_while_the_script_goes_on(php: Php) {
    let (server, _backend) = start(php);
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    php.says(&mut visitor, "set=a:1");
    let ops = format!("set=a:2&close&echo=1&flush&wait={}", quoted(&gate.to_string()));
    let mut under_way = visitor.open(&Request::get(&php.target(&ops)));
    let head = under_way.head().expect("a head");
    let mut first = Vec::new();
    assert!(under_way.chunk(&mut first).expect("a chunk"));
    assert_eq!(php.says(&mut visitor, "get=a&set=a:3"), "is 2\n");
    gate.open();
    under_way.body(&head).expect("the rest");
    assert_eq!(php.says(&mut visitor, "get=a"), "is 3\n");
}

fn values_of_others_are_entries_and_what_php_does_not_touch_stays(php: Php) {
    let (server, _backend) = start(php);
    let mut visitor = server.client();
    ask(
        &mut visitor,
        "/c?set:Cart=json:{\"tea\":%202};set:n=4;set_bytes:raw=x%00y;set:other.key=1",
    );
    let text = php.says(&mut visitor, "show=n&put=n%3A5&show=cart");
    assert_eq!(text, "'4'\narray (\n  'tea' => 2,\n)\n");
    assert_eq!(
        ask(&mut visitor, "/c?get:n;get:cart;get_bytes:raw;get:other.key"),
        "get=SUCCESS 5\nget=SUCCESS json:%7B%22tea%22:%202%7D\nget_bytes=SUCCESS x%00y\nget=SUCCESS 1"
    );
    ask(&mut visitor, "/c?set:n=6");
    assert_eq!(php.says(&mut visitor, "show=n&unset=cart"), "6\n");
    assert_eq!(ask(&mut visitor, "/c?get:cart;get:n"), "get=NOTFOUND\nget=SUCCESS 6");
}

/// It once kept the visitor out: session_start() failed at every visit, and what cannot be opened cannot be
/// destroyed.
fn what_was_tampered_with_is_not_read(php: Php) {
    let _room = Store::with_room(20_000);
    let (server, _backend) = start(php);
    // The checksum is wrong; it is no shared key at all; it is code that makes an object, without a checksum.
    for value in ["1.1.00000000.AAAA", "x", "O:5:%22Point%22:0:%7B%7D", "1.99999.00000000.AAAA"] {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("/c?set:php={value};set:kept=1"));
        assert_eq!(php.says(&mut visitor, "get=kept&set=a:1"), "is 1\n", "{value}");
        assert_eq!(php.says(&mut visitor, "get=kept&get=a"), "is 1\nis 1\n", "{value}");
        assert_eq!(ask(&mut visitor, "/c?get:kept;get:a"), "get=SUCCESS 1\nget=SUCCESS 1");
        php.says(&mut visitor, "destroy");
        assert_eq!(records(&server), 0, "{value}");
    }
    // One of its parts is missing: the others go with it.
    let mut visitor = server.client();
    php.says(&mut visitor, "set=a:1&put=long%3Astr_repeat('x'%2C9000)");
    ask(&mut visitor, "/c?unset:php.1");
    assert_eq!(php.says(&mut visitor, "get=a&get=long&put=n%3A5"), "is 1\nnone\n");
    assert_eq!(ask(&mut visitor, "/c?get:php.1;get:php.2"), "get=NOTFOUND\nget=NOTFOUND");
    assert_eq!(php.says(&mut visitor, "get=a&show=n"), "is 1\n5\n");
    server.expect_log("reading the session: what PHP has stored under the key php");
    server.expect_log("entries without a key of their own are lost");
}

#[test]
fn what_a_script_behind_fastcgi_could_not_be_shown_is_refused() {
    let _room = Store::with_room(60_000);
    let (server, _backend) = start(Php::Fpm);
    let mut visitor = server.client();
    Php::Fpm.says(&mut visitor, "set=a:1&put=big%3Astr_repeat('x'%2C20000)");
    Php::Fpm.says(&mut visitor, "set=a:2&put=big%3Astr_repeat('x'%2C40000)");
    let text = Php::Fpm.says(&mut visitor, "get=a&put=l%3Astrlen($_SESSION['big'])&show=l");
    assert_eq!(text, "is 1\n20000\n");
    server.expect_log("storing the session: it is larger than what the next request can be shown");
    server.allow_log("Failed to write session data");
}

#[test]
fn a_session_too_large_for_fastcgi_is_refused_with_what_can_be_done() {
    let _room = Store::with_room(60_000);
    let (server, _backend) = start(Php::Fpm);
    let mut visitor = server.client();
    let small: Vec<_> = (0..10).map(|n| format!("set=big{n}:x")).collect();
    let large: Vec<_> = (0..10).map(|n| format!("set:big{n}={}", "x".repeat(3_900))).collect();
    Php::Fpm.says(&mut visitor, &format!("set=a:1&{}&put=l%3Anew%20Point", small.join("&")));
    // Others make it so large that PHP would not be shown its shared key any more.
    for set in &large {
        ask(&mut visitor, &format!("/c?{set}"));
    }
    assert_eq!(Php::Fpm.says(&mut visitor, "get=a&set=b:1"), "none\n");
    server.expect_log("X-Session-Unset: php");
    assert_eq!(ask(&mut visitor, "/c?get:a;get:b"), "get=SUCCESS 1\nget=NOTFOUND");
    // What the log says helps.
    let unset: Vec<_> = (0..5).map(|n| format!("head=X-Session-Unset%3Abig{n}")).collect();
    Php::Fpm.says(&mut visitor, &unset.join("&"));
    let text = Php::Fpm
        .says(&mut visitor, "get=a&get=big0&put=same%3A$_SESSION['l']==new%20Point&show=same");
    assert_eq!(text, "is 1\nnone\ntrue\n");
    for set in &large {
        ask(&mut visitor, &format!("/c?{set}"));
    }
    Php::Fpm.says(&mut visitor, "head=X-Session-Do%3Ainvalidate");
    assert_eq!(records(&server), 0);
    server.allow_log("session_start(): Failed to initialize storage module");
}

/// A change made a second key that looks the same, and the next request was shown the first: the change was lost.
#[test]
fn what_php_changes_under_a_name_that_stands_for_another_key_is_what_it_finds() {
    let (server, _backend) = start(Php::Fpm);
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:other.key=1;set:x-y_z=1;set:left.alone=1;set:a_b_c_d-e=1");
    // Names that PHP makes itself have no such limit, and what it has seen and left stays.
    let long = "of_its_own_with_many_";
    assert_eq!(Php::Fpm.says(&mut visitor, &format!("get=other_key&set={long}:1")), "is 1\n");
    Php::Fpm.says(&mut visitor, &format!("set=other_key:2&set={long}:2&unset=x_y_z"));
    let text = Php::Fpm.says(&mut visitor, &format!("get=other_key&get=x_y_z&get={long}"));
    assert_eq!(text, "is 2\nnone\nis 2\n");
    let others = "/c?get:other.key;get:other_key;get:x-y_z;get:left.alone";
    assert_eq!(
        ask(&mut visitor, others),
        "get=NOTFOUND\nget=SUCCESS 2\nget=NOTFOUND\nget=SUCCESS 1"
    );
    Php::Fpm.says(&mut visitor, "set=a_b_c_d_e:2");
    assert_eq!(Php::Fpm.says(&mut visitor, "get=a_b_c_d_e"), "is 1\n");
    server.expect_log("a changed key may have - or . where its variable has _");
    server.assert_no_secret(&["a_b_c_d_e"]);
    server.allow_log("Failed to write session data");
}

/// PHP begins its own session before prepend.php where session.auto_start is on, with a cookie of its own: nothing
/// of $_SESSION was httpd's then.
#[test]
fn a_session_that_php_begins_by_itself_is_neither_begun_nor_kept() {
    let on = |conf: &str| {
        let conf = format!("php_admin_flag session.auto_start on\n{conf}");
        with_php(probed()).conf(&conf).start()
    };
    // The file of configuration turns it off, below what turns it on for the server.
    let server = on("");
    let mut visitor = server.client();
    Php::Module.says(&mut visitor, "set=a:1");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 1");
    // Where somebody turns it on again, it is left and the log says so.
    let server =
        on("<Location \"/php-session\">\nphp_admin_flag session.auto_start on\n</Location>");
    let mut visitor = server.client();
    Php::Module.says(&mut visitor, "set=a:1");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 1");
    server.expect_log("set session.auto_start to 0");
}

#[test]
fn php_fpm_does_not_begin_a_session_by_itself_either() {
    let (builder, _backend) = with_fpm(probed());
    let server = builder.document("fpm/.user.ini", "session.auto_start = 1\n").start();
    let mut visitor = server.client();
    Php::Fpm.says(&mut visitor, "set=a:1");
    assert_eq!(ask(&mut visitor, "/c?get:a"), "get=SUCCESS 1");
}

#[test]
fn without_a_session_of_httpd_php_has_none_either() {
    let server = with_php(probed())
        .conf("<Location \"/php-session\">\nSessionEngine off\n</Location>")
        .start();
    let mut visitor = server.client();
    Php::Module.says(&mut visitor, "set=a:1");
    assert_eq!(Php::Module.says(&mut visitor, "get=a"), "none\n");
    assert!(visitor.jar.is_empty());
    server.expect_log("opening the session: httpd offers none here");
    server.allow_log("session_start(): Failed to initialize storage module");
}
