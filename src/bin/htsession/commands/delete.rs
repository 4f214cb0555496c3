//! `delete`: sessions by name, those of a user, or all.

use mod_session_store::core::session::record::scope_mark;
use mod_session_store::core::store::{Store, StoreError, StoreKey};
use serde::Serialize;

use super::show::scopes;
use crate::arguments::{Filter, Which};
use crate::failure::{Code, Failure};
use crate::find::{find, meant, words};
use crate::located::Located;
use crate::output::Output;
use crate::sessions::walk;
use crate::stores::Opened;

#[derive(Serialize)]
struct Deleted {
    deleted: u64,
    not_found: u64,
}

pub fn run(
    out: &mut Output,
    opened: &Opened,
    located: &Located,
    which: &Which,
) -> Result<(), Failure> {
    let store = &*opened.store;
    let mut counts = Deleted { deleted: 0, not_found: 0 };
    let keys = match which {
        Which::Named(names, scope) => {
            let scopes = scopes(located, scope.as_deref());
            // All are understood before the first is gone.
            let meant: Result<Vec<_>, _> =
                words(names)?.iter().map(|word| meant(word, &scopes)).collect();
            let mut keys = Vec::new();
            for meant in meant? {
                match find(store, &meant) {
                    Ok(key) => keys.push(key),
                    Err(failure) if failure.code == Code::NotFound => counts.not_found += 1,
                    Err(failure) => return Err(failure),
                }
            }
            keys
        }
        Which::Fitting(filter) => fitting(store, filter)?,
    };
    for key in keys {
        counts.deleted += u64::from(store.delete(&key, None)?);
    }
    if out.json {
        out.value(&counts)?;
    } else {
        out.line(&format!("{} deleted", counts.deleted))?;
    }
    match (counts.not_found, counts.deleted, which) {
        (0, 0, Which::Fitting(_)) => Err(Failure::not_found("there is no such session")),
        (0, ..) => Ok(()),
        (missing, ..) => Err(Failure::not_found(format!("{missing} sessions are not there"))),
    }
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
