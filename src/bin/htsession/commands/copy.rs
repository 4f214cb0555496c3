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
            let before = match to.load(&entry.key) {
                // Nothing that could be put back.
                Err(StoreError::Corrupt | StoreError::Newer(_)) => None,
                before => before?,
            };
            to.delete(&entry.key, None)?;
            to.create(&entry.key, record).or_else(|cause| {
                // What does not fit replaces nothing.
                if let Some(before) = before {
                    to.create(&entry.key, &before.record).map_err(|worse| {
                        let both = std::io::Error::other(format!("{worse}, after {cause}"));
                        StoreError::io("putting back a session that was to be replaced")(both)
                    })?;
                }
                Err(cause)
            })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use mod_session_store::core::clock::Time;
    use mod_session_store::core::session::record::{Client, Kind};
    use mod_session_store::core::session::values::{Key, Values};
    use mod_session_store::core::store::{Abilities, Held, Loaded, Merge, StoreKey, Visit};

    /// Takes records of so many bytes and keeps nothing else.
    struct Small(usize, Mutex<BTreeMap<StoreKey, Values>>);

    fn record(values: Values) -> Record {
        Record {
            kind: Kind::Session,
            incarnation: 1,
            scope: [0; 8],
            user: None,
            created: Time(1),
            accessed: Time(1),
            deadline: Time(u64::MAX),
            timeout: None,
            client: Client::default(),
            flags: 0,
            tokens: Vec::new(),
            values,
        }
    }

    fn of_bytes(bytes: usize) -> Record {
        let mut values = Values::default();
        values.set(&Key::new("a").expect("a key"), &vec![0; bytes]);
        record(values)
    }

    impl Store for Small {
        fn name(&self) -> &'static str {
            "small"
        }

        fn abilities(&self) -> Abilities {
            Abilities { survives_kill: false, lists: false, compares: false }
        }

        fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
            let mut records = self.1.lock().expect("a lock");
            if records.contains_key(key) {
                return Err(StoreError::Exists);
            }
            if record.bytes() > self.0 {
                return Err(StoreError::Full("a test"));
            }
            records.insert(*key, record.values.clone());
            Ok(())
        }

        fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
            let found = self.1.lock().expect("a lock").get(key).cloned();
            Ok(found.map(|values| Loaded { record: record(values), held: Held::default() }))
        }

        fn delete(&self, key: &StoreKey, _: Option<u64>) -> Result<bool, StoreError> {
            Ok(self.1.lock().expect("a lock").remove(key).is_some())
        }

        fn update(&self, _: &StoreKey, _: Held, _: &Record) -> Result<Held, StoreError> {
            Err(StoreError::Unsupported)
        }

        fn merge(
            &self,
            _: &StoreKey,
            _: u64,
            _: &mut dyn FnMut(Record) -> Merge,
        ) -> Result<(), StoreError> {
            Err(StoreError::Unsupported)
        }

        fn touch(&self, _: &StoreKey, _: &Held, _: u64, _: Visit) -> Result<(), StoreError> {
            Err(StoreError::Unsupported)
        }

        fn quarantine(&self, _: &StoreKey) -> Result<bool, StoreError> {
            Err(StoreError::Unsupported)
        }
    }

    #[test]
    fn what_does_not_fit_replaces_nothing() {
        let (to, key) = (Small(100, Mutex::default()), StoreKey::new("", &[1; 32]));
        to.create(&key, &of_bytes(10)).expect("room");
        for (bytes, kept, copied) in [(200, 10, 0), (50, 50, 1)] {
            let entry = Entry { key, record: Ok(of_bytes(bytes)), bytes: 0 };
            let mut counts = Counts::default();
            assert!(copy(&to, entry, true, &mut counts).is_ok());
            assert_eq!((counts.copied, counts.no_room), (copied, 1 - copied));
            let there = to.load(&key).expect("a store").expect("a record").record;
            assert_eq!(there, of_bytes(kept), "after {bytes}");
        }
    }
}
