//! Which store the servers of a test keep their sessions in: one line of configuration.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::redis::Redis;

use super::server::Server;

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    File,
    Dbm,
    Memory,
    Redis,
}

/// Names the store of a whole run, for tests that choose none themselves.
pub const VARIABLE: &str = "SESSION_STORE_TESTS_ON";

thread_local! {
    static CHOSEN: Cell<Option<Store>> = const { Cell::new(None) };
}

impl Store {
    const ALL: [(&str, Store); 4] = [
        ("file", Store::File),
        ("dbm", Store::Dbm),
        ("memory", Store::Memory),
        ("redis", Store::Redis),
    ];

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

    /// How htsession is told of it.
    pub fn tool(self, server: &Server) -> [String; 2] {
        match self {
            Store::File => ["--store".into(), format!("file:{}", server.data_dir().display())],
            Store::Dbm => {
                let file = server.data_dir().join("sessions.mdb");
                ["--store".into(), format!("dbm:{}", file.display())]
            }
            Store::Memory => [
                "--store=memory:8M".into(),
                format!("--data-dir={}", server.root().join("run").display()),
            ],
            Store::Redis => ["--store".into(), redis_of_this_test()],
        }
    }

    /// What the configuration says.
    pub fn line(self) -> String {
        match self {
            Store::File => "SessionDataDir \"${DATA}\"\n".to_owned(),
            Store::Dbm => "SessionDataDir \"${DATA}\"\nSessionStore dbm\n".to_owned(),
            Store::Memory => "SessionStore memory:8M\n".to_owned(),
            Store::Redis => format!("SessionStore {}\n", redis_of_this_test()),
        }
    }

    /// What servers say of it at each start.
    pub fn warning(self) -> Option<&'static str> {
        (self == Store::Redis).then_some("SessionScope is not set")
    }
}

/// One Redis for the whole run; what ends a run's processes ends it. Each test has names of its own.
fn redis_of_this_test() -> String {
    static REDIS: OnceLock<Redis> = OnceLock::new();
    static TESTS: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static TEST: u32 = TESTS.fetch_add(1, Ordering::Relaxed);
    }
    let redis = REDIS.get_or_init(Redis::start);
    format!("{}?prefix=test{}:", redis.address(), TEST.with(|number| *number))
}

/// Runs a test whose servers keep their sessions in `store`.
pub fn on(store: Store, test: impl FnOnce()) {
    CHOSEN.set(Some(store));
    test();
    CHOSEN.set(None);
}
