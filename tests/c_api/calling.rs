//! Calling: every function, from everywhere, with whatever arguments.

use super::*;
use crate::support::Store;

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
                "open" | "save" | "reload" | "revert" | "set_timeout" | "lock" | "trylock"
                | "unlock" => &["null=EINVAL", "nullargs=SUCCESS"],
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
    let _room = Store::with_room(1200);
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
