mod claims;
mod conforming;
mod outages;
mod places;
mod users;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use self::support::redis::{Redis, RedisCluster};
use super::{Instance, Material, Options, RedisStore};
use crate::core::config::RedisAddress;
use crate::core::session::id::SystemRandom;

/// The fixtures of the tests against real servers.
#[allow(dead_code, unused_imports)]
#[path = "../../../../../tests/support"]
mod support {
    pub mod orphans;
    pub mod ports;
    pub mod redis;
    pub mod wait;
}

/// Longer than any test: Redis removes nothing by itself.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}

/// A server of its own: the store as children of one httpd see it.
struct Site {
    address: RedisAddress,
    material: Material,
    instance: Instance,
    grace: Duration,
}

impl Site {
    fn new(address: &str) -> Site {
        Site {
            address: RedisAddress::parse(address).unwrap(),
            material: Material::default(),
            instance: Instance::new(&SystemRandom).unwrap(),
            grace: FOR_EVER,
        }
    }

    fn open(&self) -> RedisStore {
        let options = Options { grace: self.grace, spawn };
        let material = self.material.clone();
        RedisStore::open(&self.address, material, self.instance, options, &SystemRandom).unwrap()
    }
}

/// A store that nobody else has, at `address`.
fn store(address: &str) -> RedisStore {
    Site::new(address).open()
}

/// A server and a store on it.
fn fresh() -> (Redis, RedisStore) {
    let redis = Redis::start();
    let store = store(&redis.address());
    (redis, store)
}

/// A store on a cluster, which tests that run at the same time share: each has its own names.
fn cluster() -> (Arc<RedisCluster>, RedisStore) {
    static SHARED: Mutex<(Weak<RedisCluster>, u32)> = Mutex::new((Weak::new(), 0));
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = shared.0.upgrade().unwrap_or_else(|| Arc::new(RedisCluster::start()));
    *shared = (Arc::downgrade(&cluster), shared.1 + 1);
    let store = store(&format!("{}?prefix=test{}:", cluster.address(), shared.1));
    (cluster, store)
}
