//! `copy`: live sessions go on in another store, with their times and under the same id.

use mod_session_store::core::session::record::Record;
use mod_session_store::core::store::{Entry, Store, StoreError};
use serde::Serialize;

use super::init::make;
use crate::arguments::Place;
use crate::failure::Failure;
use crate::located::{self, Located};
use crate::output::Output;
use crate::owner::only;
use crate::sessions::{State, now, walk};
use crate::stores::{self, Access};

#[derive(Default, Serialize)]
struct Counts {
    /// Sessions that are in the other store now.
    copied: u64,
    /// That were there already, and stayed as they were.
    there: u64,
    /// That have ended, and stay behind.
    ended: u64,
    /// That the other store has no room for.
    too_large: u64,
    /// That it has no room for beside the others.
    no_room: u64,
    /// That cannot be read.
    unreadable: u64,
}

pub fn run(
    out: &mut Output,
    place: &Place,
    from: Option<&str>,
    to: &str,
    replace: bool,
) -> Result<(), Failure> {
    let given = place.owner.as_deref().map(located::owner).transpose()?;
    let from = match (from, &place.store) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage("copy takes FROM, or --store STORE in its place"));
        }
        (Some(store), None) => Located::one_of_two(store, place, given)?,
        (None, Some(store)) => Located::one_of_two(store, place, given)?,
        (None, None) => Located::find(place)?,
    };
    let mut place_of_to = place.clone();
    place_of_to.dbm_types =
        place.dbm_types.iter().skip(1).chain(&place.dbm_types).cloned().collect();
    let to = Located::one_of_two(to, &place_of_to, from.owner)?;
    let (source, target) = (stores::kind(&from)?, stores::kind(&to)?);
    // Not by their settings: httpd tells all of them, and a path has many names.
    if source.place() == target.place() {
        return Err(Failure::usage("copy takes two stores, and this is one"));
    }
    let owner = only(&[source.owner()?, target.owner()?])?.or(from.owner);
    let target = make(&*target, owner)?.1;
    if let Some(user) = source.in_use() {
        eprintln!(
            "htsession: {user} uses the store that is copied: what it changes from now on is not"
        );
    }
    let source = source.open(Access::Read)?;
    let mut counts = Counts::default();
    walk(&*source.store, |entry| copy(&*target.store, entry, replace, &mut counts))?;
    report(out, &counts)
}

fn copy(to: &dyn Store, entry: Entry, replace: bool, counts: &mut Counts) -> Result<(), Failure> {
    let count = match (State::of(&entry.record, now()), &entry.record) {
        (State::Live | State::Alias, Ok(record)) => match put(to, &entry, record, replace) {
            Ok(()) => &mut counts.copied,
            Err(StoreError::Exists) => &mut counts.there,
            Err(StoreError::TooLarge(_)) => &mut counts.too_large,
            // It may be full for this one alone: SDBM has to keep some together in one page.
            Err(StoreError::Full(_)) => &mut counts.no_room,
            Err(cause) => return Err(cause.into()),
        },
        (_, Ok(_)) => &mut counts.ended,
        (_, Err(_)) => &mut counts.unreadable,
    };
    *count += 1;
    Ok(())
}

fn put(to: &dyn Store, entry: &Entry, record: &Record, replace: bool) -> Result<(), StoreError> {
    match to.create(&entry.key, record) {
        Err(StoreError::Exists) if replace => {
            to.delete(&entry.key, None)?;
            to.create(&entry.key, record)
        }
        other => other,
    }
}

fn report(out: &mut Output, counts: &Counts) -> Result<(), Failure> {
    if out.json {
        out.value(counts)?;
    } else {
        out.line(&format!(
            "{} copied, {} there already, {} ended, {} too large, {} without room, {} unreadable",
            counts.copied,
            counts.there,
            counts.ended,
            counts.too_large,
            counts.no_room,
            counts.unreadable
        ))?;
    }
    let left_behind = counts.too_large + counts.no_room + counts.unreadable;
    if left_behind == 0 { Ok(()) } else { Err(Failure::problem()) }
}
