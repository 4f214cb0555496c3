//! `copy`: live sessions go on in another store, with their times and under the same id.

use mod_session_store::core::session::record::Record;
use mod_session_store::core::store::{Entry, Store, StoreError};
use serde::Serialize;

use crate::arguments::Place;
use crate::failure::Failure;
use crate::located::Located;
use crate::output::Output;
use crate::owner::{become_owner, is_root, only};
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
    let from = match from {
        Some(_) if place.store.is_some() => {
            return Err(Failure::usage("copy takes FROM, or --store STORE in its place"));
        }
        Some(store) => Located::find(&Place { store: Some(store.to_owned()), ..place.clone() })?,
        None => Located::find(place)?,
    };
    let to = Located::named(to, place, from.owner)?;
    let source = stores::owner(&from)?;
    let owner = only(&[source, stores::owner(&to)?])?.or(from.owner);
    if is_root() {
        // Only root can make a directory beside those of others.
        stores::make(&to, owner)?;
    }
    become_owner(owner)?;
    if !is_root() {
        stores::make(&to, None)?;
    }
    let target = stores::open(&to, Access::Change)?;
    if let Some(user) = stores::in_use(&from) {
        eprintln!(
            "htsession: {user} uses the store that is copied: what it changes from now on is not"
        );
    }
    let source = stores::open(&from, Access::Read)?;
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
            "{} copied, {} there already, {} ended, {} too large, {} unreadable",
            counts.copied, counts.there, counts.ended, counts.too_large, counts.unreadable
        ))?;
    }
    if counts.too_large + counts.unreadable == 0 { Ok(()) } else { Err(Failure::problem()) }
}
