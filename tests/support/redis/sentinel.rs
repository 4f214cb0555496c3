//! A master, its replica, and two sentinels that watch them.

use std::fs;
use std::process::Command;

use super::{PATIENCE, Port, Redis, wait_value};

/// The name of the master.
const NAME: &str = "tests";

/// A master with a replica and two sentinels.
pub struct RedisWithSentinels {
    servers: [Redis; 2],
    sentinels: [Redis; 2],
}

impl RedisWithSentinels {
    /// Starts them and waits until each sentinel knows the others.
    #[track_caller]
    pub fn start() -> RedisWithSentinels {
        let master = Redis::start();
        let port = master.port().to_string();
        let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]);
        let sentinels = [(); 2].map(|()| sentinel(master.port()));
        let started = RedisWithSentinels { servers: [master, replica], sentinels };
        started.wait_until_known();
        started
    }

    #[track_caller]
    fn wait_until_known(&self) {
        let figures = |sentinel: &Redis| {
            let lines = sentinel.cli(&["SENTINEL", "MASTER", NAME]);
            let lines: Vec<&str> = lines.lines().collect();
            let figure = |name| lines.iter().skip_while(|line| **line != name).nth(1).copied();
            (figure("num-slaves") == Some("1"), figure("num-other-sentinels") == Some("1"))
        };
        wait_value(
            "sentinels that know a replica and each other",
            PATIENCE,
            || self.sentinels.each_ref().map(figures),
            |known| known.iter().all(|known| *known == (true, true)),
        );
    }

    /// The address for `SessionStore`.
    pub fn address(&self) -> String {
        let [one, two] = self.sentinels.each_ref().map(Redis::port);
        format!("redis+sentinel://127.0.0.1:{one},127.0.0.1:{two}/{NAME}")
    }

    /// The master at first.
    pub fn first(&self) -> &Redis {
        &self.servers[0]
    }

    /// The replica at first.
    pub fn second(&self) -> &Redis {
        &self.servers[1]
    }

    /// Waits until both sentinels call the second server the master, and it is one.
    #[track_caller]
    pub fn wait_for_failover(&self) {
        let port = self.second().port().to_string();
        let named = |sentinel: &Redis| {
            let answer = sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
            answer.lines().nth(1).map(str::to_owned)
        };
        wait_value(
            "a failover",
            PATIENCE,
            || (self.sentinels.each_ref().map(named), self.second().cli(&["ROLE"])),
            |(named, role)| {
                named.iter().all(|named| named.as_ref() == Some(&port))
                    && role.starts_with("master")
            },
        );
    }
}

/// A sentinel keeps what it learns in its configuration.
fn sentinel(master: u16) -> Redis {
    let redis = Redis::prepare(Port::reserve(), &[]);
    let conf = redis.folder().join("sentinel.conf");
    fs::write(
        &conf,
        format!(
            "bind 127.0.0.1\nport {}\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 3000\n",
            redis.port(),
            redis.folder().display()
        ),
    )
    .expect("writing the configuration of a sentinel");
    let log = fs::File::create(redis.log()).expect("opening the log of a sentinel");
    redis.spawn(Command::new("redis-server").arg(&conf).arg("--sentinel"), log);
    redis.wait_until_it_answers();
    redis
}
