//! Without mod_watchdog: started by requests, beside them.

use super::*;
use crate::mpm_tests;
use crate::support::Mpm;
use crate::support::probed::ask;

fn without_watchdog() -> Builder {
    eager().probe("hide_watchdog")
}

mpm_tests!(expired_records_go_beside_requests, a_child_that_ends_stops_its_round);

pub fn expired_records_go_beside_requests(mpm: Mpm) {
    let server = without_watchdog().mpm(mpm).ready_for(8).start();
    server.wait_for_log("there is no mod_watchdog");
    plant(&server, 1, 5000);
    let visitors = Visitors::of(&server, 3);
    wait_for_records(&server, 3);
    let (visits, longest) = visitors.end();
    assert!(visits > 100 && longest < LONG, "{visits} visits, the slowest took {longest:?}");
    let pids = wait_for_removed(&server, 5000);
    assert!(!pids.contains(&server.pid()));
}

pub fn a_child_that_ends_stops_its_round(mpm: Mpm) {
    let server = without_watchdog().mpm(mpm).start();
    plant(&server, 1, 3000);
    let mut visitor = server.client();
    assert_eq!(ask(&mut visitor, "/c?incr:n"), "incr=SUCCESS 1");
    // Whether a round is under way or not: the server reloads and goes on.
    server.reload_graceful();
    assert_eq!(ask(&mut visitor, "/c?incr:n"), "incr=SUCCESS 2");
    wait_value(
        "the planted records to be gone",
        PATIENCE,
        || {
            ask(&mut server.client(), "/c?exists");
            records(&server)
        },
        |left| *left == 1,
    );
    server.finish();
}
