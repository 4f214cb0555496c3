//! Who waits for a session, for how long.

use std::time::Duration;

use super::{Args, Directive, Set};
use crate::core::config::kinds::{LockWaiters, Locking};
use crate::core::config::place::Place;
use crate::core::config::values::{choice, duration, number};

pub const LOCKING: Directive = Directive {
    name: "SessionLocking",
    syntax: "request|commit|read|off",
    args: Args::One,
    default: "request",
    allowed: "request, commit, read or off",
    htaccess: Some("request, commit, read or off"),
    help: "whether requests of one session wait for each other",
    set: Set::Place(|place, words, _| {
        place.locking = Some(choice(words[0], Locking::WORDS)?);
        Ok(())
    }),
};

pub const LOCK_TIMEOUT: Directive = Directive {
    name: "SessionLockTimeout",
    syntax: "TIME",
    args: Args::One,
    default: "30s",
    allowed: "a time from 0 to 1h, written as 30, 30s, 15m or 1h, where 0 means not to wait",
    htaccess: None,
    help: "longest wait for a session, then 503",
    set: Set::Place(|place, words, _| {
        place.lock_timeout = Some(duration(words[0], Duration::ZERO, Duration::from_secs(3600))?);
        Ok(())
    }),
};

pub const LOCK_WAITERS: Directive = Directive {
    name: "SessionLockWaiters",
    syntax: "N [PERCENT%]",
    args: Args::OneOrTwo,
    default: "16 25%",
    allowed: "a number from 1 to 4096 and a share of the workers from 1% to 100%",
    htaccess: None,
    help: "most requests that wait for one session, and for any",
    set: Set::Place(lock_waiters),
};

pub const LOCK_HOLD: Directive = Directive {
    name: "SessionLockHold",
    syntax: "TIME",
    args: Args::One,
    default: "5m",
    allowed: "a time from 0 to 1d, written as 30, 30s, 15m, 12h or 1d, where 0 means no end",
    htaccess: None,
    help: "longest time a request keeps a session for itself",
    set: Set::Place(|place, words, _| {
        place.lock_hold = Some(duration(words[0], Duration::ZERO, Duration::from_secs(86_400))?);
        Ok(())
    }),
};

fn lock_waiters(place: &mut Place, words: &[&str], _: super::Origin) -> Result<(), String> {
    let session = number(words[0], 1, 4096)?;
    let percent = match words.get(1) {
        Some(share) => {
            let share = share.strip_suffix('%').ok_or("has a share without %")?;
            number(share, 1, 100)?
        }
        None => Place::default().lock_waiters().percent,
    };
    place.lock_waiters = Some(LockWaiters { session, percent });
    Ok(())
}
