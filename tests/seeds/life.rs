//! F50 to F77: what a session does from its first value to its end.

use std::time::{Duration, Instant};

use super::*;
use crate::steps::{lines, sessions, visitor};
use crate::support::{Builder, Request, parallel, stored};

const PATIENCE: Duration = Duration::from_secs(20);

rows! {
    50 keys_are_set_read_removed_and_listed,
    51 nothing_is_opened_before_it_is_used,
    52 a_session_can_be_opened_for_every_request,
    53 what_is_saved_explicitly_stands,
    54 the_end_of_the_request_saves,
    55 an_unchanged_session_is_not_written,
    56 a_failed_request_saves_nothing,
    57 a_session_can_be_read_again,
    58 changes_can_be_taken_back,
    59 delete_removes_the_record,
    60 invalidate_removes_record_and_cookie,
    61 a_new_session_can_follow_in_the_same_request,
    62 a_new_session_says_so,
    63 a_new_session_says_why,
    64 creation_and_the_previous_visit_are_known,
    65 an_idle_session_ends,
    66 a_session_can_have_its_own_timeout,
    67 a_busy_session_ends_at_its_longest_life,
    68 reading_prolongs_a_session,
    69 visits_are_recorded_at_intervals,
    70 a_damaged_record_is_a_new_session_or_an_error,
    71 a_session_has_a_user,
    72 the_address_of_the_first_client_is_kept,
    73 a_form_token_is_good_once,
    74 a_form_token_of_another_session_is_worth_nothing,
    75 another_session_can_be_looked_at,
    76 all_parts_of_a_request_see_one_session,
    77 scripts_and_backends_get_values,
}

fn at(lines: &str) -> Builder {
    sessions().conf(&format!("<Location \"/at\">\nSetHandler probe\n{lines}\n</Location>"))
}

/// Waits until the session of `id` is gone, looking from outside, which is no visit.
#[track_caller]
fn wait_for_the_end(server: &Server, id: &str) {
    let look = format!("peek:{id}=n");
    wait_for("the end of the session", PATIENCE, || {
        (run(&mut server.client(), &look) == ["peek=NOTFOUND"]).then_some(())
    });
}

fn keys_are_set_read_removed_and_listed() {
    let server = sessions().start();
    let mut client = server.client();
    run(&mut client, "set:a=1;set:b=two%20words;set_bytes:c=%00%ff;unset:a");
    let told = run(&mut client, "keys;get:a;get:b;get_bytes:c");
    assert_eq!(told[..3], ["keys=SUCCESS b,c", "get=NOTFOUND", "get=SUCCESS two%20words"]);
    assert_eq!(told[3].to_ascii_lowercase(), "get_bytes=success %00%ff");
}

fn nothing_is_opened_before_it_is_used() {
    let server = at("SessionNotes off\nSessionLockTimeout 0")
        .document("page.html", "page")
        .conf("SessionLockTimeout 0")
        .start();
    let client = visitor(&server);
    let signals = crate::steps::Signals::of(&server);
    let held = signals.hold(&mut client.clone(), "get:n", "held", "end");
    for path in ["/page.html", "/at?version;exists"] {
        client.clone().get(path).expect(200);
    }
    signals.raise("end");
    drop(held);
}

fn a_session_can_be_opened_for_every_request() {
    let server = sessions()
        .document("page.html", "page")
        .conf("<Location \"/page.html\">\nProbeFixup \"incr:visits\"\n</Location>")
        .start();
    let mut client = server.client();
    for _ in 0..3 {
        client.get("/page.html").expect(200);
    }
    assert_eq!(run(&mut client, "get:visits"), ["get=SUCCESS 3"]);
}

fn what_is_saved_explicitly_stands() {
    let server = sessions().start();
    let mut client = visitor(&server);
    client.send(&ask("set:n=2;save;set:n=3;status:500")).expect(500);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 2"]);
}

fn the_end_of_the_request_saves() {
    let server = sessions().start();
    let mut client = visitor(&server);
    run(&mut client, "set:n=2");
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 2"]);
}

fn an_unchanged_session_is_not_written() {
    let server = at("SessionTouchInterval 1h").start();
    let mut client = server.client();
    client.get("/at?set:n=1").expect(200);
    let told = |client: &mut Client, list: &str| {
        let answer = client.get(&format!("/at?{list}")).expect(200);
        lines(&answer).pop().expect("an answer")
    };
    // Writing would record the visit.
    let visit = told(&mut client, "accessed");
    for list in ["get:n;accessed", "set:n=1;accessed", "set:m=1;unset:m;accessed", "accessed"] {
        assert_eq!(told(&mut client, list), visit, "{list}");
    }
    told(&mut client, "set:n=2");
    assert_ne!(told(&mut client, "accessed"), visit);
}

fn a_failed_request_saves_nothing() {
    let server = at("SessionSaveOnError on").start();
    let mut client = visitor(&server);
    for list in ["set:n=2;status:500", "set:n=2;return:503"] {
        let answer = client.send(&ask(list));
        assert!(answer.status >= 500, "{list}");
        assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
    }
    client.get("/at?set:n=2;status:500").expect(500);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 2"]);
}

fn a_session_can_be_read_again() {
    let server = at("SessionLocking commit").start();
    let client = visitor(&server);
    let signals = crate::steps::Signals::of(&server);
    let list =
        format!("/at?get:n;{};{};reload;get:n", signals.give("read"), signals.await_("written"));
    let reader = client.clone().open(&Request::get(&list));
    signals.wait("read");
    client.clone().get("/at?set:n=2").expect(200);
    signals.raise("written");
    let told = lines(&crate::steps::answer(reader).expect(200));
    assert_eq!((told[0].as_str(), told[4].as_str()), ("get=SUCCESS 1", "get=SUCCESS 2"));
}

fn changes_can_be_taken_back() {
    let server = sessions().start();
    let mut client = visitor(&server);
    let told = run(&mut client, "set:n=2;set:m=1;revert;get:n;get:m");
    assert_eq!(told[3..], ["get=SUCCESS 1", "get=NOTFOUND"]);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 1"]);
}

fn delete_removes_the_record() {
    let server = sessions().start();
    let mut client = visitor(&server);
    let id = id_of(&client);
    assert_eq!(run(&mut client, "delete;get:n"), ["delete=SUCCESS", "get=NOTFOUND"]);
    assert_eq!(run(&mut with_id(&server, &id), "get:n"), ["get=NOTFOUND"]);
}

fn invalidate_removes_record_and_cookie() {
    let server = sessions().start();
    let mut client = visitor(&server);
    let id = id_of(&client);
    let answer = client.send(&ask("invalidate")).expect(200);
    assert_eq!(answer.set_cookies().len(), 1);
    assert!(client.jar.is_empty());
    assert_eq!(run(&mut with_id(&server, &id), "get:n"), ["get=NOTFOUND"]);
}

fn a_new_session_can_follow_in_the_same_request() {
    let server = sessions().start();
    let mut client = visitor(&server);
    let id = id_of(&client);
    let answer = client.send(&ask("invalidate;set:m=1")).expect(200);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_ne!(id_of(&client), id);
    assert_eq!(run(&mut client, "keys"), ["keys=SUCCESS m"]);
}

fn a_new_session_says_so() {
    let server = sessions().start();
    let mut client = server.client();
    assert_eq!(run(&mut client, "is_new;set:a=1")[0], "is_new=SUCCESS 1");
    assert_eq!(run(&mut client, "is_new"), ["is_new=SUCCESS 0"]);
}

fn a_new_session_says_why() {
    let server = at("SessionTimeout 1s").start();
    let reason = |mut client: Client| run(&mut client, "reason").concat();
    assert_eq!(reason(server.client()), "reason=SUCCESS none");
    assert_eq!(reason(with_id(&server, "bad")), "reason=SUCCESS malformed");
    assert_eq!(reason(with_id(&server, &"A".repeat(43))), "reason=SUCCESS unknown");
    let mut client = server.client();
    client.get("/at?set:n=1").expect(200);
    wait_for_the_end(&server, &id_of(&client));
    assert_eq!(reason(client), "reason=SUCCESS expired");
}

fn creation_and_the_previous_visit_are_known() {
    let server = at("SessionTouchInterval 0").start();
    let mut client = server.client();
    let number = |client: &mut Client, list: &str| -> u64 {
        let told = lines(&client.get(&format!("/at?{list}")).expect(200)).pop().expect("a line");
        told.rsplit_once(' ').and_then(|(_, number)| number.parse().ok()).expect("a number")
    };
    client.get("/at?set:n=1").expect(200);
    let created = number(&mut client, "created");
    let visits = [0; 3].map(|_| number(&mut client, "accessed"));
    assert!(created <= visits[0] && visits.is_sorted() && visits[0] < visits[2], "{visits:?}");
    assert_eq!(number(&mut client, "created"), created);
}

fn an_idle_session_ends() {
    let server = at("SessionTimeout 1s").start();
    let mut client = server.client();
    client.get("/at?set:n=1").expect(200);
    let id = id_of(&client);
    wait_for_the_end(&server, &id);
    assert_eq!(run(&mut with_id(&server, &id), "get:n"), ["get=NOTFOUND"]);
}

fn a_session_can_have_its_own_timeout() {
    let server = sessions().start();
    let mut client = server.client();
    run(&mut client, "set:n=1;set_timeout:1000000");
    wait_for_the_end(&server, &id_of(&client));
    assert_eq!(run(&mut client, "timeout"), ["timeout=SUCCESS 1800000000"]);
}

fn a_busy_session_ends_at_its_longest_life() {
    let server = at("SessionMaxLifetime 2s\nSessionTimeout 1h\nSessionTouchInterval 0").start();
    server.allow_log("is never reached");
    let mut client = server.client();
    client.get("/at?set:n=1").expect(200);
    wait_for("the end", PATIENCE, || {
        (client.get("/at?get:n").expect(200).text() == "get=NOTFOUND\n").then_some(())
    });
    assert_eq!(client.get("/at?reason").expect(200).text(), "reason=SUCCESS expired\n");
}

fn reading_prolongs_a_session() {
    let server = at("SessionTimeout 2s\nSessionTouchInterval 0").start();
    let mut client = server.client();
    client.get("/at?set:n=1").expect(200);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        assert_eq!(client.get("/at?get:n").expect(200).text(), "get=SUCCESS 1\n");
    }
    wait_for_the_end(&server, &id_of(&client));
}

fn visits_are_recorded_at_intervals() {
    let server = at("SessionTouchInterval 1s\nSessionTimeout 1h").start();
    let mut client = server.client();
    client.get("/at?set:n=1").expect(200);
    let visit = |client: &mut Client| client.get("/at?accessed").expect(200).text();
    let first = visit(&mut client);
    assert_eq!(visit(&mut client), first);
    let start = Instant::now();
    let next = wait_for("a visit that is recorded", PATIENCE, || {
        Some(visit(&mut client)).filter(|visit| *visit != first)
    });
    // Recorded after a second, and not again at once.
    assert!(start.elapsed() > Duration::from_millis(500));
    assert_eq!(visit(&mut client), next);
}

fn a_damaged_record_is_a_new_session_or_an_error() {
    // The cleanup would find it too.
    let server = at("SessionInvalidateCorrupt off").conf("SessionCleanupInterval 0").start();
    let mut client = server.client();
    run(&mut client, "set:a=quite-a-rare-value");
    stored::damage(&server, "quite-a-rare");
    for _ in 0..2 {
        client.get("/at?get:a").expect(500);
    }
    server.expect_log("damaged");
    assert_eq!(run(&mut client, "get:a;reason"), ["get=NOTFOUND", "reason=SUCCESS corrupt"]);
    assert_eq!(run(&mut client, "reason"), ["reason=SUCCESS unknown"]);
}

fn a_session_has_a_user() {
    let server = sessions().start();
    let mut client = visitor(&server);
    let before = id_of(&client);
    run(&mut client, "set_user:alice");
    assert_ne!(id_of(&client), before);
    assert_eq!(run(&mut client, "user;get:n"), ["user=SUCCESS alice", "get=SUCCESS 1"]);
    run(&mut client, "set_user");
    assert_eq!(run(&mut client, "user"), ["user=SUCCESS -"]);
}

fn the_address_of_the_first_client_is_kept() {
    let server = sessions()
        .module("remoteip")
        .conf("RemoteIPHeader X-From\nRemoteIPInternalProxy 127.0.0.1")
        .start();
    let mut client = server.client();
    for (from, ops) in [("192.0.2.1", "set:a=1"), ("192.0.2.77", "set:a=2")] {
        client.send(&ask(ops).header("X-From", from)).expect(200);
    }
    assert!(stored::holds(&server, "192.0.2.1") && !stored::holds(&server, "192.0.2.77"));
}

fn a_form_token_is_good_once() {
    let server = sessions().start();
    let mut client = server.client();
    let told = run(&mut client, "form_token_new").concat();
    let token = told.strip_prefix("form_token_new=SUCCESS ").expect("a token");
    let check = format!("form_token_check:{token}");
    let taken = parallel(4, |_| run(&mut client.clone(), &check).concat());
    let yes = taken.iter().filter(|answer| *answer == "form_token_check=SUCCESS 1").count();
    assert_eq!(yes, 1, "{taken:?}");
}

fn a_form_token_of_another_session_is_worth_nothing() {
    let server = sessions().start();
    let (mut alice, mut eve) = (visitor(&server), visitor(&server));
    let told = run(&mut eve, "form_token_new").concat();
    let token = told.strip_prefix("form_token_new=SUCCESS ").expect("a token");
    let check = format!("form_token_check:{token}");
    assert_eq!(run(&mut alice, &check), ["form_token_check=SUCCESS 0"]);
    assert_eq!(run(&mut eve, &check), ["form_token_check=SUCCESS 1"]);
}

fn another_session_can_be_looked_at() {
    let server = sessions().start();
    let id = id_of(&visitor(&server));
    let mut other = server.client();
    assert_eq!(run(&mut other, &format!("peek:{id}=n")), ["peek=SUCCESS 1"]);
    assert!(other.jar.is_empty());
}

fn all_parts_of_a_request_see_one_session() {
    let server = sessions().conf("ErrorDocument 404 /probe?incr:n").start();
    let mut client = visitor(&server);
    run(&mut client, "incr:n;sub:%2Fprobe%3Fincr%3An;incr:n");
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 4"]);
    client.send(&ask("incr:n;return:404")).expect(404);
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 6"]);
    run(&mut client, "incr:n;redirect:%2Fprobe%3Fincr%3An");
    assert_eq!(run(&mut client, "get:n"), ["get=SUCCESS 8"]);
}

fn scripts_and_backends_get_values() {
    let server = sessions()
        .module("cgid")
        .script("env.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\necho \"$SESSION_VALUE_N $SESSION_NEW\"\n")
        .conf("Options +ExecCGI\nAddHandler cgi-script .cgi\nSessionExport env n")
        .start();
    let mut client = visitor(&server);
    assert_eq!(client.get("/env.cgi").expect(200).text(), "1 0\n");
}
