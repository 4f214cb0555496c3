//! Sessions in Redis.

mod outages;
mod secrets;
mod sharing;

use super::behaviour;
use crate::mpm_tests;
use crate::support::{Builder, Mpm, Redis, RedisCluster};

/// A server whose sessions are kept in `redis`, with further options of its address.
fn kept_in(redis: &Redis, options: &str) -> Builder {
    kept_at(&format!("{}{options}", redis.address()))
}

fn kept_at(address: &str) -> Builder {
    behaviour::kept_in(address).conf("SessionScope tests")
}

mpm_tests!(redis_keeps_sessions);

fn redis_keeps_sessions(mpm: Mpm) {
    let redis = Redis::start();
    behaviour::all(kept_in(&redis, ""), mpm);
}

#[test]
fn a_cluster_keeps_sessions() {
    let cluster = RedisCluster::start();
    behaviour::all(kept_at(&cluster.address()), Mpm::Event);
    let with_keys = cluster.nodes().iter().filter(|node| !node.keys("*").is_empty());
    assert!(with_keys.count() > 1, "all keys are in one part");
}
