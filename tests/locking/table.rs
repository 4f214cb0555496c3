//! The cases of locking on every MPM with every mutex mechanism of the platform that is allowed. Their
//! tests stand in the files named here, where they run with the default one.

use super::{
    commits, deaths, http2, http2_clients, increments, limits, mechanisms, modes, nested, others,
};
use crate::ends::streams;
use crate::restart;
use crate::steps::sessions;
use crate::support::{MECHANISMS, Mpm, parallel, with_mechanism};

/// All MPMs at a time: most of what is tested here is waiting.
fn on_each(mpms: &[Mpm], mechanism: &'static str, test: fn(Mpm)) {
    parallel(mpms.len(), |index| with_mechanism(mechanism, || test(mpms[index])));
}

/// Makes of each case a test for each mechanism, and a list of the cases.
macro_rules! table {
    ($cases:ident on $mpms:expr; $($case:ident: $test:path;)+) => {
        const $cases: &[&str] = &[$(stringify!($case)),+];
        $(mod $case {
            use super::*;

            #[test]
            fn pthread() {
                on_each($mpms, "pthread", $test);
            }

            #[test]
            fn sysvsem() {
                let _semaphores = mechanisms::with_semaphores();
                on_each($mpms, "sysvsem", $test);
            }

            #[test]
            fn fcntl() {
                on_each($mpms, "fcntl", $test);
            }

            #[test]
            fn flock() {
                on_each($mpms, "flock", $test);
            }
        })+
    };
}

table! { CASES on &Mpm::ALL;
    same_session_in_parallel: increments::thirty_increments_at_once_lose_none_by_notes_and_by_functions;
    strangers_on_one_slot: increments::sixteen_sessions_share_one_mutex_and_are_held_side_by_side;
    nested_use: nested::handlers_redirects_includes_and_error_pages_share_what_their_request_holds;
    merged: modes::merging_requests_keep_each_others_keys;
    let_go_and_taken_again: modes::a_session_can_be_let_go_and_taken_again;
    holder_killed: deaths::a_session_of_a_killed_child_is_the_next_requests_within_two_seconds;
    holder_killed_with_a_waiter: deaths::a_waiter_gets_the_session_of_a_killed_child_within_two_seconds;
    waiter_killed: deaths::a_killed_waiter_is_passed_over;
    killed_in_a_commit: commits::a_child_killed_in_a_commit_holds_up_nobody_and_leaves_a_whole_version;
    wait_ended: limits::a_wait_ends_after_the_timeout_with_503_and_a_time_to_come_again;
    no_wait: limits::a_timeout_of_zero_does_not_wait;
    sixty_waiters: limits::of_sixty_requests_sixteen_wait_and_the_others_get_503_at_once;
    holder_past_its_deadline: limits::a_session_held_too_long_is_taken_over_and_the_late_one_merges;
    client_gone: streams::a_client_that_leaves_loses_nothing_and_holds_nothing;
    client_gone_before_the_head: streams::a_client_that_leaves_before_the_head_loses_nothing;
    slow_reader: others::a_download_that_is_read_slowly_holds_no_session;
    slow_upload: others::a_slow_upload_holds_its_session_once_it_is_used_and_no_other;
    slow_upload_that_nobody_reads: streams::a_slow_upload_that_nobody_reads_keeps_no_session;
    unlocked_early: others::a_script_that_unlocks_while_it_streams_lets_others_in;
    restarts_under_load: restart::a_session_is_counted_exactly_across_graceful_restarts_under_load;
}

// Prefork runs one stream of a process at a time, and mod_http2 warns of it.
table! { HTTP2 on &[Mpm::Worker, Mpm::Event];
    http2_same_session_in_parallel: http2::thirty_streams_that_increment_lose_none;
    http2_strangers: http2::streams_that_wait_for_their_session_do_not_stall_a_stranger;
    http2_strangers_on_one_slot: http2::streams_of_sixteen_sessions_share_one_mutex_and_are_held_side_by_side;
    http2_nested_use: http2::nested_streams_share_what_their_request_holds;
    http2_merged: http2::merging_streams_keep_each_others_keys;
    http2_let_go_and_taken_again: http2::a_stream_can_let_its_session_go_and_take_it_again;
    http2_holder_killed: http2::a_session_of_a_killed_child_is_the_next_streams_within_two_seconds;
    http2_holder_killed_with_a_waiter: http2::a_waiting_stream_gets_the_session_of_a_killed_child_within_two_seconds;
    http2_waiter_killed: http2::a_killed_stream_that_waits_is_passed_over;
    http2_killed_in_a_commit: http2::a_child_killed_in_a_commit_of_a_stream_holds_up_nobody_and_leaves_a_whole_version;
    http2_wait_ended: http2::a_waiting_stream_gets_503_after_the_timeout_and_a_time_to_come_again;
    http2_no_wait: http2::a_stream_does_not_wait_with_a_timeout_of_zero;
    http2_sixty_waiters: http2::streams_beyond_the_waiters_get_503_at_once_and_the_others_are_served;
    http2_holder_past_its_deadline: http2::a_session_held_too_long_by_a_stream_is_taken_over_and_the_late_one_merges;
    http2_client_gone: http2_clients::a_visitor_who_leaves_a_stream_loses_nothing_and_holds_nothing;
    http2_client_gone_before_the_head: http2_clients::a_visitor_who_leaves_before_the_head_loses_nothing;
    http2_client_gone_in_an_upload: http2_clients::a_visitor_who_leaves_an_upload_loses_nothing_and_holds_nothing;
    http2_client_gone_while_waiting: http2_clients::visitors_who_leave_while_their_streams_wait_hold_up_nobody;
    http2_slow_reader: http2::a_stalled_download_holds_no_session;
    http2_stalled: http2::a_stalled_stream_holds_no_session_once_its_handler_ended;
    http2_slow_upload: http2_clients::a_slow_upload_holds_its_session_once_it_is_used_and_no_other;
    http2_slow_upload_that_nobody_reads: http2_clients::a_slow_upload_that_nobody_reads_keeps_no_session;
    http2_unlocked_early: http2::a_stalled_stream_holds_no_session_once_it_unlocked;
    http2_restarts_under_load: http2::streams_lose_no_update_across_graceful_restarts;
}

#[test]
fn each_case_is_also_one_of_http2() {
    let known = |case: &str| HTTP2.contains(&format!("http2_{case}").as_str());
    let missing: Vec<_> = CASES.iter().filter(|case| !known(case)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_servers_of_the_table_lock_by_the_mechanism_of_their_column() {
    let _semaphores = mechanisms::with_semaphores();
    for mechanism in MECHANISMS {
        with_mechanism(mechanism, || {
            sessions().start().wait_for_log(&format!("20 session locks by {mechanism}"));
        });
    }
}
