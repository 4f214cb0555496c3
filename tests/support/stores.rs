//! Which store the servers of a test keep their sessions in: one line of configuration.

use std::cell::Cell;

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    File,
    Memory,
}

/// Names the store of a whole run, for tests that choose none themselves.
pub const VARIABLE: &str = "SESSION_STORE_TESTS_ON";

thread_local! {
    static CHOSEN: Cell<Option<Store>> = const { Cell::new(None) };
}

impl Store {
    const ALL: [(&str, Store); 2] = [("file", Store::File), ("memory", Store::Memory)];

    /// The one that this thread's test chose, or the run's; files if neither did.
    pub fn current() -> Store {
        CHOSEN.get().unwrap_or_else(|| match std::env::var(VARIABLE) {
            Ok(name) => {
                let known = Store::ALL.iter().find(|(known, _)| *known == name);
                known.unwrap_or_else(|| panic!("{VARIABLE} names no store: {name}")).1
            }
            Err(_) => Store::File,
        })
    }

    /// What the configuration says.
    pub fn line(self) -> &'static str {
        match self {
            Store::File => "SessionDataDir \"${DATA}\"\n",
            Store::Memory => "SessionStore memory:8M\n",
        }
    }
}

/// Runs a test whose servers keep their sessions in `store`.
pub fn on(store: Store, test: impl FnOnce()) {
    CHOSEN.set(Some(store));
    test();
    CHOSEN.set(None);
}
