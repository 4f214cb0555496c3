//! Which store the servers of a test keep their sessions in: one line of configuration.
//!
//! `SESSION_STORE_TESTS_ON=dbm cargo test --locked --test main` runs all tests with another store than
//! files; `make test-stores` does so for each. What a test looks at through [`records`](super::probed),
//! [`stored`](super::stored) or htsession is in whichever store it is. A test of what only one store has, its
//! files or system calls, says so in its first line, by [`Store::only`]; one that the stores answer
//! differently asks what the store is like.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use super::apxs;
use super::redis::Redis;
use super::server::Server;

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    File,
    Dbm,
    Memory,
    Redis,
    /// The own store of httpd-conf/example_store.
    Example,
    /// Dbm with one of APR's types: GNU dbm.
    Gdbm,
    /// Another one: Berkeley DB.
    Db,
    /// The one that is part of APR.
    Sdbm,
    /// httpd's object cache in shared memory.
    Socache,
}

/// When htsession can look into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Always,
    /// No server may run.
    Alone,
    /// It lives inside httpd.
    Never,
}

/// Names the store of a whole run, for tests that choose none themselves.
pub const VARIABLE: &str = "SESSION_STORE_TESTS_ON";

/// Where a server answers how many records its store has, if nobody beside it can know.
pub(super) const COUNT: &str = "/session-store-suite?records";

const ASKED: &str =
    "<Location \"/session-store-suite\">\nSetHandler session-store-suite\n</Location>\n";

/// Bytes of the object cache: enough for all that a test stores, and for no other memory to be as large.
pub(super) const CACHE: usize = (32 << 20) + 4000;

thread_local! {
    static CHOSEN: Cell<Option<Store>> = const { Cell::new(None) };
}

impl Store {
    /// Each with its name in [`VARIABLE`].
    pub const ALL: [(&str, Store); 9] = [
        ("file", Store::File),
        ("dbm", Store::Dbm),
        ("memory", Store::Memory),
        ("redis", Store::Redis),
        ("example", Store::Example),
        ("gdbm", Store::Gdbm),
        ("db", Store::Db),
        ("sdbm", Store::Sdbm),
        ("socache", Store::Socache),
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

    /// Keeps this thread's test to this store for as long as the result lives, because of `why`.
    pub fn only(self, why: &str) -> Chosen {
        println!("on {self:?} whatever the run's store is: {why}");
        Chosen { before: CHOSEN.replace(Some(self)) }
    }

    /// What `SessionDBMType` is, and the files that this type makes in the data directory.
    ///
    /// # Panics
    /// If it is none of APR's types.
    pub fn apr_type(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Store::Gdbm => ("GDBM", &["sessions.gdbm"]),
            Store::Db => ("DB", &["sessions.db"]),
            Store::Sdbm => ("SDBM", &["sessions.sdbm.pag", "sessions.sdbm.dir"]),
            other => panic!("{other:?} is none of APR's types"),
        }
    }

    /// How htsession is told of it.
    pub fn tool(self, server: &Server) -> Vec<String> {
        let store = |name: String| vec!["--store".to_owned(), name];
        match self {
            Store::File => store(format!("file:{}", server.data_dir().display())),
            Store::Dbm => store(format!("dbm:{}/sessions.mdb", server.data_dir().display())),
            Store::Memory => {
                let dir = server.root().join("run").display().to_string();
                [store("memory:8M".to_owned()), vec!["--data-dir".to_owned(), dir]].concat()
            }
            Store::Redis => store(format!("{}?prefix={}", redis().address(), prefix(server))),
            Store::Example => store(format!("example:{}", table(server).display())),
            Store::Gdbm | Store::Db | Store::Sdbm => {
                let (kind, files) = self.apr_type();
                let name = files[0].trim_end_matches(".pag");
                let file = format!("dbm:{}/{name}", server.data_dir().display());
                [store(file), vec!["--dbm-type".to_owned(), kind.to_owned()]].concat()
            }
            Store::Socache => store("socache:shmcb".to_owned()),
        }
    }

    /// What the configuration says.
    pub fn line(self) -> String {
        match self {
            Store::File => "SessionDataDir \"${DATA}\"\n".to_owned(),
            Store::Dbm => "SessionDataDir \"${DATA}\"\nSessionStore dbm\n".to_owned(),
            Store::Memory => "SessionStore memory:8M\n".to_owned(),
            Store::Redis => format!("SessionStore {}?prefix=${{NAME}}:\n", redis().address()),
            Store::Example => format!(
                "LoadModule session_example_store_module \"{}\"\n\
                 SessionStore \"example:${{ROOT}}/run/sessions.table\"\n",
                apxs::example_store().display()
            ),
            Store::Gdbm | Store::Db | Store::Sdbm => {
                let lines = "SessionDataDir \"${DATA}\"\nSessionStore dbm\n";
                format!("{lines}SessionDBMType {}\n{ASKED}", self.apr_type().0)
            }
            Store::Socache => {
                let module = apxs::module("socache_shmcb").map_or(String::new(), |file| {
                    format!(
                        "<IfModule !socache_shmcb_module>\nLoadModule socache_shmcb_module \"{}\"\n\
                         </IfModule>\n",
                        file.display()
                    )
                });
                let store =
                    format!("SessionStore \"socache:shmcb:${{ROOT}}/run/cache({CACHE})\"\n");
                format!("{module}{store}{ASKED}")
            }
        }
    }

    /// What httpd itself says, without starting, that it would use.
    pub fn told(self) -> &'static str {
        match self {
            Store::File => "set SessionStore file",
            Store::Dbm => "set SessionStore dbm",
            Store::Memory => "set SessionStore memory",
            Store::Redis => "set SessionStore redis",
            // These are opened for nobody else.
            Store::Example => "problem SessionStore example",
            Store::Socache => "problem SessionStore socache",
            Store::Gdbm => "set SessionDBMType GDBM",
            Store::Db => "set SessionDBMType DB",
            Store::Sdbm => "set SessionDBMType SDBM",
        }
    }

    /// What servers say of it at each start.
    pub fn warnings(self) -> &'static [&'static str] {
        const SMALL: &str = "SessionMaxSize allows larger sessions than this store takes";
        const FRAGILE: &str = "a process that is killed while it writes can damage the whole file";
        match self {
            Store::File | Store::Dbm | Store::Memory => &[],
            Store::Redis => &["SessionScope is not set"],
            Store::Example => &[SMALL],
            Store::Gdbm | Store::Db => &[FRAGILE],
            Store::Sdbm => &[FRAGILE, SMALL],
            Store::Socache => &["drops the oldest sessions before their end"],
        }
    }

    /// Whether ended sessions go by themselves, so that no cleanup finds them.
    pub fn forgets_by_itself(self) -> bool {
        matches!(self, Store::Redis | Store::Socache)
    }

    /// How long what has ended may stay there nevertheless.
    pub fn keeps_ended(self) -> Duration {
        Duration::from_secs(if self == Store::Socache { 60 } else { 0 })
    }

    /// Whether sessions are there again after the server was stopped and started.
    pub fn survives_a_full_restart(self) -> bool {
        self != Store::Socache
    }

    /// The largest record that it takes.
    pub fn largest(self) -> usize {
        match self {
            Store::Example => 4016,
            Store::Memory => (8 << 20) / 64,
            Store::Socache => 250_000,
            // APR bounds a key and its value together.
            Store::Sdbm => 900,
            Store::File | Store::Dbm | Store::Redis | Store::Gdbm | Store::Db => 16 << 20,
        }
    }

    /// Keeps this thread's test to files if the run's store does not take records of `bytes`.
    pub fn with_room(bytes: usize) -> Option<Chosen> {
        let fits = Store::current().largest() >= bytes;
        (!fits).then(|| Store::File.only("its sessions are larger than the run's store takes"))
    }

    /// When htsession can look into it.
    pub fn reach(self) -> Reach {
        match self {
            Store::File | Store::Dbm | Store::Memory | Store::Redis => Reach::Always,
            Store::Gdbm | Store::Db | Store::Sdbm => Reach::Alone,
            Store::Example | Store::Socache => Reach::Never,
        }
    }

    /// Whether htsession deletes sessions beside a running server.
    pub fn lets_delete_beside_a_server(self) -> bool {
        self != Store::Memory
    }

    /// Whether htsession does everything beside a running server.
    pub fn is_open_beside_a_server(self) -> bool {
        matches!(self, Store::Dbm | Store::Redis)
    }

    /// Mutexes of its own, beside those of the sessions: one for each part of it that is written by one at a
    /// time, and the one that every pool has for itself.
    pub fn mutexes(self) -> usize {
        match self {
            Store::File | Store::Redis | Store::Example => 0,
            Store::Dbm | Store::Gdbm | Store::Db | Store::Sdbm | Store::Socache => 1 + 1,
            Store::Memory => 32 + 1,
        }
    }
}

/// The one Redis of the whole run; what ends a run's processes ends it.
pub(super) fn redis() -> &'static Redis {
    static REDIS: OnceLock<Redis> = OnceLock::new();
    REDIS.get_or_init(Redis::start)
}

/// What the keys of a server begin with in it.
pub(super) fn prefix(server: &Server) -> String {
    let root = server.root();
    format!("{}:", root.file_name().expect("a name").to_str().expect("UTF-8"))
}

/// The file of the example's table.
pub(super) fn table(server: &Server) -> PathBuf {
    server.root().join("run/sessions.table")
}

/// That a test keeps to one store; it ends with this.
#[must_use = "the choice ends at once"]
pub struct Chosen {
    before: Option<Store>,
}

impl Drop for Chosen {
    fn drop(&mut self) {
        CHOSEN.set(self.before);
    }
}

/// Runs a test whose servers keep their sessions in `store`.
pub fn on(store: Store, test: impl FnOnce()) {
    let _chosen = Chosen { before: CHOSEN.replace(Some(store)) };
    test();
}
