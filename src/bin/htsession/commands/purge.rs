//! `purge`: what the server's own cleanup does, while there is no server, and by other rules.

use std::time::Duration;

use mod_session_store::core::clock::Time;
use mod_session_store::core::store::{Position, Stale, Store};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::sessions::now;
use crate::stores::Opened;

#[derive(Default, Serialize)]
struct Counts {
    removed: u64,
    set_aside: u64,
    left: u64,
    /// Of those that are left: that could not be looked at, or not be removed.
    failed: u64,
}

pub fn run(
    out: &mut Output,
    opened: &Opened,
    grace: Duration,
    unvisited_for: Option<Duration>,
) -> Result<(), Failure> {
    let ended = Stale::EndedBefore(before(grace));
    let unvisited = unvisited_for.map(|time| Stale::NotVisitedSince(before(time)));
    let mut counts = Counts::default();
    for stale in [Some(ended), unvisited].into_iter().flatten() {
        // What the second walk leaves is what there is.
        (counts.left, counts.failed) = (0, 0);
        purge(&*opened.store, stale, &mut counts)?;
    }
    if out.json {
        out.value(&counts)?;
    } else {
        let failed = match counts.failed {
            0 => String::new(),
            failed => format!(", {failed} could not be read or removed"),
        };
        out.line(&format!(
            "{} removed, {} damaged ones set aside, {} left{failed}",
            counts.removed, counts.set_aside, counts.left
        ))?;
    }
    if counts.failed == 0 { Ok(()) } else { Err(Failure::problem()) }
}

fn before(time: Duration) -> Time {
    Time(now().0.saturating_sub(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)))
}

fn purge(store: &dyn Store, stale: Stale, counts: &mut Counts) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let mut from = Position::default();
    loop {
        let purged = store.purge(stale, &from, &mut || {
            progress.step();
            true
        })?;
        counts.left += purged.seen.saturating_sub(purged.removed + purged.corrupt);
        counts.removed += purged.removed;
        counts.set_aside += purged.corrupt;
        counts.failed += purged.failed;
        match purged.next {
            Some(next) if next != from => from = next,
            _ => return Ok(()),
        }
    }
}
