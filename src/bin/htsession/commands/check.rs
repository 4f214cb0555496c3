//! `check`: reads every record whole, and tells those that cannot be read.

use mod_session_store::core::store::{Store, StoreError, StoreKey};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, plain};
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
    /// Those that are damaged.
    damaged: Vec<Damaged>,
}

/// A record that cannot be read.
#[derive(Serialize)]
struct Damaged {
    hash: String,
    why: String,
}

pub fn run(out: &mut Output, opened: &Opened) -> Result<(), Failure> {
    let store = &*opened.store;
    let mut findings = Findings::default();
    walk(store, |entry| {
        match entry.record {
            Ok(_) => findings.sound += 1,
            Err(StoreError::Newer(_)) => findings.newer += 1,
            Err(_) => match read_again(store, &entry.key) {
                Ok(true) => findings.sound += 1,
                Ok(false) => {}
                Err(cause) => {
                    let why = plain(&cause.to_string());
                    findings.damaged.push(Damaged { hash: entry.key.hex(), why });
                }
            },
        }
        Ok(())
    })?;
    if out.json {
        out.value(&findings)?;
    } else {
        for Damaged { hash, why } in &findings.damaged {
            out.line(&format!("{hash}: {why}"))?;
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

/// Whether there is a sound record after all; what is wrong with it if it stays so.
fn read_again(store: &dyn Store, key: &StoreKey) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        match store.load(key) {
            Err(StoreError::Corrupt) => std::thread::yield_now(),
            other => return other.map(|found| found.is_some()),
        }
    }
    Err(StoreError::Corrupt)
}
