//! `SessionMaxSessions`.

use super::*;
use crate::support::Client;
use crate::support::probed::ask;

fn limited(most: u32) -> Builder {
    eager().conf(&format!("SessionMaxSessions {most}"))
}

fn visitor(server: &Server) -> Client {
    let mut visitor = server.client();
    assert_eq!(ask(&mut visitor, "/c?set:k=v"), "set=SUCCESS");
    visitor
}

#[test]
fn a_new_session_past_the_limit_is_refused_and_others_go_on() {
    let server = limited(3).start();
    server.expect_log("the store is full: SessionMaxSessions");
    let mut visitors = [(); 3].map(|()| visitor(&server));
    let mut late = server.client();
    assert_eq!(
        ask(&mut late, "/c?set:k=v;save;revert"),
        "set=SUCCESS\nsave=ENOSPC\nrevert=SUCCESS"
    );
    // Nothing was sent yet: the answer is an error instead. By notes as well.
    for target in ["/c?set:k=v", "/p?setnote:session:k=v"] {
        let answer = late.get(target);
        assert_eq!((answer.status, answer.set_cookies().len()), (500, 0));
    }
    assert_eq!(server.log_count("the store is full"), 1, "one line a minute");
    for visitor in &mut visitors {
        assert_eq!(ask(visitor, "/c?get:k;set:k=w"), "get=SUCCESS v\nset=SUCCESS");
    }
    // Who logs in gets another id and is nobody new.
    assert_eq!(ask(&mut visitors[0], "/c?set_user:alice"), "set_user=SUCCESS");
    assert_eq!(ask(&mut visitors[0], "/c?user;get:k"), "user=SUCCESS alice\nget=SUCCESS w");
    assert_eq!(ask(&mut visitors[1], "/c?delete"), "delete=SUCCESS");
    visitor(&server);
    assert_eq!(server.get("/c?set:k=v").status, 500);
}

#[test]
fn sessions_of_before_a_restart_are_counted_by_the_first_walk() {
    let mut server = limited(2).start();
    let mut visitors = [(); 2].map(|()| visitor(&server));
    server.restart();
    if !Store::current().survives_a_full_restart() {
        assert_eq!(
            ask(&mut visitors[0], "/c?reason;get:k"),
            "reason=SUCCESS unknown\nget=NOTFOUND"
        );
        visitor(&server);
        return;
    }
    server.expect_log("the store is full: SessionMaxSessions");
    if Store::current() == Store::File {
        plant(&server, 1, 1);
        server.wait_for_log("cleanup removed 1 of 3 records");
    } else {
        // Until then newcomers are let in.
        let newcomer = || server.get("/c?set:k=v").status;
        wait_value("the first walk", patience(), newcomer, |status| *status == 500);
    }
    assert_eq!(server.get("/c?set:k=v").status, 500);
    assert_eq!(ask(&mut visitors[0], "/c?get:k"), "get=SUCCESS v");
}
