//! The border that no panic crosses: unwinding into C would abort the child with all its connections.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::request::Request;

/// Runs an entry point's body. After a panic `fallback` is the answer; what it does (logging, a status)
/// must not panic.
pub fn guarded<T>(body: impl FnOnce() -> T, fallback: impl FnOnce() -> T) -> T {
    // What the body was changing is per request and answered 500 afterwards, or a setting of a
    // configuration that is refused: nobody looks at it again.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| fallback())
}

/// Silences the panic message that would go to standard error, which in a child is the error log
/// without time, level or request: the caller logs instead.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Panics in a debug build if the note `session-store-trip` names this entry point: how
/// tests see that no panic gets past the guard. Does nothing in a release build.
pub fn trip(request: Request<'_>, entry: &str) {
    if cfg!(debug_assertions) && request.notes().get(TRIP) == Some(entry.as_bytes()) {
        panic!("tripped at {entry}");
    }
}

const TRIP: &CStr = c"session-store-trip";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_fallback() {
        assert_eq!(guarded(|| 1, || 2), 1);
        assert_eq!(guarded(|| panic!("expected by this test"), || 2), 2);
    }
}
