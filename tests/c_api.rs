//! The C interface, called by a module that knows nothing but its header.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::probed::{COOKIE, Gate, ask, probed, records};
use crate::support::{Client, Request, Server, Wire, apxs, wait_for};

const PATIENCE: Duration = Duration::from_secs(10);

/// Every function of the header.
const FUNCTIONS: [&str; 23] = [
    "version",
    "open",
    "get",
    "set",
    "get_bytes",
    "set_bytes",
    "keys",
    "id",
    "is_new",
    "exists",
    "reason",
    "created",
    "accessed",
    "timeout",
    "set_timeout",
    "user",
    "set_user",
    "save",
    "reload",
    "revert",
    "delete",
    "invalidate",
    "regenerate",
];

/// Each function once, with arguments it likes, on a session that has `a`.
const EACH: &str = "version;open:write;get:a;set:b=2;get_bytes:b;set_bytes:c=%00;keys;is_new;exists;\
                    reason;timeout;set_timeout:60000000;user;save;reload;revert;regenerate";

/// The results of a list, one for each operation, values left out.
fn results(lines: &str) -> Vec<&str> {
    lines.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect()
}

/// The number that the only operation of a list answers.
#[track_caller]
fn number(visitor: &mut Client, target: &str) -> u64 {
    let line = ask(visitor, target);
    let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok());
    value.unwrap_or_else(|| panic!("no number: {line}"))
}

/// Microseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    u64::try_from(since.as_micros()).expect("a clock of this age")
}

#[test]
fn every_function_does_the_same_as_optional_function_and_as_symbol() {
    let server = probed().conf("SessionRegenerateGrace 0").start();
    let all = ["/c", "/s", "/p"].map(|place| {
        let mut visitor = server.client();
        ask(&mut visitor, &format!("{place}?set:a=1;set_user:ann"));
        let each = ask(&mut visitor, &format!("{place}?{EACH}"));
        let rest =
            ask(&mut visitor, &format!("{place}?get_bytes:c;set_user;delete;set:a=1;invalidate"));
        assert!(visitor.jar.is_empty());
        format!("{each}\n{rest}")
    });
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    let failed: Vec<&str> = all[0].lines().filter(|line| !line.contains("=SUCCESS")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(all[0].starts_with("version=SUCCESS 1\nopen=SUCCESS\nget=SUCCESS 1\n"));
    assert_eq!(records(&server), 0);
}

#[test]
fn no_function_follows_a_null() {
    let server = probed().start();
    let mut visitor = server.client();
    for place in ["/c", "/s", "/p"] {
        for function in FUNCTIONS {
            let lines = ask(&mut visitor, &format!("{place}?null:{function};nullargs:{function}"));
            let wanted: &[&str] = match function {
                "version" => &["null=SUCCESS", "nullargs=SUCCESS"],
                // Nothing in them can be null but the request.
                "open" | "save" | "reload" | "revert" | "set_timeout" => {
                    &["null=EINVAL", "nullargs=SUCCESS"]
                }
                "delete" | "invalidate" | "regenerate" => &["null=EINVAL", "nullargs=NOTFOUND"],
                // No user: a log-out.
                "set_user" => &["null=EINVAL", "nullargs=SUCCESS"],
                _ => &["null=EINVAL", "nullargs=EINVAL"],
            };
            assert_eq!(results(&lines), wanted, "{place} {function}");
        }
    }
    assert_eq!(records(&server), 0);
    assert!(visitor.jar.is_empty());
}

#[test]
fn without_the_module_a_caller_finds_no_functions() {
    let server = Server::builder()
        .without_session_store()
        .load("probe_module", apxs::probe("mod_probe"))
        .conf("<Location \"/c\">\nSetHandler probe\n</Location>\n<Location \"/s\">\nSetHandler probe-symbols\n</Location>")
        .start();
    for place in ["/c", "/s"] {
        let lines = ask(
            &mut server.client(),
            &format!("{place}?{EACH};id;created;accessed;set_user;delete;invalidate"),
        );
        assert!(lines.lines().all(|line| line.ends_with("=ABSENT")), "{lines}");
    }
}

#[test]
fn where_the_engine_is_off_every_function_says_so() {
    let server =
        probed().conf("<LocationMatch \"^/\">\nSessionEngine off\n</LocationMatch>").start();
    let list = format!("{EACH};id;created;accessed;set_user;delete;invalidate");
    for place in ["/c", "/s", "/p"] {
        let answer = server.get(&format!("{place}?{list}")).expect(200);
        let text = answer.text();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("version=SUCCESS 1"));
        assert!(lines.all(|line| line.ends_with("=ENOTIMPL")), "{text}");
        assert_eq!((answer.header("Vary"), answer.set_cookies().len()), (None, 0));
    }
}

#[test]
fn the_log_phase_and_cleanups_are_too_late() {
    let list = "version;open:read;get:a;set:a=2;keys;id;is_new;exists;save;delete;user;timeout";
    let server = probed()
        .log_level("info")
        .conf(&format!("<LocationMatch \"^/late\">\nSetHandler probe\nProbeLog \"{list}\"\nProbeCleanup \"{list}\"\n</LocationMatch>"))
        .document("later.bin", "plain")
        .conf("<Location \"/later.bin\">\nSetHandler default-handler\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    for (count, path) in (1..).zip(["/late?get:a", "/later.bin", "/late?set:a=1"]) {
        visitor.send(&Request::get(path).close()).expect(200);
        for phase in ["log", "cleanup"] {
            let line = wait_for("both phases", PATIENCE, || {
                let log = server.error_log();
                let mine = log.lines().filter(|line| line.contains(&format!("probe: {phase} ")));
                let mine: Vec<&str> = mine.collect();
                (mine.len() == count).then(|| mine[count - 1].to_owned())
            });
            let (_, results) = line.split_once(&format!("probe: {phase} ")).expect("results");
            let mut results = results.split("; ");
            assert_eq!(results.next(), Some("version=SUCCESS 1"));
            assert!(results.all(|result| result.ends_with("=EINVAL")), "{path} {line}");
        }
    }
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
    assert_eq!(records(&server), 1);
}

#[test]
fn functions_work_in_every_phase_before_the_handler() {
    let server = probed()
        .document("page.html", "page\n")
        .conf("<Location \"/page.html\">\nProbeAccess \"incr:access\"\nProbeFixup \"incr:fixup;get:access\"\n</Location>")
        .start();
    let mut visitor = server.client();
    for count in 1..=2 {
        let answer = visitor.get("/page.html").expect(200);
        assert_eq!(answer.set_cookies().len(), usize::from(count == 1));
        let said = [
            format!("access incr=SUCCESS {count}"),
            format!("fixup incr=SUCCESS {count}; get=SUCCESS {count}"),
        ];
        assert_eq!(answer.headers_all("X-Probe"), said);
    }
    assert_eq!(ask(&mut visitor, "/p?keys"), "keys=SUCCESS access,fixup");
    assert_eq!(records(&server), 1);
}

#[test]
fn a_value_is_any_bytes() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set_bytes:bytes=a%00b%FF;set:empty=;set_bytes:gone=1;set_bytes:none=");
    for place in ["/c", "/p", "/s"] {
        let lines = ask(
            &mut visitor,
            &format!(
                "{place}?get_bytes:bytes;get:bytes;get:empty;get_bytes:empty;get_bytes:none;get:none"
            ),
        );
        let wanted = "get_bytes=SUCCESS a%00b%FF\nget=EINVAL\nget=SUCCESS \nget_bytes=SUCCESS \n\
                      get_bytes=SUCCESS \nget=SUCCESS";
        assert_eq!(lines, wanted);
    }
    let lines =
        ask(&mut visitor, "/c?set_bytes:gone;get:gone;unset:never;get:never;set_bytes:never");
    assert_eq!(
        lines,
        "set_bytes=SUCCESS\nget=NOTFOUND\nset=SUCCESS\nget=NOTFOUND\nset_bytes=SUCCESS"
            .replacen("\nset=", "\nunset=", 1)
    );
    // Bytes no note can hold survive a handler that was offered notes.
    ask(&mut visitor, "/p?setnote:session:other=1");
    assert_eq!(ask(&mut visitor, "/c?get_bytes:bytes"), "get_bytes=SUCCESS a%00b%FF");
}

#[test]
fn a_key_is_found_in_any_case_and_keeps_its_first_spelling_and_place() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:Cart.Total=1;set:b=1;set:CART.TOTAL=2;set:%C3%84=3");
    for place in ["/c", "/p"] {
        let lines = ask(
            &mut visitor,
            &format!("{place}?keys;get:cart.total;get_bytes:CARt.total;get:%C3%84;get:%C3%A4"),
        );
        let wanted = "keys=SUCCESS Cart.Total,b,%C3%84\nget=SUCCESS 2\nget_bytes=SUCCESS 2\nget=SUCCESS 3\nget=NOTFOUND";
        assert_eq!(lines, wanted);
    }
    assert_eq!(
        ask(&mut visitor, "/c?unset:cart.TOTAL;keys"),
        "unset=SUCCESS\nkeys=SUCCESS b,%C3%84"
    );
}

#[test]
fn what_is_no_key_is_refused_by_every_function_that_takes_one() {
    let server = probed().start();
    let mut visitor = server.client();
    let longest = "k".repeat(128);
    ask(&mut visitor, &format!("/c?set:{longest}=1"));
    assert_eq!(ask(&mut visitor, &format!("/c?get:{longest}")), "get=SUCCESS 1");
    for bad in ["", "a%0Ab", "%7F", "%C2%85", "%FF", "a%C3", &format!("{longest}k")] {
        for place in ["/c", "/p"] {
            let list =
                format!("get:{bad};set:{bad}=1;unset:{bad};get_bytes:{bad};set_bytes:{bad}=1");
            let lines = ask(&mut visitor, &format!("{place}?{list}"));
            assert!(lines.lines().all(|line| line.ends_with("=EINVAL")), "{bad}: {lines}");
        }
    }
    assert_eq!(ask(&mut visitor, "/c?keys"), format!("keys=SUCCESS {longest}"));
}

#[test]
fn what_would_pass_a_limit_is_refused_and_the_old_value_stays() {
    let server = probed().conf("SessionMaxSize 1K\nSessionMaxKeys 3").log_level("debug").start();
    let mut visitor = server.client();
    for place in ["/c", "/p"] {
        let long = "far-too-long".repeat(100);
        ask(&mut visitor, &format!("{place}?set:a=1;set:b=2;set:c=3"));
        let lines = ask(
            &mut visitor,
            &format!(
                "{place}?set:a={long};set_bytes:b={long};set:d=4;set_user:{long};get:a;get:b;keys;user"
            ),
        );
        let wanted = "set=ENOSPC\nset_bytes=ENOSPC\nset=ENOSPC\nset_user=ENOSPC\nget=SUCCESS 1\n\
                      get=SUCCESS 2\nkeys=SUCCESS a,b,c\nuser=SUCCESS -";
        assert_eq!(lines, wanted);
        // Exactly the limit: three keys of one byte and what is left for values.
        let fits = "x".repeat(1024 - 3 - 2);
        assert_eq!(
            ask(&mut visitor, &format!("{place}?set:a={fits};save")),
            "set=SUCCESS\nsave=SUCCESS"
        );
        assert_eq!(
            ask(&mut visitor, &format!("{place}?set:b=22;unset:c;set:B=22")),
            "set=ENOSPC\nunset=SUCCESS\nset=SUCCESS"
        );
    }
    server.assert_no_secret(&["far-too-long"]);
}

/// An answer that has begun, after `list`, and goes on with `more` behind the gate.
#[track_caller]
fn holder(server: &Server, visitor: &mut Client, list: &str, gate: &Gate, more: &str) -> Wire {
    let mut held = visitor.open(&Request::get(&format!("/c?{list};flush;wait:{gate};{more}")));
    let head = held.head().expect("a head");
    assert_eq!(head.status, 200, "{}", server.error_log());
    held
}

#[test]
fn looking_waits_for_nobody_and_taking_does() {
    let server = probed().start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    let held = holder(&server, &mut visitor.clone(), "get:a", &gate, "");
    let looks = ask(
        &mut visitor,
        "/c?version;exists;id;open:read;get:a;keys;is_new;user;timeout;created;reason",
    );
    assert!(looks.lines().all(|line| line.contains("=SUCCESS")), "{looks}");
    for takes in [
        "open:write",
        "get:a",
        "set:a=2",
        "get_bytes:a",
        "keys",
        "is_new",
        "reason",
        "created",
        "accessed",
        "timeout",
        "set_timeout:60000000",
        "user",
        "set_user:ann",
        "save",
        "reload",
        "revert",
        "delete",
        "invalidate",
        "regenerate",
        "open:read;open:write",
    ] {
        let lines = ask(&mut visitor, &format!("/c?{takes}"));
        assert!(lines.ends_with("=TIMEUP"), "{takes}: {lines}");
    }
    server.expect_log("taking a session: ");
    let refused = visitor.get("/c?get:a;return:503").expect(503);
    assert_eq!(refused.header("Retry-After"), Some("1"));
    assert_eq!(visitor.get("/p?get:a").expect(503).header("Retry-After"), Some("1"));
    server.expect_log("before the handler: ");
    gate.open();
    drop(held);
    wait_for("the end of the holder", PATIENCE, || {
        (ask(&mut visitor, "/c?get:a") == "get=SUCCESS 1").then_some(())
    });
}

#[test]
fn a_session_opened_for_reading_refuses_to_change() {
    let server = probed().start();
    let mut visitor = server.client();
    ask(&mut visitor, "/c?set:a=1");
    let writes = "set:a=2;unset:a;set_bytes:a=2;set_user:ann;set_user;set_timeout:60000000;save;revert;delete;invalidate;regenerate";
    let lines = ask(&mut visitor, &format!("/c?open:read;{writes};get:a"));
    let (get, refused) = lines.split_at(lines.rfind('\n').expect("lines"));
    assert_eq!(refused, "\nget=SUCCESS 1");
    assert!(get.lines().skip(1).all(|line| line.ends_with("=EACCES")), "{get}");
    let lines = ask(&mut visitor, "/c?open:read;open:read;open:write;open:write;open:read;set:a=2");
    assert!(lines.lines().all(|line| line.ends_with("=SUCCESS")), "{lines}");
    assert_eq!(
        ask(&mut visitor, "/c?open:7;open:-1;get:a"),
        "open=EINVAL\nopen=EINVAL\nget=SUCCESS 2"
    );
    // Nobody's first look makes a session.
    assert_eq!(
        ask(&mut server.client(), "/c?open:read;is_new;set:a=1"),
        "open=SUCCESS\nis_new=SUCCESS 1\nset=EACCES"
    );
    assert_eq!(records(&server), 1);
}

#[test]
fn a_place_that_only_reads_refuses_to_change() {
    let server =
        probed().conf("<LocationMatch \"^/c\">\nSessionLocking read\n</LocationMatch>").start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let lines = ask(&mut visitor, "/c?get:a;set:a=2;open:write;delete;get:a");
    assert_eq!(lines, "get=SUCCESS 1\nset=EACCES\nopen=EACCES\ndelete=EACCES\nget=SUCCESS 1");
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
}

/// What a request answers to `list` that has looked at the session before another did `meanwhile`.
#[track_caller]
fn taken_after(meanwhile: &str, list: &str) -> String {
    let server = probed().start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1;set_user:ann");
    let mut looks = holder(&server, &mut visitor.clone(), "open:read;get:a;user", &gate, list);
    let lines = ask(&mut visitor, &format!("/c?{meanwhile}"));
    assert!(lines.ends_with("=SUCCESS"), "{lines}");
    gate.open();
    let mut body = Vec::new();
    while looks.chunk(&mut body).expect("a chunk") {}
    let lines = String::from_utf8(body).expect("text");
    let before = "open=SUCCESS\nget=SUCCESS 1\nuser=SUCCESS ann\nflush=SUCCESS\nwait=SUCCESS\n";
    lines.strip_prefix(before).unwrap_or_else(|| panic!("{lines}")).to_owned()
}

#[test]
fn what_was_read_before_is_read_again_when_the_session_is_taken() {
    let lines = taken_after("set:a=2;set:b=3", "get:a;open:write;get:a;get:b");
    assert_eq!(lines, "get=SUCCESS 1\nopen=SUCCESS\nget=SUCCESS 2\nget=SUCCESS 3\n");
}

#[test]
fn a_session_that_vanished_after_a_look_is_not_handed_over() {
    for end in ["delete", "invalidate", "unset:a;set_user"] {
        let lines = taken_after(end, "open:write;get:a;user;is_new;reload;open:write;set:b=1");
        let wanted = "open=NOTFOUND\nget=NOTFOUND\nuser=SUCCESS -\nis_new=SUCCESS 1\nreload=SUCCESS\n\
                      open=SUCCESS\nset=EINVAL\n";
        assert_eq!(lines, wanted, "{end}");
    }
}

#[test]
fn a_session_whose_user_changed_after_a_look_is_not_handed_over() {
    for user in ["set_user:bob", "set_user"] {
        let lines = taken_after(user, "open:write;get:a;user");
        assert_eq!(lines, "open=NOTFOUND\nget=NOTFOUND\nuser=SUCCESS -\n", "{user}");
    }
}

#[test]
fn a_session_with_a_new_id_is_found_after_a_look_and_gets_no_other() {
    let lines =
        taken_after("regenerate", "open:write;get:a;regenerate;set_user:bob;set:a=2;save;get:a");
    let wanted = "open=SUCCESS\nget=SUCCESS 1\nregenerate=EINVAL\nset_user=EINVAL\nset=SUCCESS\n\
                  save=SUCCESS\nget=SUCCESS 2\n";
    assert_eq!(lines, wanted);
}

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
