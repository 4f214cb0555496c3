//! Ring 2: httpd's and APR's C interface, wrapped. Knows no session.
//!
//! # Invariants that cross the wrappers
//!
//! - **Pools.** Memory from a pool lives until the pool is cleared: a request's until its log phase is
//!   over, the configuration's until the next restart, the process's until the end. A wrapper that
//!   borrows from a pool says from which.
//! - **Threads.** One thread at a time works on a request. Which one it is changes: pool cleanups run on
//!   another thread than the handler did (event MPM, HTTP/2).
//! - **Restarts.** The library is never unmapped. Its statics live as long as the process, so none of
//!   them holds what belongs to a configuration.
//! - **Forks.** The parent has no threads; children inherit what it mapped shared.

pub mod apr;
pub mod brigade;
pub mod dbm;
pub mod guard;
pub mod language;
pub mod log;
pub mod mod_session;
pub mod mutex;
pub mod pool;
pub mod provider;
pub mod request;
pub mod server;
pub mod socache;
pub mod status;
pub mod sys;
pub mod table;
pub mod watchdog;
