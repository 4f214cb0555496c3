//! Waiting for a condition instead of for time to pass.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(10);

/// Asks `probe` until it gives something; panics after `within`, naming `what` was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let found = wait(within, || probe().ok_or(()));
    found.unwrap_or_else(|()| panic!("waited {within:?} in vain for {what}"))
}

/// Asks `probe` until `accept` likes the value; panics after `within` with the value seen last.
#[track_caller]
pub fn wait_value<T: Debug>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> T,
    accept: impl Fn(&T) -> bool,
) -> T {
    let found = wait(within, || {
        let value = probe();
        if accept(&value) { Ok(value) } else { Err(value) }
    });
    found
        .unwrap_or_else(|last| panic!("waited {within:?} in vain for {what}; last seen: {last:#?}"))
}

/// Asks `probe` until it succeeds; after `within` its last error. It is asked at least once.
pub fn wait<T, L>(within: Duration, mut probe: impl FnMut() -> Result<T, L>) -> Result<T, L> {
    let end = Instant::now() + within;
    loop {
        match probe() {
            Err(_) if Instant::now() < end => thread::sleep(STEP),
            result => return result,
        }
    }
}
