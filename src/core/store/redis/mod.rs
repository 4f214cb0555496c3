//! Records in Redis: for servers on several machines that share their sessions.
//!
//! [`layout`] says what lies where. What has to be one step is a script of one key ([`scripts`]): reading
//! a session and holding it is one round trip, writing it and letting it go another one. Who holds a
//! session against other machines is written into it ([`claims`]), with an end by the server's clock that
//! a thread moves as long as the request runs ([`renewal`]).
//!
//! Redis removes what is over by itself. What it acknowledged and had not given to its replica is lost in
//! a failover; what it evicts for want of memory is lost as well, so that its policy should be
//! `noeviction`.

mod claims;
mod connection;
mod layout;
mod material;
mod renewal;
mod scripts;
#[cfg(test)]
mod tests;
mod users;
mod verbs;
mod walk;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use self::connection::Material;
use self::connection::{Ask, Connections};
use self::layout::Names;
use self::renewal::Renewal;
use self::scripts::{Run, Scripts};
use crate::core::clock::{Clock, SystemClock, Time};
use crate::core::config::RedisAddress;
use crate::core::session::id::Random;
use crate::core::store::StoreError;

/// Starts a thread that no signal of the process is handled on.
pub type Spawn = fn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// How a store behaves.
#[derive(Clone, Copy)]
pub struct Options {
    /// How long a session that is over stays, so that who has it in hand may still write it.
    pub grace: Duration,
    /// How threads are started.
    pub spawn: Spawn,
}

/// What tells the servers apart that share a Redis: made once by the parent, so that all its children are
/// one.
#[derive(Clone, Copy)]
pub struct Instance(u64);

impl Instance {
    /// One that no other server has.
    pub fn new(random: &dyn Random) -> io::Result<Instance> {
        Ok(Instance(number(random)?))
    }

    /// Its 16 digits, which the words of its claims begin with.
    fn digits(self) -> String {
        format!("{:016x}", self.0)
    }
}

fn number(random: &dyn Random) -> io::Result<u64> {
    let mut bytes = [0; 8];
    random.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The store.
pub struct RedisStore {
    shared: Arc<Shared>,
}

/// What the store, its claims and the thread that renews them have in common.
struct Shared {
    connections: Connections,
    scripts: Scripts,
    names: Names,
    grace: Duration,
    lease: Duration,
    instance: String,
    /// What our words begin with: another text in each process.
    word: String,
    words: AtomicU64,
    clock: SystemClock,
    spawn: Spawn,
    renewal: Arc<Renewal>,
}

impl RedisStore {
    /// The store at `address`; connects to nothing yet.
    pub fn open(
        address: &RedisAddress,
        material: Material,
        instance: Instance,
        options: Options,
        random: &dyn Random,
    ) -> io::Result<RedisStore> {
        let shared = Shared {
            connections: Connections::new(address, material),
            scripts: Scripts::new(),
            names: Names::new(&address.prefix),
            grace: options.grace,
            lease: address.lease,
            instance: instance.digits(),
            word: format!("{}-{:016x}-", instance.digits(), number(random)?),
            words: AtomicU64::new(0),
            clock: SystemClock,
            spawn: options.spawn,
            renewal: Arc::default(),
        };
        Ok(RedisStore { shared: Arc::new(shared) })
    }

    /// Asks whether Redis is there and lets us in.
    pub fn greet(&self) -> Result<(), StoreError> {
        self.shared.connections.ask("greeting Redis", b"", &redis::cmd("PING")).map(drop)
    }
}

impl Shared {
    /// A word that nobody has said before.
    fn new_word(&self) -> String {
        format!("{}{:x}", self.word, self.words.fetch_add(1, Ordering::Relaxed))
    }

    /// How long Redis is to keep a record, in milliseconds: until it is over for the grace, and at least
    /// for the grace. By our clock, so that the server's may go wrong.
    fn life(&self, deadline: Time) -> String {
        let left = deadline.since(self.clock.now()).saturating_add(self.grace);
        left.as_millis().to_string()
    }

    fn ask<A: Ask>(
        &self,
        doing: &'static str,
        key: &[u8],
        what: &A,
    ) -> Result<A::Answer, StoreError> {
        self.connections.ask(doing, key, what)
    }

    fn run(&self, doing: &'static str, run: &Run<'_>) -> Result<redis::Value, StoreError> {
        self.ask(doing, run.key(), run)
    }
}

/// An answer that makes no sense.
fn bad(what: &'static str) -> StoreError {
    let cause = io::Error::new(io::ErrorKind::InvalidData, what);
    StoreError::Io { doing: "understanding Redis", cause }
}
