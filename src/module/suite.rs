//! In debug builds only: the core's suite over the store that this child has open, for stores that live
//! inside httpd alone. `SetHandler session-store-suite`, and the name of a part as the query; 200 if it
//! passes, 404 if there is none, else 500 with the reason in the error log. The query `records` has the
//! header `X-Records` say how many records a walk over the store sees.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{process, report};
use crate::core::store::conformance as suite;
use crate::core::store::{Position, Store};
use crate::httpd::log::Level;
use crate::httpd::request::Request;
use crate::httpd::sys;

type Part = fn(&dyn Store);

/// The parts by name.
macro_rules! parts {
    ($($name:ident),* $(,)?) => {
        const PARTS: &[(&str, Part)] = &[$((stringify!($name), suite::$name)),*];
    };
}

parts!(
    a_created_record_is_loaded,
    create_refuses_a_key_that_is_taken,
    an_update_replaces_the_record,
    a_second_update_needs_no_load,
    an_update_of_what_was_written_since_is_refused,
    an_update_without_what_the_load_held_works,
    an_update_of_a_deleted_record_is_refused,
    nothing_hits_another_incarnation,
    deletion_names_an_incarnation_or_none,
    a_merge_sees_the_record_of_now,
    a_merge_of_a_deleted_record_is_refused,
    a_merge_cannot_start_another_life,
    touches_move_times_forward_only,
    an_update_may_shorten_the_life_after_a_touch,
    records_of_every_size_come_back,
    a_record_past_the_limit_is_refused_and_the_old_one_stays,
    quarantine_leaves_good_records_alone,
    merges_of_many_threads_lose_nothing,
    a_scan_shows_every_record_once,
    a_scan_goes_on_where_it_stopped,
    a_scan_sees_what_stays_however_others_come_and_go,
    a_purge_removes_what_ended_and_nothing_else,
    a_purge_keeps_what_was_visited_meanwhile,
    a_purge_stops_when_told_and_goes_on_there,
    a_purge_of_the_unvisited_goes_by_the_visit,
    sessions_are_found_by_their_user,
);

/// The status of a request that asks for a part; none if this one does not.
pub fn answer(request: Request<'_>) -> Option<i32> {
    if request.handler() != Some(b"session-store-suite") {
        return None;
    }
    if request.query() == Some(b"records") {
        return Some(match opened().and_then(count) {
            Ok(count) => {
                request.headers_out().set("X-Records", count.to_string().as_bytes());
                sys::OK as i32
            }
            Err(problem) => failed(request, "records", &problem),
        });
    }
    let part = PARTS.iter().find(|(name, _)| request.query() == Some(name.as_bytes()));
    let Some((name, part)) = part else { return Some(sys::HTTP_NOT_FOUND as i32) };
    let Err(problem) = run(*part) else { return Some(sys::OK as i32) };
    Some(failed(request, name, &problem))
}

fn failed(request: Request<'_>, what: &str, problem: &str) -> i32 {
    report::line(request, Level::Error, &format!("suite: {what}: {problem}"));
    sys::HTTP_INTERNAL_SERVER_ERROR as i32
}

fn opened() -> Result<&'static dyn Store, String> {
    let store = process::get().ok_or("there is no process")?.store();
    store.map_err(|cause| cause.to_string())
}

fn count(store: &dyn Store) -> Result<u64, String> {
    let mut count = 0;
    let mut see = |_| {
        count += 1;
        true
    };
    match store.scan(&Position::default(), &mut see) {
        Ok(None) => Ok(count),
        Ok(Some(_)) => Err("the walk ended early".to_owned()),
        Err(cause) => Err(cause.to_string()),
    }
}

fn run(part: Part) -> Result<(), String> {
    let store = opened()?;
    clear(store)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| part(store))).map_err(|panic| text_of(&*panic));
    clear(store)?;
    outcome
}

/// Each part begins with a store without its keys.
fn clear(store: &dyn Store) -> Result<(), String> {
    for number in 0..=u8::MAX {
        store.delete(&suite::key(number), None).map_err(|cause| format!("clearing: {cause}"))?;
    }
    Ok(())
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}
