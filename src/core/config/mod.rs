//! Settings: how they are written, what they may be, how places inherit them.
//!
//! The table [`DIRECTIVES`] is the one list of directives: the module makes httpd's commands of it and
//! the reference configuration is tested against it. A directive fills a [`Place`] (server, virtual
//! host, directory) or the [`Server`]; nothing here reads a file, opens a store or asks the system.

mod check;
mod dbm;
mod directives;
mod dump;
mod identity;
mod kinds;
mod place;
pub mod redis;
mod server;
mod stores;
#[cfg(test)]
pub(crate) mod testing;
mod values;

pub use self::check::{Warning, check, check_section, check_server};
pub use self::dbm::{DbmFile, DbmType};
pub use self::directives::{Args, DIRECTIVES, Directive, Origin, Target, find};
pub use self::dump::{DUMP_DEFINE, Dump, DumpError};
pub use self::kinds::{
    BackendHeaders, Keys, LockWaiters, Locking, MaxAge, SameSite, Secure, Sources, StoreFailure,
};
pub use self::place::Place;
pub use self::redis::{RedisAddress, Servers};
pub use self::server::{CLEANUP_GRACE, SecretSource, Server};
pub use self::stores::StoreChoice;
pub use self::values::duration as read_duration;
