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
    plant(&server, 1, many(5000));
    let visitors = Visitors::of(&server, 3);
    wait_for_records(&server, 3);
    let (visits, longest) = visitors.end();
    assert!(visits > 100 && longest < LONG, "{visits} visits, the slowest took {longest:?}");
    let pids = wait_for_removed(&server, many(5000));
    assert!(!pids.contains(&server.pid()));
}

pub fn a_child_that_ends_stops_its_round(mpm: Mpm) {
    // Its time would be enough for all of them: nothing but the end of its child stops a round.
    let server = every("10s").probe("hide_watchdog").mpm(mpm).start();
    let is_file = Store::current() == Store::File;
    // Elsewhere no round is seen under way, and not every store has room for so many.
    let planted = if is_file { 20_000 } else { many(3000) };
    plant(&server, 1, planted);
    let mut visitor = server.client();
    assert_eq!(ask(&mut visitor, "/c?incr:n"), "incr=SUCCESS 1");
    if is_file {
        let left = || {
            ask(&mut server.client(), "/c?exists");
            records(&server)
        };
        wait_value("a round to be under way", patience(), left, |left| *left < planted as usize);
    }
    server.reload_graceful();
    assert_eq!(ask(&mut visitor, "/c?incr:n"), "incr=SUCCESS 2");
    if is_file {
        server.wait_for_log("; more in the next round");
    }
    wait_value(
        "the planted records to be gone",
        patience(),
        || {
            ask(&mut server.client(), "/c?exists");
            records(&server)
        },
        |left| *left == 1,
    );
    server.finish();
}
