//! `list`: a line for each session, in the order of the store, as they are read.

use crate::arguments::Filter;
use crate::failure::Failure;
use crate::located::Located;
use crate::output::Output;
use crate::sessions::{Row, State, heading, now, walk_printing};
use crate::stores::Opened;

pub fn run(
    out: &mut Output,
    opened: &Opened,
    located: &Located,
    filter: &Filter,
    every: bool,
) -> Result<(), Failure> {
    let now = now();
    if !out.json {
        out.line(&heading())?;
    }
    let scopes = known(located, filter);
    walk_printing(&*opened.store, |entry| {
        let wanted = match &entry.record {
            Ok(record) => filter.lets(record),
            Err(_) => filter.is_open(),
        };
        let row = Row::new(&entry.key, &entry.record, Some(entry.bytes), &scopes, now);
        if !wanted || !every && row.state != State::Live {
            return Ok(());
        }
        if out.json { out.member(&row) } else { out.line(&row.line()) }
    })?;
    if out.json { out.end_list() } else { Ok(()) }
}

/// The names of scopes that a record may be of.
fn known(located: &Located, filter: &Filter) -> Vec<String> {
    located.scopes.iter().chain(&filter.scope).cloned().collect()
}
