//! `check`: reads every record whole, and tells those that cannot be read.

use mod_session_store::core::store::{Store, StoreError, StoreKey};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::sessions::walk;
use crate::stores::Opened;

/// How often a record is read before it counts as damaged: a server beside may be writing it.
const TRIES: usize = 5;

#[derive(Default, Serialize)]
struct Findings {
    /// Records that can be read.
    sound: u64,
    /// Records that a newer release wrote.
    newer: u64,
    /// Hashes of those that are damaged.
    damaged: Vec<String>,
}

pub fn run(out: &mut Output, opened: &Opened) -> Result<(), Failure> {
    let store = &*opened.store;
    let mut findings = Findings::default();
    walk(store, |entry| {
        match entry.record {
            Ok(_) => findings.sound += 1,
            Err(StoreError::Newer(_)) => findings.newer += 1,
            Err(_) if is_damaged(store, &entry.key)? => findings.damaged.push(entry.key.hex()),
            Err(_) => {}
        }
        Ok(())
    })?;
    if out.json {
        out.value(&findings)?;
    } else {
        for hash in &findings.damaged {
            out.line(&format!("{hash} is damaged"))?;
        }
        out.line(&format!(
            "{} sound, {} of a newer release, {} damaged",
            findings.sound,
            findings.newer,
            findings.damaged.len()
        ))?;
    }
    if findings.damaged.is_empty() { Ok(()) } else { Err(Failure::problem()) }
}

fn is_damaged(store: &dyn Store, key: &StoreKey) -> Result<bool, Failure> {
    for _ in 0..TRIES {
        match store.load(key) {
            Err(StoreError::Corrupt) => std::thread::yield_now(),
            Ok(_) | Err(StoreError::Newer(_)) => return Ok(false),
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(true)
}
