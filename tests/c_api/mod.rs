//! The C interface, called by a module that knows nothing but its header.

mod calling;
mod forms;
mod meaning;
mod taking;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::probed::{COOKIE, Gate, ask, probed, records};
use crate::support::{Client, Request, Server, Wire, apxs, wait_for};

const PATIENCE: Duration = Duration::from_secs(10);

/// Every function of the header.
const FUNCTIONS: [&str; 30] = [
    "version",
    "open",
    "get",
    "set",
    "get_bytes",
    "set_bytes",
    "keys",
    "id",
    "is_new",
    "exists",
    "reason",
    "created",
    "accessed",
    "timeout",
    "set_timeout",
    "user",
    "set_user",
    "save",
    "reload",
    "revert",
    "delete",
    "invalidate",
    "regenerate",
    "add",
    "lock",
    "trylock",
    "unlock",
    "peek",
    "form_token_new",
    "form_token_check",
];

/// Each function once, with arguments it likes, on a session that has `a`.
const EACH: &str = "version;open:write;get:a;set:b=2;get_bytes:b;set_bytes:c=%00;keys;is_new;exists;\
                    reason;timeout;set_timeout:60000000;user;save;reload;revert;regenerate;add:n=1;lock;unlock;\
                    trylock;unlock";

/// The results of a list, one for each operation, values left out.
fn results(lines: &str) -> Vec<&str> {
    lines.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect()
}

/// The number that the only operation of a list answers.
#[track_caller]
fn number(visitor: &mut Client, target: &str) -> u64 {
    let line = ask(visitor, target);
    let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok());
    value.unwrap_or_else(|| panic!("no number: {line}"))
}

/// Microseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    u64::try_from(since.as_micros()).expect("a clock of this age")
}
