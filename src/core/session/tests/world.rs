//! A server and its browsers, for tests of sessions.

use std::sync::Arc;
use std::time::Duration;

use super::parts::{Dice, TestClock, TestStore};
use crate::core::config::CLEANUP_GRACE;
use crate::core::config::testing::place;
use crate::core::lock::local::LocalTable;
use crate::core::lock::{Lease, Leases, Wait};
use crate::core::session::candidates::{Candidates, Source};
use crate::core::session::record::Client;
use crate::core::session::record::Record;
use crate::core::session::rules::{Rules, Surroundings};
use crate::core::session::values::Key;
use crate::core::session::wire::{Parsed, Secrets};
use crate::core::session::{Access, Cookie, Point, Services, Session, SessionError};
use crate::core::store::StoreKey;

/// The handler goes on behind this commit.
pub const MORE: Point = Point { status: 200, more: true };
/// The last commit of an answer.
pub const LAST: Point = Point { status: 200, more: false };
/// The last commit of an answer that is an error of the server.
pub const BROKEN: Point = Point { status: 500, more: false };

pub fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// A server with one store.
pub struct World {
    pub store: TestStore,
    pub leases: LocalTable<TestClock>,
    pub clock: TestClock,
    pub secrets: Secrets,
    random: Dice,
}

impl World {
    pub fn new() -> Arc<World> {
        World::signing(Secrets::default())
    }

    pub fn signing(secrets: Secrets) -> Arc<World> {
        let clock = TestClock::new();
        let leases = LocalTable::local(2, clock.clone());
        let (store, random) = (TestStore::default(), Dice::default());
        Arc::new(World { store, leases, clock, secrets, random })
    }

    pub fn services(&self) -> Services<'_> {
        Services {
            store: &self.store,
            leases: &self.leases,
            clock: &self.clock,
            random: &self.random,
            secrets: &self.secrets,
        }
    }

    /// How many leases are held.
    pub fn held(&self) -> u64 {
        self.leases.statistics().held
    }

    /// Holds the session of `key`, as another request does that does not end.
    pub fn hold(&self, key: &StoreKey) -> Lease {
        let wait = Wait { timeout: Duration::ZERO, hold: None, waiters: 1, waiters_in_all: 1 };
        self.leases.acquire(key, &wait).unwrap()
    }

    /// The store key of an id in the form that travels.
    pub fn key_of(&self, wire: &str) -> StoreKey {
        match self.secrets.parse(wire.as_bytes()) {
            Parsed::Id { id, .. } => StoreKey::new("test", id.as_bytes()),
            other => panic!("{other:?}"),
        }
    }

    /// A browser that comes to a place with these settings besides a lock that is not waited for.
    pub fn browser(self: &Arc<World>, lines: &[&str]) -> Browser {
        Browser { world: Arc::clone(self), rules: rules(lines), source: Source::Cookie, id: None }
    }
}

pub fn rules(lines: &[&str]) -> Rules {
    let all: Vec<&str> = ["SessionLockTimeout 0"].iter().chain(lines).copied().collect();
    let around = Surroundings {
        scope: Arc::from("test"),
        https: false,
        workers: 100,
        shared_writes: false,
        may_lease: true,
        grace: CLEANUP_GRACE,
    };
    Rules::resolve(Arc::new(place(&all)), around)
}

/// One client: it keeps the cookie it gets.
#[derive(Clone)]
pub struct Browser {
    pub world: Arc<World>,
    pub rules: Rules,
    /// How it sends its id.
    pub source: Source,
    /// The id it has, in the form that travels.
    pub id: Option<String>,
}

impl Browser {
    /// The same client at a place with other settings.
    pub fn at(&self, lines: &[&str]) -> Browser {
        Browser { rules: rules(lines), ..self.clone() }
    }

    /// A session of a new request, not opened.
    pub fn request(&self) -> Session {
        let mut candidates = Candidates::default();
        if let Some(id) = &self.id {
            candidates.add(&self.world.secrets, self.source, id.as_bytes());
        }
        Session::new(self.rules.clone(), candidates, Client::from("192.0.2.1").unwrap())
    }

    /// A session of a new request, opened for writing.
    pub fn open(&self) -> Session {
        let mut session = self.request();
        session.open(&self.world.services(), Access::Write).unwrap();
        session
    }

    /// A session of a new request, opened for reading.
    pub fn look(&self) -> Session {
        let mut session = self.request();
        session.open(&self.world.services(), Access::Read).unwrap();
        session
    }

    /// Takes what an answer says of the cookie.
    pub fn take(&mut self, cookie: &Cookie) {
        let Some(line) = cookie else { return };
        let value = line.strip_prefix("session_store=").unwrap().split(';').next().unwrap();
        self.id = Some(value.to_owned()).filter(|value| !value.is_empty());
    }

    /// The end of a request: a commit at `at`, and the session is let go.
    pub fn finish(&mut self, session: &mut Session, at: Point) -> Result<Cookie, SessionError> {
        let cookie = session.commit(&self.world.services(), at);
        session.release(&self.world.services());
        if let Ok(cookie) = &cookie {
            self.take(cookie);
        }
        cookie
    }

    /// A whole request that must succeed; its cookie line.
    pub fn visit(&mut self, body: impl FnOnce(&mut Session)) -> Cookie {
        let before = self.world.held();
        let mut session = self.open();
        body(&mut session);
        let cookie = self.finish(&mut session, LAST).unwrap();
        assert!(self.world.held() <= before, "a lease was left");
        cookie
    }

    /// A whole request that sets `name`.
    pub fn put(&mut self, name: &str, value: &str) -> Cookie {
        self.visit(|session| session.set(&key(name), value.as_bytes()).unwrap())
    }

    /// What a request of now finds under `name`.
    pub fn value(&self, name: &str) -> Option<String> {
        value(&self.look(), name)
    }

    /// The store key of its id.
    pub fn key(&self) -> StoreKey {
        self.world.key_of(self.id.as_deref().unwrap())
    }

    /// The record under its id.
    pub fn record(&self) -> Option<Record> {
        self.world.store.record(&self.key())
    }
}

pub fn value(session: &Session, name: &str) -> Option<String> {
    session.get(&key(name)).map(|value| String::from_utf8(value.to_vec()).unwrap())
}
