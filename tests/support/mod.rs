//! The harness: real servers, a visitor, waits, and an audit of what servers log.
//!
//! A test begins with [`Server::builder`]. Write tests as functions of an [`Mpm`] or a [`Target`]
//! and let [`mpm_tests`](crate::mpm_tests) or [`target_tests`](crate::target_tests) make the tests.

// Each test file uses a part of this.
#![allow(dead_code, unused_imports)]

pub mod apxs;
mod builder;
mod client;
mod container;
pub mod http2;
pub mod inspect;
mod layout;
pub mod log;
mod mechanism;
mod memcached;
pub mod module;
mod mpm;
mod orphans;
mod parallel;
mod ports;
pub mod probed;
mod process;
mod program;
mod redis;
mod server;
pub mod stored;
mod stores;
mod target;
mod wait;

pub use self::builder::Builder;
pub use self::client::{Client, Jar, Request, Response, Wire};
pub use self::layout::{SERVER_USER, ids_of, is_root, is_root_or_skips, skipped};
pub use self::mechanism::{MECHANISMS, with_mechanism};
pub use self::memcached::Memcached;
pub use self::mpm::Mpm;
pub use self::parallel::parallel;
pub use self::ports::Port;
pub use self::process::kill;
pub use self::program::Program;
pub use self::redis::{Certificates, Redis, RedisCluster, RedisWithSentinels};
pub use self::server::{ConfigTest, Refusal, Server};
pub use self::stores::{Chosen, Reach, Store, VARIABLE as STORE_VARIABLE, on};
pub use self::target::Target;
pub use self::wait::{wait, wait_for, wait_value};

/// Makes of each function of an [`Mpm`] the tests `NAME::prefork`, `NAME::worker`, `NAME::event`.
#[macro_export]
macro_rules! mpm_tests {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::support::Mpm;

            #[test]
            fn prefork() {
                super::$name(Mpm::Prefork);
            }

            #[test]
            fn worker() {
                super::$name(Mpm::Worker);
            }

            #[test]
            fn event() {
                super::$name(Mpm::Event);
            }
        }
    )+};
}

/// Makes of each function of a [`Target`] the tests `NAME::host` and `NAME::container`.
#[macro_export]
macro_rules! target_tests {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::support::Target;

            #[test]
            fn host() {
                super::$name(Target::Host);
            }

            #[test]
            #[ignore = "runs in a container: make docker-test"]
            fn container() {
                super::$name(Target::Container);
            }
        }
    )+};
}
