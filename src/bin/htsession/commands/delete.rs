//! `delete`: sessions by name, those of a user, or all.

use mod_session_store::core::session::record::scope_mark;
use mod_session_store::core::store::{Store, StoreError, StoreKey};
use serde::Serialize;

use super::show::scopes;
use crate::arguments::{Filter, Which};
use crate::failure::{Code, Failure};
use crate::find::{find, meant, way, words};
use crate::located::Located;
use crate::output::{Output, plain};
use crate::progress::Progress;
use crate::sessions::walk;
use crate::stores::Opened;

/// After how many failures of the system's in a row it is the store that does not work, and not a record.
const FAILURES: u32 = 16;

#[derive(Default, Serialize)]
struct Deleted {
    deleted: u64,
    not_found: u64,
    /// What is there still.
    failed: Vec<Failed>,
}

/// A record that could not be deleted.
#[derive(Serialize)]
struct Failed {
    hash: String,
    why: String,
}

pub fn run(
    out: &mut Output,
    opened: &Opened,
    located: &Located,
    which: &Which,
) -> Result<(), Failure> {
    let store = &*opened.store;
    let mut counts = Deleted::default();
    let keys = match which {
        Which::Named(names, scope) => {
            let scopes = scopes(located, scope.as_deref());
            // All are understood before the first is gone.
            let meant: Result<Vec<_>, _> =
                words(names)?.iter().map(|word| meant(word, &scopes)).collect();
            let mut keys = Vec::new();
            for meant in meant? {
                match find(store, &meant) {
                    Ok(key) => keys.extend(way(store, key)?),
                    Err(failure) if failure.code == Code::NotFound => counts.not_found += 1,
                    Err(failure) => return Err(failure),
                }
            }
            keys
        }
        Which::Fitting(filter) => fitting(store, filter)?,
    };
    let stopped = delete(store, &keys, &mut counts);
    if out.json {
        out.value(&counts)?;
    } else {
        for Failed { hash, why } in &counts.failed {
            out.line(&format!("{hash}: {why}"))?;
        }
        let failed = match counts.failed.len() {
            0 => String::new(),
            failed => format!(", {failed} could not be deleted"),
        };
        out.line(&format!("{} deleted{failed}", counts.deleted))?;
    }
    stopped?;
    if !counts.failed.is_empty() {
        return Err(Failure::problem());
    }
    match (counts.not_found, counts.deleted, which) {
        (0, 0, Which::Fitting(_)) => Err(Failure::not_found("there is no such session")),
        (0, ..) => Ok(()),
        (missing, ..) => Err(Failure::not_found(format!("{missing} sessions are not there"))),
    }
}

/// One that cannot be deleted keeps no other: whoever planted it would stay logged in by it.
fn delete(store: &dyn Store, keys: &[StoreKey], counts: &mut Deleted) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let mut in_a_row = 0;
    for key in keys {
        progress.step();
        let cause = match store.delete(key, None) {
            Ok(deleted) => {
                counts.deleted += u64::from(deleted);
                in_a_row = 0;
                continue;
            }
            Err(StoreError::Unsupported) => return Err(StoreError::Unsupported.into()),
            Err(cause) => cause,
        };
        counts.failed.push(Failed { hash: key.hex(), why: plain(&cause.to_string()) });
        in_a_row += u32::from(!matches!(cause, StoreError::Corrupt | StoreError::Newer(_)));
        if in_a_row == FAILURES {
            return Err(cause.into());
        }
    }
    Ok(())
}

/// Walking is slower than asking the index of users, but no store lacks it, and it finds the records
/// under old ids too.
fn fitting(store: &dyn Store, filter: &Filter) -> Result<Vec<StoreKey>, Failure> {
    if let Filter { user: Some(user), scope: Some(scope) } = filter {
        match store.of_user(scope_mark(scope), user) {
            Err(StoreError::Unsupported) => {}
            keys => return Ok(keys?),
        }
    }
    let mut keys = Vec::new();
    walk(store, |entry| {
        let wanted = match &entry.record {
            Ok(record) => filter.lets(record),
            Err(_) => filter.is_open(),
        };
        if wanted {
            keys.push(entry.key);
        }
        Ok(())
    })?;
    Ok(keys)
}
