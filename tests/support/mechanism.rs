//! The kind of mutex that servers lock by, for tests that run with each of them.

use std::cell::Cell;

thread_local! {
    static MECHANISM: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The kinds that can be chosen on every platform the module runs on.
pub const MECHANISMS: [&str; 4] = ["pthread", "sysvsem", "fcntl", "flock"];

/// Runs a test whose servers with sessions lock by `mechanism`.
pub fn with_mechanism(mechanism: &'static str, test: impl FnOnce()) {
    MECHANISM.set(Some(mechanism));
    test();
    MECHANISM.set(None);
}

/// The directive that chooses it; none outside of [`with_mechanism`].
pub(super) fn directive() -> Option<String> {
    let mechanism = MECHANISM.get()?;
    let place = if matches!(mechanism, "fcntl" | "flock") { ":${ROOT}/run" } else { "" };
    Some(format!("Mutex {mechanism}{place} session-store"))
}
