//! F20 to F40: the id, and how it travels.

use super::*;
use crate::steps::{lines, sessions, visitor};
use crate::support::{Builder, Request};

rows! {
    20 ids_are_long_and_random,
    21 what_is_no_id_is_refused_before_it_is_used,
    22 an_unknown_id_is_never_adopted,
    23 a_caller_can_give_the_id,
    24 an_id_can_come_from_the_query,
    25 the_cookie_has_the_name_that_is_configured,
    26 the_cookie_has_the_path_that_is_configured,
    27 the_cookie_has_the_domain_that_is_configured,
    28 the_cookie_is_http_only_and_secure_where_it_can_be,
    29 the_cookie_says_from_which_sites_it_is_sent,
    30 the_cookie_can_outlive_the_browser,
    31 the_cookie_can_be_sent_with_every_answer,
    32 ids_can_be_signed,
    33 the_id_can_change_and_the_data_stay,
    34 sessions_work_without_cookies,
    35 errors_and_redirects_bring_the_cookie_too,
    36 caches_keep_no_answer_for_somebody_else,
    37 path_and_domain_can_differ_by_place,
    38 there_is_no_cookie_before_there_is_data,
    39 of_two_cookies_with_one_name_the_first_known_one_counts,
    40 that_an_id_came_can_be_asked_without_opening,
}

/// Sessions with other settings at `/at`.
fn at(lines: &str) -> Builder {
    sessions().conf(&format!("<Location \"/at\">\nSetHandler probe\n{lines}\n</Location>"))
}

/// The cookie that a new visitor gets at a place with these settings, without its id.
#[track_caller]
fn cookie_at(lines: &str) -> String {
    let server = at(lines).start();
    let mut client = server.client();
    let cookie = cookies(&mut client, "/at?set:a=1").concat();
    let (name, rest) = cookie.split_once('=').expect("a cookie");
    let (_, attributes) = rest.split_once("; ").expect("attributes");
    format!("{name}; {attributes}")
}

fn ids_are_long_and_random() {
    let server = sessions().start();
    let ids: Vec<String> = (0..64).map(|_| id_of(&visitor(&server))).collect();
    assert!(ids.iter().all(|id| id.len() == 43));
    // The last character carries four bits, every other one six.
    for place in 0..43 {
        let mut seen: Vec<u8> = ids.iter().map(|id| id.as_bytes()[place]).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 8, "character {place} is one of {} only", seen.len());
    }
}

fn what_is_no_id_is_refused_before_it_is_used() {
    let server = sessions().start();
    let long = "A".repeat(44);
    for bad in ["x", "../../../etc/passwd", &long, &long[..42], "%00", &"=".repeat(43)] {
        let answer = run(&mut with_id(&server, bad), "exists;reason;set:a=1");
        assert_eq!(answer, ["exists=SUCCESS 0", "reason=SUCCESS malformed", "set=SUCCESS"]);
    }
}

fn an_unknown_id_is_never_adopted() {
    let server = sessions().start();
    let planted = "planted-by-an-attacker_0123456789-abcdefghk";
    let mut client = with_id(&server, planted);
    assert_eq!(run(&mut client, "reason;set:a=1"), ["reason=SUCCESS unknown", "set=SUCCESS"]);
    assert_ne!(id_of(&client), planted);
    assert_eq!(run(&mut with_id(&server, planted), "get:a"), ["get=NOTFOUND"]);
}

fn a_caller_can_give_the_id() {
    let server = at("SessionIdSource header:X-My-Session").start();
    let id = id_of(&visitor(&server));
    let request = Request::get("/at?get:n").header("X-My-Session", &id);
    assert_eq!(lines(&server.client().send(&request).expect(200)), ["get=SUCCESS 1"]);
}

fn an_id_can_come_from_the_query() {
    let server = at("SessionIdSource query:SID").start();
    let id = id_of(&visitor(&server));
    // Operations of the probe are separated by semicolons; it does not know the first.
    let answer = server.get(&format!("/at?x&SID={id}&y=z;get:n")).expect(200);
    assert_eq!(lines(&answer).last().map(String::as_str), Some("get=SUCCESS 1"));
    assert_eq!(answer.set_cookies().len(), 0, "{}", answer.text());
    let answer = server.get("/at?x;get:n").expect(200);
    assert_eq!(lines(&answer).last().map(String::as_str), Some("get=NOTFOUND"));
}

fn the_cookie_has_the_name_that_is_configured() {
    assert!(cookie_at("SessionIdName mysid").starts_with("mysid; "));
}

fn the_cookie_has_the_path_that_is_configured() {
    assert!(cookie_at("").contains("Path=/;"));
    assert!(cookie_at("SessionIdPath /at").contains("Path=/at;"));
}

fn the_cookie_has_the_domain_that_is_configured() {
    assert!(!cookie_at("").contains("Domain"));
    assert!(cookie_at("SessionIdDomain example.org").contains("Domain=example.org;"));
}

fn the_cookie_is_http_only_and_secure_where_it_can_be() {
    let plain = cookie_at("");
    assert!(plain.contains("HttpOnly") && !plain.contains("Secure"), "{plain}");
    let secure = cookie_at("SessionIdSecure on");
    assert!(secure.contains("HttpOnly") && secure.contains("Secure;"), "{secure}");
    assert!(!cookie_at("SessionIdHttpOnly off").contains("HttpOnly"));
}

fn the_cookie_says_from_which_sites_it_is_sent() {
    assert!(cookie_at("").ends_with("SameSite=Lax"));
    assert!(cookie_at("SessionIdSameSite Strict").ends_with("SameSite=Strict"));
    assert!(cookie_at("SessionIdSameSite None\nSessionIdSecure on").ends_with("SameSite=None"));
}

fn the_cookie_can_outlive_the_browser() {
    assert!(!cookie_at("").contains("Max-Age"));
    assert!(cookie_at("SessionIdMaxAge 12h").contains("Max-Age=43200;"));
    assert!(cookie_at("SessionIdMaxAge timeout\nSessionTimeout 10m").contains("Max-Age=600;"));
}

fn the_cookie_can_be_sent_with_every_answer() {
    let server = at("SessionIdRefresh on").start();
    let mut client = visitor(&server);
    let id = id_of(&client);
    assert_eq!(cookies(&mut client, "/probe?get:n").len(), 0);
    for _ in 0..3 {
        assert_eq!(cookies(&mut client, "/at?get:n").len(), 1);
    }
    assert_eq!(id_of(&client), id);
}

fn ids_can_be_signed() {
    let server = sessions().conf("SessionSecret 0123456789abcdef0123456789abcdef").start();
    server.expect_log("SessionSecret has a secret in the configuration itself");
    let mut client = visitor(&server);
    let id = id_of(&client);
    let (bare, tag) = id.split_once('.').expect("a signature");
    assert_eq!((bare.len(), tag.len()), (43, 22));
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
    let forged = format!("{bare}.{}", "A".repeat(22));
    for bad in [bare, &forged] {
        let answer = run(&mut with_id(&server, bad), "reason;get:n");
        assert_eq!(answer, ["reason=SUCCESS badsig", "get=NOTFOUND"]);
    }
}

fn the_id_can_change_and_the_data_stay() {
    let server = at("SessionRegenerateGrace 0").start();
    let mut client = visitor(&server);
    let old = id_of(&client);
    client.get("/at?regenerate").expect(200);
    assert_ne!(id_of(&client), old);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
    assert_eq!(run(&mut with_id(&server, &old), "get:n"), ["get=NOTFOUND"]);
}

fn sessions_work_without_cookies() {
    let server = at("SessionIdSource header:X-My-Session").start();
    let answer = server.get("/at?set:a=1;id").expect(200);
    assert_eq!(answer.set_cookies().len(), 0);
    let told = lines(&answer);
    let id = told[1].strip_prefix("id=SUCCESS ").expect("an id");
    for count in 2..4 {
        let request = Request::get("/at?incr:a").header("X-My-Session", id);
        let answer = server.client().send(&request).expect(200);
        assert_eq!(lines(&answer), [format!("incr=SUCCESS {count}")]);
        assert_eq!(answer.set_cookies().len(), 0);
    }
}

fn errors_and_redirects_bring_the_cookie_too() {
    let server = sessions().start();
    for (status, list) in [
        (302, "set:a=1;errheader:Location=%2Felsewhere;status:302"),
        (404, "set:a=1;status:404"),
        (403, "set:a=1;return:403"),
        (404, "set:a=1;return:404"),
    ] {
        let mut client = server.client();
        let answer = client.send(&ask(list)).expect(status);
        assert_eq!(answer.set_cookies().len(), 1, "{list}");
        assert_eq!(run(&mut client, "get:a"), ["get=SUCCESS 1"]);
    }
}

fn caches_keep_no_answer_for_somebody_else() {
    let server = sessions().start();
    let mut client = server.client();
    let made = client.send(&ask("set:a=1;header:Cache-Control=public")).expect(200);
    assert_eq!(made.headers_all("Cache-Control"), ["private, no-cache, no-store"]);
    let read = client.send(&ask("get:a;header:Cache-Control=public")).expect(200);
    assert_eq!(read.headers_all("Cache-Control"), ["private, no-cache"]);
    assert_eq!(read.headers_all("Vary"), ["Cookie"]);
}

fn path_and_domain_can_differ_by_place() {
    let server = sessions()
        .conf(
            "<Location \"/one\">\nSetHandler probe\nSessionIdPath /one\nSessionIdName one\n</Location>\n\
             <Location \"/two\">\nSetHandler probe\nSessionIdPath /two\nSessionIdName two\n\
             SessionIdDomain example.org\n</Location>",
        )
        .start();
    let mut client = server.client();
    assert!(cookies(&mut client, "/one?set:a=1")[0].contains("Path=/one; HttpOnly"));
    assert!(cookies(&mut client, "/two?set:a=1")[0].contains("Path=/two; Domain=example.org;"));
}

fn there_is_no_cookie_before_there_is_data() {
    let server = sessions().start();
    let mut client = server.client();
    assert!(cookies(&mut client, "/probe?get:a;keys;id;set_timeout:60000000").is_empty());
    assert_eq!(cookies(&mut client, "/probe?set:a=1").len(), 1);
}

fn of_two_cookies_with_one_name_the_first_known_one_counts() {
    let server = sessions().start();
    let [one, two] = ["1", "2"].map(|value| {
        let mut client = server.client();
        run(&mut client, &format!("set:a={value}"));
        id_of(&client)
    });
    let value = |ids: [&str; 3]| {
        let header = ids.map(|id| format!("{COOKIE}={id}")).join("; ");
        let request = ask("get:a").header("Cookie", &header);
        lines(&server.client().send(&request).expect(200)).concat()
    };
    let unknown = "A".repeat(43);
    assert_eq!(value([&one, &two, &unknown]), "get=SUCCESS 1");
    assert_eq!(value([&unknown, &two, &one]), "get=SUCCESS 2");
    assert_eq!(value(["bad", &unknown, &one]), "get=SUCCESS 1");
}

fn that_an_id_came_can_be_asked_without_opening() {
    let server = at("SessionNotes off\nSessionLockTimeout 0").start();
    let exists = |mut client: Client| client.get("/at?exists").expect(200).text();
    assert_eq!(exists(server.client()), "exists=SUCCESS 0\n");
    let client = visitor(&server);
    let signals = crate::steps::Signals::of(&server);
    let held = signals.hold(&mut client.clone(), "get:n", "held", "end");
    // Opening it now would be a 503.
    assert_eq!(exists(client), "exists=SUCCESS 1\n");
    signals.raise("end");
    drop(held);
    assert_eq!(exists(with_id(&server, "bad")), "exists=SUCCESS 0\n");
}
