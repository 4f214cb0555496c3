//! The cases of locking on every MPM with every mutex mechanism of the platform that is allowed. Their
//! tests stand beside this file, where they run with the default one.

use super::{deaths, increments, limits, mechanisms, modes, others};
use crate::steps::{sessions, with_mechanism};
use crate::support::Mpm;

fn everywhere(mechanism: &'static str, test: fn(Mpm)) {
    for mpm in [Mpm::Prefork, Mpm::Worker, Mpm::Event] {
        with_mechanism(mechanism, || test(mpm));
    }
}

/// Makes of each case a test for each mechanism.
macro_rules! table {
    ($($case:ident: $test:path;)+) => {$(
        mod $case {
            use super::*;

            #[test]
            fn pthread() {
                everywhere("pthread", $test);
            }

            #[test]
            fn sysvsem() {
                let _alone = mechanisms::alone_with_semaphores();
                everywhere("sysvsem", $test);
            }

            #[test]
            fn fcntl() {
                everywhere("fcntl", $test);
            }

            #[test]
            fn flock() {
                everywhere("flock", $test);
            }
        }
    )+};
}

table! {
    same_session_in_parallel: increments::thirty_increments_at_once_lose_none_by_notes_and_by_functions;
    strangers: increments::sixteen_sessions_are_held_side_by_side;
    merged: modes::merging_requests_keep_each_others_keys;
    let_go_and_taken_again: modes::a_session_can_be_let_go_and_taken_again;
    holder_killed: deaths::a_session_of_a_killed_child_is_the_next_requests_within_two_seconds;
    holder_killed_with_a_waiter: deaths::a_waiter_gets_the_session_of_a_killed_child_within_two_seconds;
    waiter_killed: deaths::a_killed_waiter_is_passed_over;
    wait_ended: limits::a_wait_ends_after_the_timeout_with_503_and_a_time_to_come_again;
    no_wait: limits::a_timeout_of_zero_does_not_wait;
    holder_past_its_deadline: limits::a_session_held_too_long_is_taken_over_and_the_late_one_merges;
    slow_reader: others::a_download_that_is_read_slowly_holds_no_session;
    unlocked_early: others::a_script_that_unlocks_while_it_streams_lets_others_in;
}

#[test]
fn the_servers_of_the_table_lock_by_the_mechanism_of_their_column() {
    let _alone = mechanisms::alone_with_semaphores();
    for mechanism in ["pthread", "sysvsem", "fcntl", "flock"] {
        with_mechanism(mechanism, || {
            sessions().start().wait_for_log(&format!("20 session locks by {mechanism}"));
        });
    }
}
